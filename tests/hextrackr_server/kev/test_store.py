"""Tests of the stored KEV catalog: differences, unsent announcements, matches and limits."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from hextrackr_server.kev import store as store_module
from hextrackr_server.kev.catalog import parse_catalog
from hextrackr_server.kev.store import Difference, KevStore
from hextrackr_server.storage.group_table import open_groups
from tests.hextrackr_server.kev_support import feed, item, many
from tests.hextrackr_server.support import Workbench, finding_row

FIRST, SECOND, THIRD = "CVE-2024-1000", "CVE-2024-2000", "CVE-2024-3000"


@pytest.fixture
def kev(workbench: Workbench) -> KevStore:
    return KevStore(workbench.database)


def apply(kev: KevStore, *items: dict[str, Any]) -> Difference:
    return kev.apply(parse_catalog(feed(*items)), 0)


@pytest.mark.parametrize(
    "changed",
    [
        {"vendorProject": "B"}, {"product": "B"}, {"vulnerabilityName": "B"},
        {"dateAdded": "2025-01-03"}, {"shortDescription": "B"}, {"requiredAction": "B"},
        {"dueDate": "2025-01-24"}, {"knownRansomwareCampaignUse": "Known"}, {"notes": "B"},
        {"cwes": ["CWE-1"]},
    ],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_entry_counts_as_changed_when_one_of_its_values_is_another(
    kev: KevStore, changed: dict[str, Any]
) -> None:
    apply(kev, item())
    assert apply(kev, item()) == Difference((), (), ())
    assert apply(kev, item(**changed)) == Difference((), (FIRST,), ())
    assert apply(kev, item(**changed)) == Difference((), (), ())


def test_unannounced_cves_are_those_added_since_the_last_announcement(kev: KevStore) -> None:
    assert kev.unannounced() == []
    apply(kev, item(FIRST))
    assert kev.unannounced() == [FIRST]
    kev.announced()
    assert kev.unannounced() == []
    apply(kev, item(FIRST, product="Switch"), item(SECOND))
    apply(kev, item(FIRST, product="Router"), item(SECOND), item(THIRD))
    assert sorted(kev.unannounced()) == [SECOND, THIRD]


def test_last_synchronization_is_the_last_successful_one(kev: KevStore) -> None:
    assert kev.last_sync() is None
    kev.log_sync("completed", 1, version="a", etag='"1"')
    kev.log_sync("completed", 2, version="b", etag='"2"')
    kev.log_sync("failed", 3, error_message="offline")
    last = kev.last_sync()
    assert last is not None
    assert (last.sync_time, last.version, last.etag) == (2, "b", '"2"')


def test_number_of_notified_users_is_limited(
    kev: KevStore, workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAXIMUM_USERS", 2)
    for number in range(3):
        workbench.import_rows([finding_row(host=f"web-{number}")], user_id=f"user {number}")
    apply(kev, item())
    (match,) = kev.matches([FIRST])
    assert (match.hosts, match.users) == (3, ("user 0", "user 1"))


def test_most_severe_findings_are_returned_across_chunks(
    kev: KevStore, workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "CHUNK", 1)
    severities = {FIRST: "Low", SECOND: "Critical", THIRD: "High"}
    workbench.import_rows([finding_row(cve=cve, severity=each) for cve, each in severities.items()])
    apply(kev, item(FIRST), item(SECOND, dueDate="2025-02-02"), item(THIRD))
    rows, total = kev.open_findings(severities, 2)
    assert ([each["cve"] for each in rows], total) == ([SECOND, THIRD], 3)
    assert [each["dueDate"] for each in rows] == ["2025-02-02", "2025-01-23"]


def test_groups_count_exploited_findings_of_added_and_removed_cves(
    kev: KevStore, workbench: Workbench
) -> None:
    def exploited() -> int:
        with workbench.database.reading() as connection:
            return connection.scalar(select(func.sum(open_groups.c.exploited))) or 0

    workbench.import_rows([finding_row(cve=FIRST), finding_row(cve=SECOND)])
    others = many(10, first=5000)
    apply(kev, item(FIRST), *others)
    assert exploited() == 1
    apply(kev, item(FIRST), item(SECOND), *others)
    assert exploited() == 2
    apply(kev, item(SECOND), *others)
    assert exploited() == 1

"""Pages of findings in every sort order, also those that read only some dictionary entries."""

from __future__ import annotations

from typing import Any

import pytest

from hextrackr_server.cli.sample import HEADER, sample_rows
from hextrackr_server.findings import finding_lists
from hextrackr_server.findings.pages import PageRequest
from hextrackr_server.findings.query_store import QueryStore
from hextrackr_server.storage.encoding import LIFECYCLE_STATES, RANKED_SEVERITIES
from tests.hextrackr_server.support import Workbench

ROWS = 120
LIMIT = 23
RANKS = {
    "severity": RANKED_SEVERITIES.index,
    "lifecycle_state": LIFECYCLE_STATES.index,
}


@pytest.fixture
def few_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read only some dictionary entries for the first pages, as with many findings."""
    monkeypatch.setattr(finding_lists, "_FEW_FINDINGS", 0)
    monkeypatch.setattr(finding_lists, "_MINIMUM_ENTRIES", 0)
    monkeypatch.setattr(finding_lists, "_MARGIN", 1)
    monkeypatch.setattr(finding_lists, "_FEW_ENTRIES", 1.0)


def import_sample(bench: Workbench) -> None:
    rows = list(sample_rows(ROWS, 1))
    published = HEADER.index("definition.plugin_published")
    for row in rows[::7]:
        row[published] = ""
    bench.import_rows(rows, HEADER)


def pages(bench: Workbench, sort: str, total: int, **filters: Any) -> list[int]:
    """Return the IDs of all pages, and check that each reports the total."""
    ids: list[int] = []
    for number in range(1, total // LIMIT + 3):
        request = PageRequest("vulnerabilities", tuple(filters.items()), number, LIMIT, sort)
        page = QueryStore(bench.database).page(request)
        assert page.total == total
        ids += [row["id"] for row in page.rows]
    return ids


def expected(found: list[dict[str, Any]], sort: str) -> list[int]:
    name = sort.removeprefix("-")
    rank = RANKS.get(name, lambda value: value)
    with_value = [each for each in found if each[name] is not None]
    with_value.sort(key=lambda each: rank(each[name]), reverse=sort.startswith("-"))
    without = [each for each in found if each[name] is None]
    return [each["id"] for each in (*with_value, *without)]


@pytest.mark.usefixtures("few_entries")
def test_pages_contain_each_finding_once_in_every_sort_order(workbench: Workbench) -> None:
    import_sample(workbench)
    # `findings` returns rows by ID, and both sorts are stable.
    found = workbench.findings()
    for name in finding_lists._SORTABLE:
        for sort in (name, f"-{name}"):
            assert pages(workbench, sort, len(found)) == expected(found, sort), sort


@pytest.mark.usefixtures("few_entries")
def test_pages_of_a_filter_do_not_depend_on_the_entries_of_other_findings(
    workbench: Workbench,
) -> None:
    import_sample(workbench)
    found = [each for each in workbench.findings() if each["vendor"] == "CISCO"]
    assert 0 < len(found) < len(workbench.findings())
    for sort in ("hostname", "-plugin_name", "cve", "-vulnerability_date"):
        ids = pages(workbench, sort, len(found), vendor="CISCO")
        assert ids == expected(found, sort), sort

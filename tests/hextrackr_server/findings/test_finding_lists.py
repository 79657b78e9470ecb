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
    monkeypatch.setattr(finding_lists, "_SAMPLED", 40)


class MiddlePages:
    """Numbers of pages in the middle that were read between two values, and that were not."""

    def __init__(self) -> None:
        self.read = self.missed = 0


@pytest.fixture
def middle_pages(few_entries: None, monkeypatch: pytest.MonkeyPatch) -> MiddlePages:
    """Read almost all pages from the values near them, and count them."""
    counted = MiddlePages()
    read = finding_lists._middle_ids

    def count(connection: Any, column: Any, part: Any, *others: Any) -> list[int]:
        ids = read(connection, column, part, *others)
        is_read = len(ids) == part.number
        counted.read += is_read
        counted.missed += not is_read
        return ids

    monkeypatch.setattr(finding_lists, "_middle_ids", count)
    monkeypatch.setattr(finding_lists, "_MIDDLE", 0.05)
    return counted


def import_sample(bench: Workbench) -> None:
    rows = list(sample_rows(ROWS, 1))
    published = HEADER.index("definition.plugin_published")
    for row in rows[::7]:
        row[published] = ""
    bench.import_rows(rows, HEADER)


def pages(bench: Workbench, sort: str, total: int, limit: int = LIMIT, **filters: Any) -> list[int]:
    """Return the IDs of all pages, and check that each reports the total."""
    ids: list[int] = []
    for number in range(1, total // limit + 3):
        request = PageRequest("vulnerabilities", tuple(filters.items()), number, limit, sort)
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


@pytest.mark.parametrize(
    ("sampled", "margin", "narrow"),
    [
        (120, 0.04, 1.0),  # all findings are in the sample
        (40, 0.1, 0.5),
        (24, 0.0, 1.0),  # many pages do not lie between the values of the sample
    ],
)
def test_pages_in_the_middle_are_read_from_the_values_near_them(
    workbench: Workbench,
    middle_pages: MiddlePages,
    monkeypatch: pytest.MonkeyPatch,
    sampled: int,
    margin: float,
    narrow: float,
) -> None:
    import_sample(workbench)
    found = workbench.findings()
    monkeypatch.setattr(finding_lists, "_SAMPLED", sampled)
    monkeypatch.setattr(finding_lists, "_SAMPLE_MARGIN", margin)
    monkeypatch.setattr(finding_lists, "_NARROW", narrow)
    for name in finding_lists._DICTIONARY_OF:
        for sort in (name, f"-{name}"):
            assert pages(workbench, sort, len(found), 7) == expected(found, sort), sort
    cisco = [each for each in found if each["vendor"] == "CISCO"]
    for sort in ("-hostname", "vulnerability_date"):
        ids = pages(workbench, sort, len(cisco), 7, vendor="CISCO")
        assert ids == expected(cisco, sort), sort
    assert middle_pages.read > 10
    if margin == 0.0:
        assert middle_pages.missed > 0


def test_pages_between_two_frequent_values_are_read_without_sorting(
    workbench: Workbench, middle_pages: MiddlePages
) -> None:
    import_sample(workbench)
    found = workbench.findings()
    mixed = 0
    for sort in ("vendor", "-vendor"):
        assert pages(workbench, sort, len(found), 7) == expected(found, sort), sort
        values = sorted((each["vendor"] for each in found), reverse=sort.startswith("-"))
        mixed += sum(len(set(values[start : start + 7])) > 1 for start in range(0, len(values), 7))
    # Only a page with two values is sorted.
    assert middle_pages.missed <= mixed < middle_pages.read / 10

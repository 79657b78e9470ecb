"""Caches, block reading and shortcuts give the same results as the plain way."""

from __future__ import annotations

import csv
import io
import ipaddress
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hextrackr_server.imports.formats import csv_rows, text_source
from hextrackr_server.imports.formats.csv_rows import OPEN_QUOTE, read_rows
from hextrackr_server.imports.formats.dates import read_day
from hextrackr_server.imports.formats.day_reader import _without_time
from hextrackr_server.imports.formats.file_notices import MappedTotals
from hextrackr_server.imports.formats.file_warnings import FileWarnings
from hextrackr_server.imports.formats.finding import Finding
from hextrackr_server.imports.formats.hosts import LONGEST_ADDRESS, read_address
from hextrackr_server.imports.formats.mapper import RowMapper
from hextrackr_server.imports.formats.parts import findings_of
from hextrackr_server.imports.formats.profile import load_profiles
from hextrackr_server.imports.formats.row_cache import RowCache
from hextrackr_server.imports.formats.row_errors import NoFindingError
from hextrackr_server.imports.formats.text_source import TextSource, is_invalid

# Few different cells, so that rows repeat each other in part.
TABLES = {
    "tenable_vm": {
        "definition.id": ["1", "2", "", "definition.id"],
        "definition.name": ["Example", "Cisco IOS", "", "CVE-2030-1003"],
        "asset.name": ["h-1.example.test", "h-2", "192.0.2.9", "", "asset.name"],
        "asset.display_ipv4_address": ["192.0.2.1", "192.0.2.1/24", "192.000.2.1", "", "-"],
        "definition.cve": ["CVE-2030-1001", "CVE-2030-1001, CVE-2030-1002", "CVE-1", "odd", ""],
        "definition.cvss3.base_score": ["9.8", "75", "", "7,5"],
        "definition.vpr.score": ["5.0", "x", ""],
        "severity": ["High", "Odd", "", "None"],
        "state": ["ACTIVE", "FIXED", "Odd", ""],
        "risk_modified": ["NONE", "ACCEPTED", "true"],
        "first_seen": ["2030-01-02T01:02:03Z", "2030-01-02", "13/13/2030", "2031-01-01", ""],
        "last_seen": ["2030-02-03", "2030-02-03T04:05:06Z", "", "2040-01-01"],
        "last_fixed": ["2030-01-05", "odd", ""],
        "definition.plugin_published": ["2029-01-02", "odd", ""],
        "definition.epss.score": ["0.5", "50", "500", ""],
        "asset.operating_system": ["Linux", "Unknown", ""],
        "definition.description": ["text", "other\ntext", ""],
    },
    "rapid7_template": {
        "Asset IP Address": ["192.0.2.1", "192.0.2.2", "odd", ""],
        "Vulnerability ID": ["a", "cisco-b", ""],
        "Vulnerability Title": ["A", "", "Vulnerability Title"],
        "Vulnerability CVE IDs": ["CVE-2030-1001", ""],
        "Vulnerability Severity Level": ["9", "Severe", "odd", ""],
        "Vulnerability Test Result Code": ["vv", "nv", "er", "ep", "odd", ""],
        "Vulnerable Since": ["2030-01-02", "odd"],
    },
    "qualys_vm": {
        "IP": ["192.0.2.1", "192.0.2.2", ""],
        "IP Status": ["host scanned, no vuln", "host not alive"],
        "QID": ["1", "2", "", "QID"],
        "Title": ["A", "Title"],
        "Type": ["Ig", "Vuln", ""],
        "Severity": ["5", "5.0", "odd", ""],
        "CVSS3 Base": ["8.1 (AV:N)", "81", ""],
        "Vuln Status": ["Active", "Fixed", "odd"],
        "Vendor Reference": ["cisco-sa-example", ""],
    },
}
ROWS = st.sampled_from(sorted(TABLES)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.lists(
            st.tuples(*(st.sampled_from(cells) for cells in TABLES[name].values())), max_size=40
        ),
    )
)


class NoCache(RowCache[Any]):
    """A cache that is always empty."""

    def keep(self, key: Any, value: Any) -> None:
        """Store nothing, so that each row is mapped again."""


def map_all(
    name: str, rows: list[tuple[str, ...]], *, is_cached: bool, reads_extra: bool
) -> tuple[list[object], dict[tuple[str, str], int], object, list[str]]:
    """Return the results of all rows, the warnings by kind, the totals, and the named hosts."""
    warnings = FileWarnings()
    mapper = RowMapper(
        load_profiles()[name],
        list(TABLES[name]), "2030-06-01", warnings=warnings,
        reads_extra=reads_extra,
    )  # fmt: skip
    if not is_cached:
        for cache in ("_hosts", "_systems", "_plugins", "_seen"):
            setattr(mapper, cache, NoCache())
    results: list[object] = []
    for number, cells in enumerate(rows):
        try:
            results.append(mapper.map_findings(number, cells))
        except NoFindingError as error:
            results.append((type(error), error.message, error.mentions))
    totals = {each: getattr(mapper.totals, each) for each in mapper.totals.__slots__}
    return results, dict(warnings.counts), totals, sorted(mapper.named_hosts)


@pytest.mark.parametrize("reads_extra", [False, True])
@given(table=ROWS)
@settings(max_examples=200)
def test_cached_rows_equal_rows_that_are_mapped_alone(
    reads_extra: bool, table: tuple[str, list[tuple[str, ...]]]
) -> None:
    name, rows = table
    cached = map_all(name, rows * 2, is_cached=True, reads_extra=reads_extra)
    assert cached == map_all(name, rows * 2, is_cached=False, reads_extra=reads_extra)


def test_caches_stay_small_when_all_cells_differ() -> None:
    cache = RowCache[str]()
    for number in range(100_000):
        cache.keep((str(number), "x" * 500), "value")
    assert len(cache) <= 20_000
    assert sum(len(cell) for key in cache for cell in key) <= 8 << 20
    cache.clear()
    cache.keep("x" * 70_000, "value")
    assert not cache
    hosts = RowCache[str](100)
    for number in range(1000):
        hosts.keep(str(number), "value")
    assert len(hosts) == 100


def test_counts_stay_small_when_all_values_differ() -> None:
    totals, warnings = MappedTotals(), FileWarnings()
    first = date(2030, 1, 1).toordinal()
    for number in range(50_000):
        totals.add_last_day(date.fromordinal(first + number).isoformat())
        totals.leave_out(f"kind {number}")
        warnings.add("column", number, "value", f"message {number}")
    assert max(len(totals.last_days), len(totals.left_out), len(warnings.counts)) <= 10_001
    assert totals.last_days.total() == totals.left_out.total() == warnings.total == 50_000
    assert warnings.counts.total() == 50_000
    newest = sorted(totals.last_days)[-4000:]
    assert {totals.last_days[day] for day in newest} == {1}


def test_mapped_parts_are_the_same_objects_in_repeated_rows() -> None:
    mapper = RowMapper(load_profiles()["hub"], ["hostname", "cve", "severity"], "2030-06-01")
    first, second = (mapper.map_row(row, ["h", "CVE-2030-1001", "High"]) for row in (2, 3))
    assert first is not None
    assert second is not None
    assert [a is b for a, b in zip(first, second, strict=True)][1:5] == [True] * 4
    assert [type(each) for each in findings_of(first)] == [Finding]


TEXT = st.text(st.sampled_from('ab,"\n\r\0é \x0b\x0c\x1c\x85\u2028'), max_size=60)


@given(text=TEXT, block=st.integers(1, 20))
@example(text='a,b\n"', block=4)
@example(text='"a\r\nb",c\r\n', block=4)
@example(text="\r\0\na", block=1)
@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_blocks_of_any_size_give_the_rows_of_the_csv_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, block: int
) -> None:
    monkeypatch.setattr(text_source, "BLOCK", block)
    path = tmp_path / "export.csv"
    text = "header,of a file\n" + text  # a short text with NUL looks like UTF-16
    path.write_bytes(text.encode())
    found = list(read_rows(TextSource(path), ",", path))
    lines = io.StringIO(text.replace("\0", ""), newline="")
    rows = enumerate(csv.reader(lines, skipinitialspace=True), 1)
    expected = [(number, cells) for number, cells in rows if any(map(str.strip, cells))]
    is_open = bool(found) and found[-1][2] == OPEN_QUOTE
    if is_open and not any(map(str.strip, found[-1][1])):
        found.pop()  # an open quote at the very end, without a text
    assert [(number, cells) for number, cells, _, _ in found] == expected
    assert is_open == ends_in_quote(text.replace("\0", ""))


def ends_in_quote(text: str) -> bool:
    """Return whether the csv module requests another line within the last row of a text."""
    is_over = False

    def lines() -> Iterator[str]:
        nonlocal is_over
        yield from io.StringIO(text, newline="")
        is_over = True

    return any(is_over for _ in csv.reader(lines(), skipinitialspace=True))


def test_row_that_spans_blocks_keeps_its_invalid_bytes_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_source, "BLOCK", 16)
    path = tmp_path / "export.csv"
    path.write_bytes(
        'é,x\n1,"a\xff\nb\nccccccccccccccccccccccccccc",d\n2,e\n'.encode("latin-1").replace(
            b"\xe9", "é".encode()
        )
    )
    rows = [(cells, broken) for _, cells, _, broken in read_rows(TextSource(path), ",", path)]
    assert rows == [
        (["é", "x"], ()),
        (["1", "a\ufffd\nb\nccccccccccccccccccccccccccc", "d"], (1,)),
        (["2", "e"], ()),
    ]


def test_row_beyond_the_limit_ends_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (csv_rows, text_source):
        monkeypatch.setattr(module, "LONGEST_ROW", 100)
    monkeypatch.setattr(text_source, "BLOCK", 16)
    path = tmp_path / "export.csv"
    path.write_text("a,b\n" + '"' + '","\n'.join("x" * 9 for _ in range(40)) + "\n")
    rows = list(read_rows(TextSource(path), ",", path))
    assert rows[0][:2] == (1, ["a", "b"])
    assert rows[-1][2] == csv_rows.ENDLESS_ROW
    assert len(rows) == 2


@given(st.text(st.sampled_from("0123456789.:abcf%[]\" '\u0661"), max_size=20))
@example("192.0.2.1")
@example("255.255.255.255")
@example("256.0.0.1")
@example("01.2.3.4")
@example("::ffff:192.0.2.1")
def test_address_is_read_as_by_the_standard_library(text: str) -> None:
    bare = text.strip().strip("[]\"'")
    try:
        parsed = ipaddress.ip_address(bare)
        expected = str(getattr(parsed, "ipv4_mapped", None) or parsed)
    except ValueError:
        expected = ""
    assert read_address(text) == ("" if len(bare) > LONGEST_ADDRESS else expected)


@given(
    st.text(st.sampled_from("0123456789-T:.Z /'²"), max_size=24), st.sampled_from(["mdy", "dmy"])
)
@example("2030-01-02T03:04:05Z", "mdy")
@example("2030-01-023", "mdy")
def test_day_without_its_time_is_the_same_day(text: str, order: Any) -> None:
    text = text.strip()
    assert read_day(_without_time(text), order, 2030) == read_day(text, order, 2030)


@given(st.binary(max_size=20))
def test_text_is_invalid_if_its_bytes_are_not_utf_8(data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError:
        assert is_invalid(data.decode("utf-8", "surrogateescape"))
    else:
        assert not is_invalid(data.decode())

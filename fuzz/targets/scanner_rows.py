"""Rows of each CSV format: the header of a sample, and any cells.

The first byte of an input selects the format; the rest is one row of CSV, or several.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from zlib import crc32

from fuzz.exports import SCAN_DATE, check_finding, check_problem, check_texts
from fuzz.memory_file import memory_file
from fuzz.seeds import samples
from fuzz.target import Target
from hextrackr_server.imports.formats.csv_table import CsvTable, FileRefusedError
from hextrackr_server.imports.formats.detection import open_table
from hextrackr_server.imports.formats.mapper import RowMapper
from hextrackr_server.imports.formats.parts import findings_of
from hextrackr_server.imports.formats.row_errors import NoFindingError
from hextrackr_server.imports.formats.text_source import is_invalid


@lru_cache(maxsize=1)
def tables() -> list[CsvTable]:
    """Return the tables of the samples."""
    found = []
    for content in samples("samples/*.csv", "field/*.csv"):
        try:
            table = open_table(memory_file(content), allow_partial=True)
        except FileRefusedError:
            continue
        assert isinstance(table, CsvTable)
        found.append(table)
    return found


def make_mapper(number: int, *, reads_extra: bool) -> RowMapper:
    """Return a mapper for the rows of a sample."""
    header = tables()[number % len(tables())].header
    return RowMapper(header.profile, header.names, SCAN_DATE, reads_extra=reads_extra)


def run(data: bytes) -> None:
    """Map the rows with the further values; a part of the inputs also without them."""
    text = data[1:].decode("utf-8", "replace").replace("\0", "")
    if not text or is_invalid(text):
        return
    try:
        rows = list(islice(csv.reader(text.splitlines(keepends=True)), 20))
    except csv.Error:
        return
    full = make_mapper(data[0], reads_extra=True)
    # A mapper takes longer to make than a row to map.
    quick = None if crc32(data) & 3 else make_mapper(data[0], reads_extra=False)
    for number, cells in enumerate(rows, 2):
        full.is_footer(cells)
        found = map_row(full, number, cells)
        for finding in found:
            check_finding(finding)
        if quick is not None:
            again = map_row(quick, number, cells)
            assert [each.identity for each in again] == [each.identity for each in found]
    check_texts(full.warnings.as_json(full.column_warnings()))


def map_row(mapper: RowMapper, number: int, cells: list[str]) -> list:  # type: ignore[type-arg]
    """Return the findings of a row, with the values that the mapper reads."""
    try:
        if mapper._reads_extra:
            return mapper.map_findings(number, cells)
        row = mapper.map_row(number, cells)
        return [] if row is None else findings_of(row)
    except NoFindingError as error:
        check_problem(error)
        return []


def seeds() -> Iterator[bytes]:
    """Yield the first rows of each sample."""
    for number, table in enumerate(tables()):
        for _, cells, _, _ in islice(table.rows(), 3):
            quoted = ('"' + cell.replace('"', '""') + '"' for cell in cells)
            yield bytes((number,)) + ",".join(quoted).encode()


TARGET = Target(
    "rows of each CSV format: hosts, CVEs, scores, severities, states, days",
    lambda: list(seeds()),
    run,
    (
        b",", b'"', b"\n", b"CVE-2030-1001", b"cve-1999-1 CVE-2030-123456", b"192.0.2.1", b"::1",
        b"fe80::1%eth0", b"host.example.com", b"Critical", b"None", b"Info", b"10.0", b"11", b"-1",
        b"nan", b"1e5", b"7,5", b"2030-05-01", b"01/05/2030", b"5/1/30 10:00 PM", b"1893456000000",
        b"2030-13-45", b"Fixed", b"Active", b"True", b"\xef\xbf\xbd", b"\xc2\x85", b"443/tcp",
        b"\xd9\xa3", b"0", b"N/A", b"-",
    ),
    longest=700,
    borders=b',"\n',
)  # fmt: skip

"""Reads the findings of one export in one pass: the code that inspections and imports share.

The reader opens the table of a file, maps its rows and counts them. A second pass is made only if a
date column may be read in two ways. The caller decides how to treat findings and rejected
rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from hextrackr_server.imports.formats.csv_parts import REPEATED_HEADER
from hextrackr_server.imports.formats.csv_rows import HOST_ROW, NumberedRow
from hextrackr_server.imports.formats.csv_table import CsvTable
from hextrackr_server.imports.formats.dates import read_day
from hextrackr_server.imports.formats.day_reader import DEFAULT_ORDER, settle_date_orders
from hextrackr_server.imports.formats.detection import open_table
from hextrackr_server.imports.formats.file_warnings import (
    FileWarning,
    FileWarnings,
    describe_warning,
)
from hextrackr_server.imports.formats.finding import Finding
from hextrackr_server.imports.formats.mapper import RowMapper
from hextrackr_server.imports.formats.parts import Host, MappedRow
from hextrackr_server.imports.formats.profile import DateOrder, Profile, normalize
from hextrackr_server.imports.formats.row_errors import NoFindingError, RowRejectedError
from hextrackr_server.imports.formats.text_source import Checkpoint

if TYPE_CHECKING:
    from hextrackr_server.imports.formats.xml_table import XmlTable

CHUNK_ROWS: Final = 500

_Mapped = TypeVar("_Mapped")


def describe_empty(rows: int, findings: int, rejected: int) -> str:
    """Return why a file with these numbers of rows is not imported, or an empty string."""
    if not rows:
        return "the file has no rows: it consists of a header or an empty report"
    return f"none of the {rows} rows is valid" if rejected and not findings else ""


class RowResult(NamedTuple):
    """The findings of a row, or the reason why it has none."""

    number: int
    findings: Sequence[Finding]
    problem: NoFindingError | None = None


class RowChunk(NamedTuple):
    """Rows in the order of the file: those with findings, and those without, with the reason."""

    rows: list[MappedRow]
    problems: list[tuple[int, NoFindingError]]
    hosts: list[Host]
    """Hosts that the file names as scanned, without a finding in the rows that name them."""


class Absence(NamedTuple):
    """The missing findings that the file may resolve, and the reason why it resolves no others.

    `rule` is "hosts" (findings of the same format on the hosts that the file names) or "none".
    """

    rule: str
    reason: str


class ExportReader:
    """The reader of one file.

    `scan_date` is the day of the scan as YYYY-MM-DD; `is_dated` means that the user has given it. A
    date above the header is the day of the observation in any case. Raises FileRefusedError.
    """

    def __init__(
        self,
        path: Path,
        *,
        scan_date: str,
        is_dated: bool = False,
        vendor: str = "",
        mapping: Profile | None = None,
        allow_partial: bool = False,
        checkpoint: Checkpoint | None = None,
        reads_extra: bool = True,
    ) -> None:
        self._table = open_table(
            path, mapping=mapping, allow_partial=allow_partial, checkpoint=checkpoint
        )
        self.profile, self.names = _describe(self._table)
        # The date in the file is that of the observation, whatever the date of the import is.
        observed = scan_date
        if isinstance(self._table, CsvTable):
            observed = _preamble_day(self._table, scan_date) or scan_date
        self.scan_date = scan_date if is_dated else observed
        self.warnings = FileWarnings()
        self.mapper = RowMapper(
            self.profile,
            self.names,
            observed,
            vendor=vendor,
            settle_orders=self._settle_orders,
            warnings=self.warnings,
            reads_extra=reads_extra,
        )
        self.rows = 0
        self.rows_skipped = 0
        self.rows_rejected = 0

    def read(self) -> Iterator[RowResult]:
        """Yield the rows that have findings, are rejected, or report a check that was not run."""

        def map_row(number: int, cells: Sequence[str]) -> RowResult | None:
            findings = self.mapper.map_findings(number, cells)
            return RowResult(number, findings) if findings else None

        for rows, problems, _ in self._read_chunks(map_row, 1):
            yield from rows
            for number, problem in problems:
                yield RowResult(number, (), problem)

    def read_rows(self, size: int = CHUNK_ROWS) -> Iterator[RowChunk]:
        """Yield the rows as `read` does, in chunks, and without objects for single findings."""
        for chunk in self._read_chunks(self.mapper.map_row, size):
            yield RowChunk(*chunk)

    def _read_chunks(
        self, map_row: Callable[[int, Sequence[str]], _Mapped | None], size: int
    ) -> Iterator[tuple[list[_Mapped], list[tuple[int, NoFindingError]], list[Host]]]:
        """Yield the parts of chunks; `map_row` returns None for a row to skip."""
        rows: list[_Mapped] = []
        problems: list[tuple[int, NoFindingError]] = []
        hosts = self.mapper.named_hosts
        for number, cells, problem, invalid_cells in self._table.rows():
            if number == HOST_ROW:
                self.mapper.name_host(cells)
                continue
            self.rows += 1
            try:
                if (problem or invalid_cells or len(cells) <= 2) and self._is_skipped(
                    number, cells, problem, invalid_cells
                ):
                    self.rows_skipped += 1
                    continue
                row = map_row(number, cells)
            except NoFindingError as error:
                if self._is_reported(cells, error):
                    problems.append((number, error))
            else:
                if row is None:
                    self.rows_skipped += 1
                else:
                    rows.append(row)
            if len(rows) + len(problems) + len(hosts) >= size:
                problems += self.mapper.take_unscanned()
                yield rows, problems, list(hosts.values())
                rows, problems = [], []
                hosts.clear()
        problems += self.mapper.take_unscanned()
        if rows or problems or hosts:
            yield rows, problems, list(hosts.values())

    def _is_skipped(
        self, number: int, cells: Sequence[str], problem: str, invalid_cells: Sequence[int]
    ) -> bool:
        """Return whether a row is a header or a footer; warn of invalid bytes.

        Raises RowRejectedError for a row that cannot be read.
        """
        for index in invalid_cells:
            column = self.mapper.columns.name_of(index)
            message = "bytes that are not UTF-8 were replaced"
            self.warnings.add(column, number, cells[index], message)
        if problem and problem != REPEATED_HEADER:
            raise RowRejectedError("", problem)
        return bool(problem) or (len(cells) <= 2 and self.mapper.is_footer(cells))

    def _is_reported(self, cells: Sequence[str], error: NoFindingError) -> bool:
        """Count a row without a finding; return whether the row may refer to stored findings."""
        if not isinstance(error, RowRejectedError):
            self.rows_skipped += 1
            return True
        if cells and self.mapper.is_footer(cells):
            self.rows_skipped += 1
            return False
        self.rows_rejected += 1
        return True

    def used_columns(self) -> dict[str, list[str]]:
        """Return the names of the columns from which each field is read."""
        return {
            field: [self.names[index] for index in indexes]
            for field, indexes in self.mapper.columns.by_field.items()
        }

    def unused_columns(self) -> list[str]:
        """Return the names of the columns that are not read."""
        used = {index for each in self.mapper.columns.by_field.values() for index in each}
        return [name for index, name in enumerate(self.names) if index not in used and name]

    def column_warnings(self) -> list[FileWarning]:
        """Return the warnings on whole columns and on the end of the file, once it was read."""
        found = self.mapper.column_warnings()
        if self._open_end is not None:
            number, cells, _, _ = self._open_end
            column = self.mapper.columns.name_of(len(cells) - 1)
            message = (
                "the last row has no line end: if the file was cut off, this cell and the rows "
                "behind it are missing; nothing is resolved by absence"
            )
            found.append(describe_warning(column, number, cells[-1], message))
        return found

    def absence(self) -> Absence:
        """Return what the file may resolve by absence, once it was read."""
        profile = self.profile
        if self._table.incomplete:
            return Absence("none", "the file is incomplete")
        resolve = profile.resolve
        has_states = "state" in self.mapper.columns.by_field
        if not has_states and profile.resolve_without_state is not None:
            resolve = profile.resolve_without_state
        if resolve == "hosts" and (column := self._column_of_changes()):
            return Absence("none", f"the column {column!r} shows that the file lists changes only")
        if resolve == "none":
            return Absence("none", "an export of this format does not list all findings of a host")
        if self._open_end is not None:
            return Absence(
                "none", "the last row has no line end, so the file may be cut off behind it"
            )
        if not isinstance(self._table, CsvTable) and self._table.filtered:
            return Absence("none", f"the report is filtered ({self._table.filtered})")
        # A complete export of such a scanner has Info findings: without any, a filter was applied.
        severities = self.mapper.totals.found_severities()
        if not severities:
            return Absence("none", "the file has no finding, so it names no host")
        if profile.lists_info and "Info" not in severities:
            return Absence("none", "the file has no Info finding, so it looks filtered")
        if len(severities) == 1 and "Unknown" not in severities:
            return Absence(
                "none", f"all findings are {min(severities)}, so the file looks filtered"
            )
        if not self.mapper.totals.has_several_plugins:
            return Absence("none", "all findings are of one plugin, so the file looks filtered")
        return Absence(resolve, "")

    def _column_of_changes(self) -> str:
        """Return the column of an export of changes, or an empty string."""
        known = set(map(normalize, self.names))
        return next((name for name in self.profile.changes_with if normalize(name) in known), "")

    @property
    def incomplete(self) -> str:
        """The reason why the file is incomplete, after it was read; empty for a whole file."""
        return self._table.incomplete

    @property
    def _open_end(self) -> NumberedRow | None:
        return self._table.open_end if isinstance(self._table, CsvTable) else None

    def _settle_orders(self) -> Mapping[int, DateOrder]:
        return settle_date_orders(
            self.profile,
            self.names,
            lambda: (cells for _, cells, problem, _ in self._table.rows() if not problem),
            self.warnings,
        )


def _describe(table: CsvTable | XmlTable) -> tuple[Profile, Sequence[str]]:
    if isinstance(table, CsvTable):
        return table.header.profile, table.header.names
    return table.profile, table.names


def _preamble_day(table: CsvTable, default: str) -> str | None:
    """Return the day below or next to the profile's heading above the header."""
    wanted = table.header.profile.preamble_date
    if wanted is None:
        return None
    order = table.header.profile.date_order or DEFAULT_ORDER
    rows = table.header.preamble
    for index, row in enumerate(rows):
        for column, cell in enumerate(row):
            if normalize(cell) != normalize(wanted):
                continue
            below = rows[index + 1][column : column + 1] if index + 1 < len(rows) else ()
            for text in (*row[column + 1 : column + 2], *below):
                if day := read_day(text, order, int(default[:4])):
                    return day
    return None

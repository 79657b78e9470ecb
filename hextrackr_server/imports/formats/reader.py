"""Reads the findings of one export in one pass: the code that inspections and imports share.

The reader opens the table of a file, maps its rows and counts them. A second pass is made only if a
date column may be read in two ways. The caller decides how to treat findings and rejected
rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hextrackr_server.imports.formats.csv_table import CsvTable
from hextrackr_server.imports.formats.dates import read_day
from hextrackr_server.imports.formats.detection import open_table
from hextrackr_server.imports.formats.file_warnings import FileWarning, FileWarnings
from hextrackr_server.imports.formats.finding import Finding
from hextrackr_server.imports.formats.mapper import (
    DEFAULT_ORDER,
    NoFindingError,
    RowMapper,
    RowRejectedError,
    settle_date_orders,
)
from hextrackr_server.imports.formats.profile import DateOrder, Profile, normalize
from hextrackr_server.imports.formats.text_source import Checkpoint
from hextrackr_server.imports.formats.xml_table import XmlTable


class RowResult(NamedTuple):
    """The findings of a row, or the reason why it has none."""

    number: int
    findings: Sequence[Finding]
    problem: NoFindingError | None = None


class Absence(NamedTuple):
    """Which findings the file may resolve by not naming them, and why no others.

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
        mapper = self.mapper
        for row in self._table.rows():
            self.rows += 1
            number, cells = row.number, row.cells
            if row.invalid_cells:
                self._warn_of_bytes(number, cells, row.invalid_cells)
            if row.problem:
                self.rows_rejected += 1
                yield RowResult(number, (), RowRejectedError("", row.problem))
                continue
            if len(cells) <= 2 and mapper.is_footer(cells):
                self.rows_skipped += 1
                continue
            try:
                findings = mapper.map_row(number, cells)
            except RowRejectedError as error:
                if mapper.is_footer(cells):
                    self.rows_skipped += 1
                    continue
                self.rows_rejected += 1
                yield RowResult(number, (), error)
            except NoFindingError as error:
                self.rows_skipped += 1
                yield RowResult(number, (), error)
            else:
                if findings:
                    yield RowResult(number, findings)
                else:
                    self.rows_skipped += 1

    def column_warnings(self) -> list[FileWarning]:
        """Return the warnings on whole columns, once the file was read."""
        return self.mapper.column_warnings()

    def absence(self) -> Absence:
        """Return what the file may resolve by absence, once it was read."""
        profile = self.profile
        if self._table.incomplete:
            return Absence("none", "the file is incomplete")
        resolve = profile.resolve
        if "state" not in self.mapper.columns and profile.resolve_without_state is not None:
            resolve = profile.resolve_without_state
        if resolve == "none":
            return Absence("none", "an export of this format does not list all findings of a host")
        if isinstance(self._table, XmlTable) and self._table.filtered:
            return Absence("none", f"the report is filtered ({self._table.filtered})")
        # A complete export of such a scanner has Info findings: without any, a filter was applied.
        severities = self.mapper.severities
        if not severities:
            return Absence("none", "the file has no finding, so it names no host")
        if profile.lists_info and "Info" not in severities:
            return Absence("none", "the file has no Info finding, so it looks filtered")
        if len(severities) == 1 and "Unknown" not in severities:
            return Absence(
                "none", f"all findings are {min(severities)}, so the file looks filtered"
            )
        if not self.mapper.has_several_plugins:
            return Absence("none", "all findings are of one plugin, so the file looks filtered")
        return Absence(resolve, "")

    @property
    def incomplete(self) -> str:
        """Why the file is incomplete, once it was read; empty for a whole file."""
        return self._table.incomplete

    def _settle_orders(self) -> Mapping[int, DateOrder]:
        return settle_date_orders(
            self.profile,
            self.names,
            lambda: (row.cells for row in self._table.rows() if not row.problem),
            self.warnings,
        )

    def _warn_of_bytes(self, number: int, cells: Sequence[str], indexes: Sequence[int]) -> None:
        for index in indexes:
            column = self.mapper.column_name(index)
            message = "bytes that are not UTF-8 were replaced"
            self.warnings.add(column, number, cells[index], message)


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

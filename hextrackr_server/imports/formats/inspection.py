"""Reads a whole export without a database: its format, its findings and its warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from hextrackr_server.imports.formats.csv_table import CsvTable, FileRefusedError
from hextrackr_server.imports.formats.dates import day_in_file_name, read_day
from hextrackr_server.imports.formats.detection import open_table
from hextrackr_server.imports.formats.file_warnings import FileWarnings
from hextrackr_server.imports.formats.finding import Finding, weight
from hextrackr_server.imports.formats.mapper import (
    DEFAULT_ORDER,
    RowMapper,
    RowRejectedError,
    settle_date_orders,
)
from hextrackr_server.imports.formats.profile import Profile, normalize
from hextrackr_server.imports.formats.xml_table import XmlTable


@dataclass(slots=True)
class Inspection:
    """What an import of a file would read.

    `refused` is the reason why the file is not imported, or None. `columns` maps the fields to the
    names of the columns that they are read from.
    """

    profile: str | None
    title: str = ""
    scan_date: str = ""
    columns: dict[str, list[str]] = field(default_factory=dict)
    unused_columns: list[str] = field(default_factory=list)
    rows: int = 0
    rows_skipped: int = 0
    rows_rejected: int = 0
    findings: list[Finding] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    warning_counts: dict[str, int] = field(default_factory=dict)
    resolve: str = "none"
    refused: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the keys of `inspect --json`."""
        body: dict[str, Any] = {
            "profile": self.profile,
            "scan_date": self.scan_date,
            "may_resolve_absent": self.resolve,
            "columns": self.columns,
            "unused_columns": self.unused_columns,
            "warnings": self.warnings,
            "rows": self.rows,
            "rows_skipped": self.rows_skipped,
            "rows_rejected": self.rows_rejected,
            "findings": [finding.as_json() for finding in self.findings],
        }
        if self.refused is not None:
            body["refused"] = self.refused
        return body


def inspect_file(
    path: Path,
    *,
    scan_date: str | None = None,
    vendor: str = "",
    mapping: Profile | None = None,
    allow_partial: bool = False,
    today: date | None = None,
) -> Inspection:
    """Read a file as an import would. A refused file gives an inspection with the reason."""
    today = today or datetime.now(UTC).date()
    day = scan_date or day_in_file_name(path.name, today) or today.isoformat()
    try:
        table = open_table(path, mapping=mapping, allow_partial=allow_partial)
    except FileRefusedError as error:
        return Inspection(None, scan_date=day, refused=str(error))
    profile, names = _describe(table)
    if scan_date is None and isinstance(table, CsvTable):
        day = _preamble_day(table, day) or day
    warnings = FileWarnings()
    inspection = Inspection(profile.id, profile.title, day)
    try:
        orders = settle_date_orders(
            profile, names, lambda: (row.cells for row in table.rows() if not row.problem), warnings
        )
        mapper = RowMapper(
            profile, names, day, vendor=vendor, date_orders=orders, warnings=warnings
        )
        _read_rows(table, mapper, inspection)
    except FileRefusedError as error:
        inspection.refused = str(error)
        inspection.findings.clear()
        return inspection
    inspection.resolve = _may_resolve(profile, mapper, table)
    _describe_columns(inspection, mapper, names)
    first = mapper.column_warnings()
    inspection.warnings = warnings.as_json(first)
    inspection.warning_counts = {
        f"{column}: {message}" if column else message: count
        for (column, message), count in warnings.counts.most_common()
    }
    return inspection


def _describe(table: CsvTable | XmlTable) -> tuple[Profile, Sequence[str]]:
    if isinstance(table, CsvTable):
        return table.header.profile, table.header.names
    return table.profile, table.names


def _preamble_day(table: CsvTable, default: str) -> str | None:
    """Return the day below or next to the profile's heading above the header."""
    wanted = table.header.profile.preamble_date
    if wanted is None:
        return None
    rows = table.header.preamble
    for index, row in enumerate(rows):
        for column, cell in enumerate(row):
            if normalize(cell) != normalize(wanted):
                continue
            below = rows[index + 1][column : column + 1] if index + 1 < len(rows) else ()
            for text in (*row[column + 1 : column + 2], *below):
                if day := read_day(
                    text, table.header.profile.date_order or DEFAULT_ORDER, int(default[:4])
                ):
                    return day
    return None


def _read_rows(table: CsvTable | XmlTable, mapper: RowMapper, inspection: Inspection) -> None:
    kept: dict[tuple[str, str], Finding] = {}
    for row in table.rows():
        inspection.rows += 1
        for index in row.invalid_cells:
            mapper.warnings.add(
                mapper.column_name(index), row.number, row.cells[index],
                "bytes that are not UTF-8 were replaced",
            )  # fmt: skip
        if row.problem:
            inspection.rows_rejected += 1
            mapper.warnings.add("", row.number, None, f"the row is left out: {row.problem}")
            continue
        if mapper.is_footer(row.cells):
            inspection.rows_skipped += 1
            continue
        try:
            findings = mapper.map_row(row.number, row.cells)
        except RowRejectedError as error:
            inspection.rows_rejected += 1
            mapper.warnings.add(
                error.column, row.number, error.value, f"the row is left out: {error.message}"
            )
            continue
        if not findings:
            inspection.rows_skipped += 1
        for finding in findings:
            _keep(kept, finding)
    inspection.findings = list(kept.values())


def _keep(kept: dict[tuple[str, str], Finding], finding: Finding) -> None:
    """Keep one finding per host and identity: the heaviest, with the widest span of days."""
    key = (finding.host_key, finding.identity)
    other = kept.get(key)
    if other is None:
        kept[key] = finding
        return
    best = finding if weight(finding) > weight(other) else other
    best.first_seen = min(finding.first_seen, other.first_seen)
    best.last_seen = max(finding.last_seen, other.last_seen)
    kept[key] = best


def _may_resolve(profile: Profile, mapper: RowMapper, table: CsvTable | XmlTable) -> str:
    """Return what the absence of a finding from this file may resolve: "none" or "hosts"."""
    resolve = profile.resolve
    if "state" not in mapper.columns and profile.resolve_without_state is not None:
        resolve = profile.resolve_without_state
    # A complete export of such a scanner has Info findings: without any, a filter was applied.
    if table.incomplete or (profile.lists_info and not mapper.has_info):
        return "none"
    return resolve


def _describe_columns(inspection: Inspection, mapper: RowMapper, names: Sequence[str]) -> None:
    inspection.columns = {
        name: [names[index] for index in indexes] for name, indexes in mapper.columns.items()
    }
    used = {index for indexes in mapper.columns.values() for index in indexes}
    inspection.unused_columns = [
        name for index, name in enumerate(names) if index not in used and name
    ]

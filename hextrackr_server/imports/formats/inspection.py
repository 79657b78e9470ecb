"""Reads a whole export without a database: its format, its findings and its warnings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from hextrackr_server.imports.formats.csv_table import FileRefusedError
from hextrackr_server.imports.formats.dates import day_in_file_name
from hextrackr_server.imports.formats.finding import Finding, weight
from hextrackr_server.imports.formats.profile import Profile
from hextrackr_server.imports.formats.reader import ExportReader, describe_empty
from hextrackr_server.imports.formats.row_errors import RowRejectedError

# The beginning of the warning of a rejected row.
_LEFT_OUT: Final = "the row is left out: "


@dataclass(slots=True)
class Inspection:
    """The result of an inspection: the values that an import of the file would read.

    `refused` is the reason why the file is not imported, or None. `columns` maps the fields to the
    names of the columns that they are read from. `warnings` contains rejected rows as well; the
    counts by kind are separate.
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
    rejection_counts: dict[str, int] = field(default_factory=dict)
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
    inspection = Inspection(None, scan_date=day)
    try:
        reader = ExportReader(
            path,
            scan_date=day,
            is_dated=scan_date is not None,
            vendor=vendor,
            mapping=mapping,
            allow_partial=allow_partial,
        )
        profile = reader.profile
        inspection = Inspection(profile.id, profile.title, reader.scan_date)
        inspection.findings = _read_findings(reader)
    except FileRefusedError as error:
        inspection.refused = str(error)
        inspection.profile = inspection.profile or error.profile or None
        return inspection
    inspection.rows = reader.rows
    inspection.rows_skipped = reader.rows_skipped
    inspection.rows_rejected = reader.rows_rejected
    found = len(inspection.findings)
    inspection.refused = describe_empty(reader.rows, found, reader.rows_rejected) or None
    inspection.resolve = reader.absence().rule
    inspection.columns = reader.used_columns()
    inspection.unused_columns = reader.unused_columns()
    inspection.warnings = reader.warnings.as_json(reader.column_warnings())
    for (column, message), count in reader.warnings.counts.most_common():
        is_rejection = message.startswith(_LEFT_OUT)
        counts = inspection.rejection_counts if is_rejection else inspection.warning_counts
        text = message.removeprefix(_LEFT_OUT)
        counts[f"{column}: {text}" if column else text] = count
    return inspection


def _read_findings(reader: ExportReader) -> list[Finding]:
    kept: dict[tuple[str, str], Finding] = {}
    for number, findings, problem in reader.read():
        for finding in findings:
            _keep(kept, finding)
        if isinstance(problem, RowRejectedError):
            reader.warnings.add(problem.column, number, problem.value, _LEFT_OUT + problem.message)
    return list(kept.values())


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

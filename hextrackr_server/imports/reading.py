"""Reads and maps the file of an import into a stage file.

`read_export` runs in the process of its caller; `reading_process` runs it in a process of its own.
Neither uses the database. The outcome holds numbers, warnings and problems of rows: everything but
the findings, which are in the stage file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import msgspec

from hextrackr_server.errors import ServiceError, invalid
from hextrackr_server.imports.formats.file_warnings import LONGEST_COLUMN, LONGEST_VALUE
from hextrackr_server.imports.formats.parts import MappedRow, findings_of
from hextrackr_server.imports.formats.profile import parse_profile
from hextrackr_server.imports.formats.reader import ExportReader
from hextrackr_server.imports.formats.row_errors import RowRejectedError
from hextrackr_server.imports.staging import Stage
from hextrackr_server.text import clean

#: Rejected rows and warnings that the outcome holds in full.
MAXIMUM_DETAILS: Final = 100
#: Kinds of warnings in the outcome, the most frequent first.
MAXIMUM_KINDS: Final = 50
#: Columns that the outcome names, for each field and without one.
MAXIMUM_COLUMNS: Final = 200
#: A file with so many rejected rows, for each of which fewer than HOPELESS_SHARE are usable, is not
#: read to its end. Reading that many rows takes about 4 seconds.
HOPELESS_ROWS: Final = 200_000
HOPELESS_SHARE: Final = 0.02
#: Rejected rows that the refusal of such a file names.
NAMED_ROWS: Final = 10


class ReadRequest(msgspec.Struct, frozen=True):
    """A file to read, and how to read it.

    `mapping` is the text of a valid profile for the file, or empty. `maximum` limits the estimated
    bytes of the findings in the database. `previewed` is the number of findings in the preview.
    """

    path: str
    stage: str
    scan_date: str
    is_dated: bool
    vendor: str
    mapping: str
    allow_partial: bool
    maximum: int
    previewed: int = 0


class RowProblem(msgspec.Struct, omit_defaults=True):
    """A problem of one row; rows are numbered as in a spreadsheet."""

    row: int
    column: str
    message: str
    value: str | None = None


class PreviewFinding(msgspec.Struct, rename="camel"):
    """A finding as the file reports it; `row` is the number of its row as in a spreadsheet."""

    row: int
    hostname: str
    address: str
    host_key: str
    cve: str
    plugin_id: str
    plugin_name: str
    vendor: str
    severity: str
    cvss_score: float | None
    vpr_score: float | None
    state: str
    closed_as: str | None
    first_seen: str
    last_seen: str


class ReadOutcome(msgspec.Struct):
    """The format of a file, and the numbers, warnings and problems of its rows.

    `findings` counts duplicates, `distinct` does not. `absence` is the rule and the reason of
    `ExportReader.absence`. Warnings are as in `FileWarning`, `kinds` their column, message and
    number. `fields` maps the fields to the names of the columns that they are read from.
    """

    profile: str
    title: str
    ids: str
    scan_date: str
    rows: int
    rows_skipped: int
    errors: int
    error_details: list[RowProblem]
    columns: list[dict[str, Any]]
    warnings: int
    warning_details: list[dict[str, Any]]
    kinds: list[tuple[str, str, int]]
    incomplete: str
    absence: tuple[str, str]
    findings: int
    distinct: int
    has_mentions: bool
    vendors: list[str]
    fields: dict[str, list[str]]
    unused_columns: list[str]
    preview: list[PreviewFinding]


#: Called once with the title of the file's format.
OnOpened = Callable[[str], None]
#: Called while reading waits; it may raise.
Check = Callable[[], None]
#: Called from time to time with the position in bytes and the number of rows; it may raise.
OnRead = Callable[[int, int], None]


def read_export(
    request: ReadRequest, on_opened: OnOpened, on_read: OnRead, _: Check = lambda: None
) -> ReadOutcome:
    """Read a file into its stage file.

    Raises FileRefusedError if the file is refused, ServiceError if its findings are too large.
    """
    reader: ExportReader | None = None

    def checkpoint(position: int) -> None:
        on_read(position, 0 if reader is None else reader.rows)

    reader = ExportReader(
        Path(request.path),
        scan_date=request.scan_date,
        is_dated=request.is_dated,
        vendor=request.vendor,
        mapping=parse_profile(request.mapping, "mapping") if request.mapping else None,
        allow_partial=request.allow_partial,
        checkpoint=checkpoint,
        reads_extra=False,
    )
    on_opened(reader.profile.title)
    stage = Stage(Path(request.stage), reader.profile.ids)
    try:
        preview: list[PreviewFinding] = []
        errors, details = _fill(stage, reader, request, preview)
        distinct, vendors = stage.finish()
    finally:
        stage.close()
    outcome = _outcome(reader, stage, errors, details, distinct, vendors)
    outcome.preview = preview
    return outcome


def _fill(
    stage: Stage, reader: ExportReader, request: ReadRequest, preview: list[PreviewFinding]
) -> tuple[int, list[RowProblem]]:
    """Stage all rows; return the number of rejected rows, and the first of them."""
    errors, accepted, maximum = 0, 0, request.maximum
    details: list[RowProblem] = []
    for rows, problems, hosts in reader.read_rows():
        for host in hosts:
            stage.name_host(host)
        accepted += len(rows)
        for row in rows:
            stage.add(row)
            if stage.size > maximum:
                raise _file_too_large(row[0], maximum)
        if len(preview) < request.previewed:
            _preview(preview, rows, request.previewed)
        for number, problem in problems:
            stage.mention(problem.mentions)
            if isinstance(problem, RowRejectedError):
                errors += 1
                if len(details) < MAXIMUM_DETAILS:
                    details.append(_problem_of(number, problem))
        if errors >= HOPELESS_ROWS and accepted + reader.rows_skipped < errors * HOPELESS_SHARE:
            raise _hopeless(errors, reader.rows, details)
    return errors, details


def _preview(preview: list[PreviewFinding], rows: Sequence[MappedRow], maximum: int) -> None:
    """Add findings to the preview, up to the maximum."""
    for row in rows:
        for finding in findings_of(row):
            if len(preview) >= maximum:
                return
            preview.append(
                PreviewFinding(
                    finding.row_number, finding.hostname, finding.ip_address, finding.host_key,
                    finding.cve, finding.plugin_id, finding.plugin_name, finding.vendor,
                    finding.severity, finding.cvss_score, finding.vpr_score, finding.state,
                    finding.closed_as, finding.first_seen, finding.last_seen,
                )
            )  # fmt: skip


def _names(names: Sequence[str]) -> list[str]:
    return [clean(name, LONGEST_COLUMN) for name in names[:MAXIMUM_COLUMNS]]


def _problem_of(number: int, error: RowRejectedError) -> RowProblem:
    value = clean(error.value, LONGEST_VALUE) if error.value else None
    return RowProblem(number, clean(error.column, LONGEST_COLUMN), error.message, value)


def _outcome(
    reader: ExportReader,
    stage: Stage,
    errors: int,
    details: list[RowProblem],
    distinct: int,
    vendors: list[str],
) -> ReadOutcome:
    columns, warnings, absence = reader.column_warnings(), reader.warnings, reader.absence()
    return ReadOutcome(
        profile=reader.profile.id,
        title=reader.profile.title,
        ids=reader.profile.ids,
        scan_date=reader.scan_date,
        rows=reader.rows,
        rows_skipped=reader.rows_skipped,
        errors=errors,
        error_details=details,
        columns=[asdict(each) for each in columns],
        warnings=len(columns) + warnings.counts.total(),
        warning_details=[asdict(each) for each in warnings.first(MAXIMUM_DETAILS)],
        kinds=[(*kind, count) for kind, count in warnings.counts.most_common(MAXIMUM_KINDS)],
        incomplete=reader.incomplete,
        absence=(absence.rule, absence.reason),
        findings=stage.count,
        distinct=distinct,
        has_mentions=stage.has_mentions,
        vendors=vendors,
        fields={name: _names(columns) for name, columns in reader.used_columns().items()},
        unused_columns=_names(reader.unused_columns()),
        preview=[],
    )


def _hopeless(errors: int, rows: int, details: list[RowProblem]) -> ServiceError:
    first = details[0]
    problem = f"{first.column}: {first.message}" if first.column else first.message
    message = (
        f"{errors} of the first {rows} rows of the file are rejected, so it was not "
        f"read to its end; nothing was changed. The first rejected row is row {first.row} "
        f"({problem}). Check the separator and the header of the file, or assign its columns with "
        "a mapping; if most rows are meant to be rejected, remove them from the file"
    )
    fields = [(f"row {each.row}", f"{each.column}: {each.message}") for each in details]
    return invalid(message, fields[:NAMED_ROWS])


def _file_too_large(row_number: int, maximum: int) -> ServiceError:
    megabytes = maximum // (1024 * 1024)
    problem = ("cve", "each CVE of a row is stored as a finding: split the file")
    message = (
        f"A file of this size may contain {megabytes} MB of findings, row {row_number} exceeds"
    )
    return invalid(f"{message} that; nothing was changed", [problem])

"""Reads the list of stored imports, with the numbers of their results.

The importer writes a result as JSON; a list needs a few of its numbers. The progress of running
imports belongs to `imports.progress_tracker`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from hextrackr_server.findings.pages import Page, PageRequest, read_page
from hextrackr_server.storage.schema import import_jobs as jobs

_COLUMNS: Final = (
    "import_id", "session_id", "user_id", "filename", "vendor", "scan_date", "scope", "status",
    "total", "processed", "errors", "error_code", "error_message", "created_at", "started_at",
    "finished_at", "undone_at",
)  # fmt: skip
_SORTABLE: Final = {name: jobs.c[name] for name in _COLUMNS}


class _Absence(msgspec.Struct, rename="camel"):
    confirmation_required: bool | None = None


class _Summary(msgspec.Struct):
    profile: str | None = None
    findings: int | None = None
    inserted: int | None = None
    updated: int | None = None
    reopened: int | None = None
    resolved: int | None = None
    withheld: int | None = None
    absence: _Absence = msgspec.field(default_factory=_Absence)


class _Result(msgspec.Struct):
    """The numbers of a result that the list contains; a failure has none of them."""

    warnings: int | None = None
    summary: _Summary = msgspec.field(default_factory=_Summary)


_decode = msgspec.json.Decoder(_Result).decode


def stored_imports(connection: Connection, request: PageRequest) -> Page:
    """Return a page of the imports of the request's user, or of all users, the newest first."""
    query = select(*(jobs.c[name] for name in _COLUMNS), jobs.c.result)
    if request.user_id is not None:
        query = query.where(jobs.c.user_id == request.user_id)
    for name, value in request.filters:
        query = query.where(jobs.c[name] == value)
    rows, total = read_page(
        connection, request, query, _SORTABLE, "-import_id", jobs.c.import_id.desc()
    )
    return Page([_import(row) for row in rows], total)


def stored_import(connection: Connection, import_id: int) -> dict[str, Any] | None:
    """Return one import as the list contains it, or None if the database does not have it."""
    query = select(*(jobs.c[name] for name in _COLUMNS), jobs.c.result)
    row = connection.execute(query.where(jobs.c.import_id == import_id)).mappings().first()
    return None if row is None else _import(row)


def _import(row: Any) -> dict[str, Any]:
    result = _Result() if row["result"] is None else _decode(row["result"])
    numbers = msgspec.structs.asdict(result.summary)
    absence = numbers.pop("absence")
    return {
        **{name: row[name] for name in _COLUMNS},
        **numbers,
        "warnings": result.warnings,
        "confirmation_required": absence.confirmation_required,
    }

"""Exports findings as CSV or JSON, page by page in bounded memory.

Each page is one read of the database, in the order of IDs. An import that ends during an export may
change findings on later pages; no finding is missing or contained twice.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, select, true

from hextrackr_server.errors import invalid
from hextrackr_server.findings.filters import IS_OPEN, Filters, conditions, parse_filters
from hextrackr_server.findings.query_executor import QueryExecutor
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.finding_tables import findings, vulnerabilities_current

current = vulnerabilities_current

PAGE_ROWS: Final = 1000
LIMIT_SECONDS: Final = 15.0
FORMATS: Final = ("csv", "json")
STATES: Final[Mapping[str, ColumnElement[bool]]] = {
    "open": IS_OPEN,
    "resolved": ~IS_OPEN,
    "all": true(),
}
COLUMNS: Final = (
    "hostname", "host_key", "ip_address", "cve", "plugin_id", "plugin_name", "vendor", "severity",
    "cvss_score", "vpr_score", "first_seen", "last_seen", "vulnerability_date", "scan_date",
    "state", "lifecycle_state", "resolved_date", "resolution_reason", "operating_system", "source",
    "description", "solution",
)  # fmt: skip
# A spreadsheet runs a cell that begins with one of these as a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class ExportRequest:
    """A validated request: the format, the lifecycle states and the filters."""

    __slots__ = ("filters", "format", "state")

    def __init__(self, parameters: Mapping[str, str]) -> None:
        """Parse query parameters; raise ServiceError VALIDATION_ERROR that names invalid ones."""
        values: dict[str, Any] = dict(parameters)
        self.format: str = values.pop("format", FORMATS[0])
        state = values.pop("state", "open")
        problems = []
        if self.format not in FORMATS:
            problems.append(("format", "must be one of: " + ", ".join(FORMATS)))
        if state not in STATES:
            problems.append(("state", "must be one of: " + ", ".join(STATES)))
        if problems:
            raise invalid("Invalid export request", problems)
        self.state = STATES[state]
        if "severity" in values:
            values["severity"] = values["severity"].split(",")
        if values.get("isKev") in {"true", "false"}:
            values["isKev"] = values["isKev"] == "true"
        self.filters: Filters = parse_filters(values)


class FindingExporter:
    """Access to findings for exports; used on the event loop's thread."""

    def __init__(self, database: Database, executor: QueryExecutor) -> None:
        self._database = database
        self._executor = executor

    async def export(self, request: ExportRequest, user_id: str) -> AsyncIterator[bytes]:
        """Yield the bytes of an export, one chunk per page; raise ServiceError for a slow query."""
        is_csv = request.format == "csv"
        last = 0
        while True:
            rows = await self._executor.run(user_id, self._page, request, last)
            chunk = _csv_rows(rows) if is_csv else _json_rows(rows, is_first=last == 0)
            if last == 0:
                chunk = (_csv_line(COLUMNS) if is_csv else b"[") + chunk
            if len(rows) < PAGE_ROWS:
                yield chunk + (b"" if is_csv else b"\n]\n")
                return
            yield chunk
            last = rows[-1]["id"]

    def _page(self, request: ExportRequest, last: int) -> list[Mapping[str, Any]]:
        ids = (
            select(findings.c.id)
            .where(findings.c.id > last, request.state, *conditions(request.filters))
            .order_by(findings.c.id)
            .limit(PAGE_ROWS)
        )
        query = (
            select(current.c.id, *(current.c[name] for name in COLUMNS))
            .where(current.c.id.in_(ids))
            .order_by(current.c.id)
        )
        with self._database.reading(LIMIT_SECONDS) as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _csv_line(cells: tuple[str, ...]) -> bytes:
    return (",".join(cells) + "\r\n").encode()


def _csv_rows(rows: list[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(row[name]) for name in COLUMNS] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _json_rows(rows: list[Mapping[str, Any]], *, is_first: bool) -> bytes:
    if not rows:
        return b""
    lines = (json.dumps({name: row[name] for name in COLUMNS}) for row in rows)
    return (("\n" if is_first else ",\n") + ",\n".join(lines)).encode()

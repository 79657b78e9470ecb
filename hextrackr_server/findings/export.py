"""Exports findings as CSV or JSON, page by page in bounded memory.

Each page is one read of the database, in the order of IDs. An import that ends during an export may
change findings on later pages; no finding is missing or contained twice.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import select

from hextrackr_server.errors import invalid
from hextrackr_server.findings.filters import STATES, Filters, conditions, parse_filters
from hextrackr_server.findings.query_executor import QueryExecutor
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.finding_tables import findings, vulnerabilities_current

current = vulnerabilities_current

PAGE_ROWS: Final = 1000
LIMIT_SECONDS: Final = 15.0
FORMATS: Final = ("csv", "json")
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
        last = 0
        while True:
            chunk, number, last = await self._executor.run(user_id, self._page, request, last)
            yield chunk
            if number < PAGE_ROWS:
                return

    def _page(self, request: ExportRequest, last: int) -> tuple[bytes, int, int]:
        """Return the bytes of the page after an ID, the number of its rows, and its last ID.

        A thread of the executor writes the bytes too: a page of them would delay the event loop by
        20 ms.
        """
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
            rows = connection.execute(query).all()
        if request.format == "csv":
            chunk = _csv_rows(rows, is_first=last == 0)
        else:
            end = b"\n]\n" if len(rows) < PAGE_ROWS else b""
            chunk = _json_rows(rows, is_first=last == 0) + end
        return chunk, len(rows), rows[-1][0] if rows else last


def _csv_rows(rows: Sequence[Any], *, is_first: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    if is_first:
        writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in row[1:]] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _json_rows(rows: Sequence[Any], *, is_first: bool) -> bytes:
    lines = ",\n".join(json.dumps(dict(zip(COLUMNS, row[1:], strict=True))) for row in rows)
    if is_first:
        lines = f"[\n{lines}" if lines else "["
    elif lines:
        lines = f",\n{lines}"
    return lines.encode()

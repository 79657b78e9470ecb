"""Reads the lists behind `get-data`, page by page.

The module owns the smaller lists; `finding_lists`, `device_list`, `import_list` and `kev_list` own
the others. `queries` validates requests and permissions. All functions block, up to a time limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, or_, select

from hextrackr_server.findings.device_list import devices
from hextrackr_server.findings.finding_lists import (
    list_findings,
    resolved_findings,
    single_finding,
    sources,
)
from hextrackr_server.findings.import_list import stored_import, stored_imports
from hextrackr_server.findings.kev_list import exploited_vulnerabilities
from hextrackr_server.findings.pages import Page, PageRequest, read_page
from hextrackr_server.findings.text_match import contains_text
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.schema import (
    tickets,
    vendor_daily_totals,
    vulnerability_daily_totals,
)

LIMIT_SECONDS = 10.0
_SEVERITIES = ("Critical", "High", "Medium", "Low")


class QueryStore:
    """Read access to lists, each page from one state of the database.

    Methods raise ServiceError TIMEOUT after the time limit.
    """

    def __init__(self, database: Database, limit: float = LIMIT_SECONDS) -> None:
        self._database = database
        self._limit = limit

    def page(self, request: PageRequest) -> Page:
        """Return a page of a resource; raise VALIDATION_ERROR for an unknown sort column."""
        with self._database.reading(self._limit) as connection:
            return _PAGES[request.resource](connection, request)

    def vulnerability(self, vulnerability_id: int) -> dict[str, Any] | None:
        """Return a finding with its details, or None if its ID does not exist."""
        with self._database.reading(self._limit) as connection:
            return single_finding(connection, vulnerability_id)

    def import_job(self, import_id: int) -> dict[str, Any] | None:
        """Return a stored import, or None if its ID does not exist."""
        with self._database.reading(self._limit) as connection:
            return stored_import(connection, import_id)

    def sources(self) -> dict[str, int]:
        """Return the number of open findings by the format that reports them."""
        with self._database.reading(self._limit) as connection:
            return sources(connection)


def _tickets(connection: Connection, request: PageRequest) -> Page:
    query = select(*(column for column in tickets.c if column.name != "deleted"))
    query = query.where(tickets.c.deleted == 0)
    for name, value in request.filters:
        if name == "status":
            query = query.where(tickets.c.status == value)
        elif name == "search":
            found = ("xt_number", "hexagon_ticket", "service_now_ticket", "location", "devices")
            query = query.where(
                or_(*(contains_text(tickets.c[each], str(value)) for each in found))
            )
    sortable = {column.name: column for column in tickets.c}
    rows, total = read_page(connection, request, query, sortable, "-date_submitted", tickets.c.id)
    return Page([dict(row) for row in rows], total)


def _trends(connection: Connection, request: PageRequest) -> Page:
    filters = dict(request.filters)
    vendor = filters.get("vendor")
    table = vulnerability_daily_totals if vendor is None else vendor_daily_totals
    within = [] if vendor is None else [vendor_daily_totals.c.vendor == vendor]
    if "startDate" in filters:
        within.append(table.c.scan_date >= filters["startDate"])
    if "endDate" in filters:
        within.append(table.c.scan_date <= filters["endDate"])
    query = select(table).where(*within)
    sortable = {"date": table.c.scan_date}
    rows, total = read_page(connection, request, query, sortable, "date", table.c.scan_date)
    return Page([_trend(row) for row in rows], total)


def _trend(row: Any) -> dict[str, Any]:
    day: dict[str, Any] = {"date": row["scan_date"]}
    for severity in _SEVERITIES:
        name = severity.lower()
        day[severity] = {"count": row[f"{name}_count"], "total_vpr": row[f"{name}_total_vpr"]}
    return day | {"resolved": row["resolved_count"], "reopened": row["reopened_count"]}


_PAGES: Mapping[str, Callable[[Connection, PageRequest], Page]] = {
    "findings": list_findings,
    "vulnerabilities": list_findings,
    "resolved": resolved_findings,
    "devices": devices,
    "imports": stored_imports,
    "kev": exploited_vulnerabilities,
    "tickets": _tickets,
    "trends": _trends,
}

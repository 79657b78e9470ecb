"""Reads the lists behind `get-data`, page by page.

The module owns the smaller lists; `finding_lists` and `device_list` own the others. `queries`
validates requests and permissions. All functions block, up to a time limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, case, or_, select

from hextrackr_server.findings.device_list import devices
from hextrackr_server.findings.finding_lists import (
    open_findings,
    resolved_findings,
    single_finding,
)
from hextrackr_server.findings.kev_statistics import has_open_findings
from hextrackr_server.findings.pages import Page, PageRequest, read_page
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.schema import (
    import_jobs,
    kev_status,
    tickets,
    vendor_daily_totals,
    vulnerability_daily_totals,
)

jobs, kev = import_jobs, kev_status

LIMIT_SECONDS = 10.0
_SEVERITIES = ("Critical", "High", "Medium", "Low")
_JOB = (
    "import_id", "session_id", "user_id", "filename", "vendor", "scan_date", "scope", "status",
    "total", "processed", "errors", "error_code", "error_message", "created_at", "started_at",
    "finished_at", "undone_at",
)  # fmt: skip


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


def _imports(connection: Connection, request: PageRequest) -> Page:
    query = select(*(jobs.c[name] for name in _JOB))
    if request.user_id is not None:
        query = query.where(jobs.c.user_id == request.user_id)
    for name, value in request.filters:
        query = query.where(jobs.c[name] == value)
    sortable = {name: jobs.c[name] for name in _JOB}
    rows, total = read_page(
        connection, request, query, sortable, "-import_id", jobs.c.import_id.desc()
    )
    return Page([dict(row) for row in rows], total)


def _kev(connection: Connection, request: PageRequest) -> Page:
    matched = has_open_findings()
    query = select(kev, case((matched, 1), else_=0).label("matched"))
    for name, value in request.filters:
        if name == "search":
            found = ("cve_id", "vulnerability_name", "vendor_project", "product")
            query = query.where(
                or_(*(kev.c[each].icontains(value, autoescape=True) for each in found))
            )
        elif name == "matched":
            query = query.where(matched if value else ~matched)
    sortable = {column.name: column for column in kev.c}
    rows, total = read_page(connection, request, query, sortable, "-date_added", kev.c.cve_id)
    return Page([dict(row) | {"matched": bool(row["matched"])} for row in rows], total)


def _tickets(connection: Connection, request: PageRequest) -> Page:
    query = select(*(column for column in tickets.c if column.name != "deleted"))
    query = query.where(tickets.c.deleted == 0)
    for name, value in request.filters:
        if name == "status":
            query = query.where(tickets.c.status == value)
        elif name == "search":
            found = ("xt_number", "hexagon_ticket", "service_now_ticket", "location", "devices")
            query = query.where(
                or_(*(tickets.c[each].icontains(value, autoescape=True) for each in found))
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
    "vulnerabilities": open_findings,
    "resolved": resolved_findings,
    "devices": devices,
    "imports": _imports,
    "kev": _kev,
    "tickets": _tickets,
    "trends": _trends,
}

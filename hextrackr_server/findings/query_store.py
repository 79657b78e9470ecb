"""Reads the lists behind `get-data`, page by page.

The module owns the columns of each resource and their sort orders. `queries` validates requests
and permissions. All functions block, up to a time limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, case, func, or_, select

from hextrackr_server.errors import invalid
from hextrackr_server.findings.store import Filters, conditions, is_kev, plugin_of
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.encoding import OPEN_STATES
from hextrackr_server.storage.finding_tables import vulnerabilities_current
from hextrackr_server.storage.schema import (
    import_jobs,
    kev_status,
    tickets,
    vendor_daily_totals,
    vulnerability_daily_totals,
)

current, jobs, kev = vulnerabilities_current, import_jobs, kev_status

LIMIT_SECONDS = 10.0
_SEVERITIES = ("Critical", "High", "Medium", "Low")
_LISTED = (
    "id", "hostname", "ip_address", "cve", "severity", "vpr_score", "cvss_score", "plugin_id",
    "plugin_name", "vendor", "vulnerability_date", "first_seen", "last_seen", "scan_date", "state",
    "lifecycle_state", "resolved_date", "resolution_reason",
)  # fmt: skip
_DETAILS = ("description", "solution", "operating_system", "import_id", "source", "host_key")
_JOB = (
    "import_id", "session_id", "user_id", "filename", "vendor", "scan_date", "scope", "status",
    "total", "processed", "errors", "error_code", "error_message", "created_at", "started_at",
    "finished_at",
)  # fmt: skip
_RANK = {"Critical": 5, "High": 4, "Medium": 3, "Low": 2, "Info": 1}


class PageRequest(NamedTuple):
    """The requested page of a resource; all values but the sort column are validated."""

    resource: str
    filters: Filters = ()
    page: int = 1
    limit: int = 50
    sort: str | None = None
    #: Owner of the imports to return; None for all owners.
    user_id: str | None = None


class Page(NamedTuple):
    """The rows of a page, and the number of rows on all pages."""

    rows: list[dict[str, Any]]
    total: int


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
        query = _vulnerabilities(*_DETAILS).where(current.c.id == vulnerability_id)
        with self._database.reading(self._limit) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _finding(row)


def _page(
    connection: Connection,
    request: PageRequest,
    query: Select[Any],
    sortable: Mapping[str, ColumnElement[Any]],
    default: str,
    tie: ColumnElement[Any],
) -> tuple[list[Any], int]:
    """Return the rows of a page and the total number of rows.

    The sort order is the name of a column, with `-` before it for a descending order.
    """
    name = request.sort or default
    column = sortable.get(name.removeprefix("-"))
    if column is None:
        raise invalid("Invalid sort", [("sort", "must be one of: " + ", ".join(sorted(sortable)))])
    total = connection.scalar(select(func.count()).select_from(query.subquery())) or 0
    # Databases sort NULL differently; here NULL always comes last.
    by_column = (column.desc() if name.startswith("-") else column.asc()).nulls_last()
    ordered = query.order_by(by_column, tie)
    rows = connection.execute(
        ordered.limit(request.limit).offset((request.page - 1) * request.limit)
    )
    return list(rows.mappings()), total


# -- findings


def _vulnerabilities(*more: str) -> Select[Any]:
    return select(
        *(current.c[name] for name in (*_LISTED, *more)),
        kev.c.due_date.label("kev_due_date"),
        kev.c.known_ransomware_use,
        kev.c.required_action.label("kev_required_action"),
    ).outerjoin(kev, kev.c.cve_id == current.c.cve)


def _finding(row: Any) -> dict[str, Any]:
    """Return a finding in the format of HexTrackr's REST API."""
    return dict(row) | {"isKev": "No" if row["kev_due_date"] is None else "Yes"}


def _findings(connection: Connection, request: PageRequest, states: tuple[str, ...]) -> Page:
    query = _vulnerabilities().where(
        current.c.lifecycle_state.in_(states), *conditions(request.filters)
    )
    sortable: dict[str, ColumnElement[Any]] = {name: current.c[name] for name in _LISTED}
    sortable["severity"] = case(_RANK, value=current.c.severity, else_=0)
    default = "-vpr_score" if states == OPEN_STATES else "-resolved_date"
    rows, total = _page(connection, request, query, sortable, default, current.c.id)
    return Page([_finding(row) for row in rows], total)


def _open(connection: Connection, request: PageRequest) -> Page:
    return _findings(connection, request, OPEN_STATES)


def _resolved(connection: Connection, request: PageRequest) -> Page:
    return _findings(connection, request, ("resolved",))


def _devices(connection: Connection, request: PageRequest) -> Page:
    """Return hosts with their open vulnerabilities, counted per plugin like the statistics."""
    exploited = case((is_kev(), 1), else_=0)
    groups = (
        select(
            func.max(current.c.hostname).label("hostname"),
            current.c.host_key,
            current.c.severity,
            func.max(current.c.vpr_score).label("vpr"),
            func.max(exploited).label("kev"),
        )
        .where(current.c.lifecycle_state.in_(OPEN_STATES), *conditions(request.filters))
        .group_by(current.c.host_key, current.c.severity, plugin_of())
        .subquery()
    )
    vpr = func.coalesce(func.sum(groups.c.vpr), 0.0)
    columns: dict[str, ColumnElement[Any]] = {
        "hostname": func.max(groups.c.hostname),
        "hostKey": groups.c.host_key,
        "totalCount": func.count(),
        "totalVPR": vpr,
    }
    for severity in _SEVERITIES:
        mine = groups.c.severity == severity
        columns[f"{severity.lower()}Count"] = func.count(case((mine, 1)))
        columns[f"{severity.lower()}VPR"] = func.coalesce(func.sum(case((mine, groups.c.vpr))), 0.0)
    columns["hasKev"] = func.max(groups.c.kev)
    query = select(*(column.label(name) for name, column in columns.items()))
    query = query.group_by(groups.c.host_key)
    rows, total = _page(connection, request, query, columns, "-totalVPR", groups.c.host_key)
    return Page([_device(row) for row in rows], total)


def _device(row: Any) -> dict[str, Any]:
    device = {
        name: round(value, 1) if name.endswith("VPR") else value for name, value in row.items()
    }
    return device | {"hasKev": bool(row["hasKev"])}


# -- imports, KEV, tickets, trends


def _imports(connection: Connection, request: PageRequest) -> Page:
    query = select(*(jobs.c[name] for name in _JOB))
    if request.user_id is not None:
        query = query.where(jobs.c.user_id == request.user_id)
    for name, value in request.filters:
        query = query.where(jobs.c[name] == value)
    sortable = {name: jobs.c[name] for name in _JOB}
    rows, total = _page(connection, request, query, sortable, "-import_id", jobs.c.import_id.desc())
    return Page([dict(row) for row in rows], total)


def _kev(connection: Connection, request: PageRequest) -> Page:
    is_open = current.c.lifecycle_state.in_(OPEN_STATES)
    matched = kev.c.cve_id.in_(select(current.c.cve).where(is_open))
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
    rows, total = _page(connection, request, query, sortable, "-date_added", kev.c.cve_id)
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
    rows, total = _page(connection, request, query, sortable, "-date_submitted", tickets.c.id)
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
    rows, total = _page(connection, request, query, sortable, "date", table.c.scan_date)
    return Page([_trend(row) for row in rows], total)


def _trend(row: Any) -> dict[str, Any]:
    day: dict[str, Any] = {"date": row["scan_date"]}
    for severity in _SEVERITIES:
        name = severity.lower()
        day[severity] = {"count": row[f"{name}_count"], "total_vpr": row[f"{name}_total_vpr"]}
    return day | {"resolved": row["resolved_count"], "reopened": row["reopened_count"]}


_PAGES: Mapping[str, Callable[[Connection, PageRequest], Page]] = {
    "vulnerabilities": _open,
    "resolved": _resolved,
    "devices": _devices,
    "imports": _imports,
    "kev": _kev,
    "tickets": _tickets,
    "trends": _trends,
}

"""Computes statistics of the open findings, and translates filters into conditions.

A *finding* is one vulnerability on one host, a row of the table. A *vulnerability* of the
statistics is one plugin on one host: it may stand for several CVEs, and its VPR is their maximum.
Only open findings count. All functions block; `statistics` caches the results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, cast, func, or_, select

from hextrackr_server.errors import invalid
from hextrackr_server.findings.kev_statistics import kev_statistics
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.encoding import OPEN_STATES
from hextrackr_server.storage.finding_tables import vulnerabilities_current
from hextrackr_server.storage.schema import import_jobs, kev_status, vulnerability_daily_totals
from hextrackr_server.text import clean, iso_date

current = vulnerabilities_current

SEVERITIES = ("critical", "high", "medium", "low", "info", "unknown")
TREND_SEVERITIES = ("critical", "high", "medium", "low")
KEV = "KEV"
FILTERS = ("severity", "isKev", "vendor", "hostname", "search", "scanDate", "since")
MAXIMUM_SEARCH = 100
#: A query that takes longer is aborted.
LIMIT_SECONDS = 15.0

#: Validated filters: sorted and hashable, so that they can be the key of a cache.
Filters = tuple[tuple[str, str | bool | tuple[str, ...]], ...]


def parse_filters(payload: Any) -> Filters:
    """Parse the filters of a request: `{filters: {...}}`, `{...}` or None.

    Raises ServiceError VALIDATION_ERROR that names every unknown or malformed field.
    """
    if isinstance(payload, Mapping) and isinstance(payload.get("filters"), Mapping):
        payload = payload["filters"]
    if payload is None:
        payload = {}
    if not isinstance(payload, Mapping):
        raise invalid("Filters must be an object", [("filters", "must be an object")])
    parsed: dict[str, str | bool | tuple[str, ...]] = {}
    problems: list[tuple[str, str]] = []
    for name, value in payload.items():
        if value is None or value == "":
            continue
        try:
            parsed[name] = _parse_filter(name, value)
        except ValueError as error:
            problems.append((str(name)[:64], str(error)))
    if problems:
        raise invalid("Invalid filters", problems)
    return tuple(sorted(parsed.items()))


def _parse_filter(name: str, value: Any) -> str | bool | tuple[str, ...]:
    match name:
        case "isKev":
            if not isinstance(value, bool):
                raise ValueError("must be true or false")
            return value
        case "severity":
            return _parse_severities(value)
        case "vendor" | "hostname" | "search":
            if not isinstance(value, str) or len(value) > MAXIMUM_SEARCH:
                raise ValueError(f"must be a text of at most {MAXIMUM_SEARCH} characters")
            # Stored texts contain no control characters, so the filter needs none.
            text = clean(value, MAXIMUM_SEARCH)
            return text.lower() if name == "hostname" else text
        case "scanDate" | "since":
            day = iso_date(value) if isinstance(value, str) else None
            if day is None:
                raise ValueError("must be a date such as 2025-09-30")
            return day
        case _:
            raise ValueError("is not a known filter; use one of: " + ", ".join(FILTERS))


def _parse_severities(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    known = (*SEVERITIES, KEV.lower())
    if not values or not all(isinstance(each, str) and each.lower() in known for each in values):
        raise ValueError("must be one or a list of: " + ", ".join((*SEVERITIES, KEV)))
    spelled = {each.upper() if each.upper() == KEV else each.capitalize() for each in values}
    return tuple(sorted(spelled))


def conditions(filters: Filters) -> list[ColumnElement[bool]]:
    """Return the conditions of filters, which do not restrict the state of findings."""
    conditions: list[ColumnElement[bool]] = []
    for name, value in filters:
        match name:
            case "severity":
                conditions.append(_has_severity(value))
            case "isKev":
                conditions.append(is_kev() if value else ~is_kev())
            case "vendor":
                conditions.append(current.c.vendor == value)
            case "hostname":
                conditions.append(current.c.hostname == value)
            case "scanDate":
                conditions.append(current.c.scan_date == value)
            case "since":
                conditions.append(current.c.last_seen >= value)
            case "search":
                conditions.append(_contains(str(value)))
    return conditions


def is_kev() -> ColumnElement[bool]:
    """Return the condition for findings whose CVE is a known exploited vulnerability."""
    return current.c.cve.in_(select(kev_status.c.cve_id))


def _has_severity(values: Any) -> ColumnElement[bool]:
    """Return the condition for one of the severities, to which the front end adds KEV."""
    condition = current.c.severity.in_([each for each in values if each != KEV])
    return or_(condition, is_kev()) if KEV in values else condition


def _contains(text: str) -> ColumnElement[bool]:
    searched = ("hostname", "ip_address", "cve", "plugin_name", "description")
    return or_(*(current.c[name].icontains(text, autoescape=True) for name in searched))


def plugin_of() -> ColumnElement[str]:
    """Return the identity of a finding's plugin: its ID, otherwise its CVE or its name."""
    return func.coalesce(
        func.nullif(current.c.plugin_id, ""),
        func.nullif(current.c.cve, ""),
        current.c.plugin_name,
    )


def open_groups(filters: Filters = ()) -> Select[Any]:
    """Select one row per open vulnerability: a plugin on a host, with its highest VPR."""
    return (
        select(
            current.c.severity,
            func.max(current.c.vendor).label("vendor"),
            func.max(current.c.vpr_score).label("vpr_score"),
            func.min(current.c.first_seen).label("first_seen"),
            func.max(current.c.last_seen).label("last_seen"),
            func.count().label("findings"),
        )
        .where(current.c.lifecycle_state.in_(OPEN_STATES), *conditions(filters))
        .group_by(current.c.severity, current.c.host_key, plugin_of())
    )


class VulnerabilityStore:
    """Read access to the statistics that dashboards display."""

    def __init__(self, database: Database, limit: float = LIMIT_SECONDS) -> None:
        self._database = database
        self._limit = limit

    def statistics(self, filters: Filters = ()) -> dict[str, Any]:
        """Return the statistics from one state of the database, or raise ServiceError TIMEOUT.

        `trend` compares the last two scan days. With filters it is None, because daily totals
        are not stored per filter.
        """
        today = datetime.now(UTC).date().isoformat()
        with self._database.reading(self._limit) as connection:
            parts = _parts(connection, filters)
            devices, cves, devices_of = _distinct(connection, filters)
            return {
                "bySeverity": _by_severity(parts),
                "totals": _sums(parts) | {"devices": devices, "cves": cves},
                "trend": None if filters else _trend(connection),
                "kev": kev_statistics(connection, today),
                "vendors": _by_vendor(parts, devices_of),
                "lastImport": _last_import(connection),
            }


class _Part(NamedTuple):
    """The open vulnerabilities of one severity and vendor."""

    severity: str
    vendor: str
    vulnerabilities: int
    total_vpr: float
    with_vpr: int
    max_vpr: float
    earliest: str
    latest: str
    findings: int


def _parts(connection: Connection, filters: Filters) -> list[_Part]:
    """Query the groups once; severities, vendors and totals are sums of these parts."""
    groups = open_groups(filters).subquery()
    query = select(
        groups.c.severity,
        groups.c.vendor,
        func.count(),
        func.coalesce(func.sum(groups.c.vpr_score), 0.0),
        func.count(groups.c.vpr_score),
        func.coalesce(func.max(groups.c.vpr_score), 0.0),
        func.min(groups.c.first_seen),
        func.max(groups.c.last_seen),
        # PostgreSQL sums counts to a decimal, which JSON would encode as a string.
        cast(func.sum(groups.c.findings), BigInteger),
    ).group_by(groups.c.severity, groups.c.vendor)
    return [_Part(*row) for row in connection.execute(query)]


def _by_severity(parts: Sequence[_Part]) -> dict[str, Any]:
    """Return the totals of all severities, including those without vulnerabilities."""
    by_severity: dict[str, Any] = {}
    for name in SEVERITIES:
        mine = [part for part in parts if part.severity.lower() == name]
        by_severity[name] = {
            "count": sum(part.vulnerabilities for part in mine),
            "total_vpr": round(sum(part.total_vpr for part in mine), 1),
            "avg_vpr": _average(mine),
            "earliest": min((part.earliest for part in mine), default=None),
            "latest": max((part.latest for part in mine), default=None),
        }
    return by_severity


def _by_vendor(parts: Sequence[_Part], devices_of: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the totals of vendors, those with the most vulnerabilities first."""
    vendors = []
    for vendor in sorted({part.vendor for part in parts}):
        mine = [part for part in parts if part.vendor == vendor]
        vendors.append(
            {
                "vendor": vendor,
                "count": sum(part.vulnerabilities for part in mine),
                "avgVpr": _average(mine),
                "maxVpr": max(part.max_vpr for part in mine),
                "affectedDevices": devices_of.get(vendor, 0),
            }
        )
    return sorted(vendors, key=lambda each: -each["count"])


def _sums(parts: Sequence[_Part]) -> dict[str, Any]:
    return {
        "vulnerabilities": sum(part.vulnerabilities for part in parts),
        "findings": sum(part.findings for part in parts),
        "total_vpr": round(sum(part.total_vpr for part in parts), 1),
    }


def _average(parts: Sequence[_Part]) -> float:
    """Return the average of the existing scores; a missing score does not count as 0."""
    with_vpr = sum(part.with_vpr for part in parts)
    return round(sum(part.total_vpr for part in parts) / with_vpr, 2) if with_vpr else 0.0


def _distinct(connection: Connection, filters: Filters) -> tuple[int, int, dict[str, int]]:
    """Return the numbers of devices and of CVEs, and the number of devices by vendor."""
    are_open = [current.c.lifecycle_state.in_(OPEN_STATES), *conditions(filters)]
    devices = func.count(current.c.host_key.distinct())
    cves = func.count(func.nullif(current.c.cve, "").distinct())
    both = connection.execute(select(devices, cves).where(*are_open)).one()
    by_vendor = select(current.c.vendor, devices).where(*are_open).group_by(current.c.vendor)
    devices_of = {row[0]: row[1] for row in connection.execute(by_vendor)}
    return both[0], both[1], devices_of


def _trend(connection: Connection) -> dict[str, Any]:
    query = (
        select(vulnerability_daily_totals)
        .order_by(vulnerability_daily_totals.c.scan_date.desc())
        .limit(2)
    )
    days: Sequence[Any] = connection.execute(query).mappings().all()
    latest = days[0] if days else None
    previous = days[1] if len(days) > 1 else latest
    return {
        severity.capitalize(): {
            "count_change": _change(latest, previous, f"{severity}_count"),
            "vpr_change": round(_change(latest, previous, f"{severity}_total_vpr"), 1),
        }
        for severity in TREND_SEVERITIES
    }


def _change(latest: Any, previous: Any, column: str) -> Any:
    return 0 if latest is None else latest[column] - previous[column]


def _last_import(connection: Connection) -> dict[str, Any] | None:
    jobs = import_jobs
    query = (
        select(jobs)
        .where(jobs.c.status == "completed")
        .order_by(jobs.c.finished_at.desc(), jobs.c.import_id.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return {
        "importId": row["import_id"],
        "filename": row["filename"],
        "vendor": row["vendor"],
        "scanDate": row["scan_date"],
        "rowCount": row["total"],
    }

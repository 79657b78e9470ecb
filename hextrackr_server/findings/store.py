"""Computes statistics of the open findings.

A *finding* is one vulnerability on one host, a row of the table. A *vulnerability* of the
statistics is one plugin on one host: it may stand for several CVEs, and its VPR is their maximum.
Only open findings count. All functions block; `statistics` caches the results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    cast,
    exists,
    func,
    literal,
    null,
    select,
    union,
    union_all,
)

from hextrackr_server.findings.filters import IS_OPEN, SEVERITIES, Filters, conditions
from hextrackr_server.findings.group_sources import group_sources
from hextrackr_server.findings.kev_statistics import kev_statistics
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.encoding import RANKED_SEVERITIES, day_of
from hextrackr_server.storage.finding_tables import finding_identities, findings
from hextrackr_server.storage.schema import import_jobs, kev_status, vulnerability_daily_totals

TREND_SEVERITIES = ("critical", "high", "medium", "low")
#: A query that takes longer is aborted.
LIMIT_SECONDS = 15.0


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
            found = _totals(connection, filters)
            parts = found.parts
            return {
                "bySeverity": _by_severity(parts),
                "totals": _sums(parts) | {"devices": found.devices, "cves": found.cves},
                "trend": None if filters else _trend(connection),
                "kev": kev_statistics(connection, today),
                "vendors": _by_vendor(parts, found.devices_of),
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
    earliest: int
    latest: int
    findings: int


class _Totals(NamedTuple):
    """The parts, the numbers of devices and CVEs, and the number of devices by vendor."""

    parts: list[_Part]
    devices: int
    devices_of: dict[str, int]
    cves: int


def _totals(connection: Connection, filters: Filters) -> _Totals:
    sources = group_sources(connection, filters)
    pairs, hosts = [], []
    for source in sources.selects:
        groups = source.subquery()
        pairs.append(select(groups.c.vendor, groups.c.host_id).distinct())
        groups = source.subquery()
        hosts.append(select(groups.c.host_id))
    of_vendor = (union(*pairs) if len(pairs) > 1 else pairs[0]).subquery()
    of_all = union_all(*hosts).subquery()
    statement = [
        *map(_parts, sources.selects),
        _number("vendor", func.count(), of_vendor.c.vendor).group_by(of_vendor.c.vendor),
        _number("devices", func.count(of_all.c.host_id.distinct())),
    ]
    if sources.matching is not None:
        statement.append(_number("cves", _number_of_cves(sources.matching)))
    parts, numbers, devices_of = [], dict[str, int](), dict[str, int]()
    for kind, severity, *row in connection.execute(union_all(*statement)):
        if kind == "part":
            parts.append(_Part(RANKED_SEVERITIES[severity], *row))
        elif kind == "vendor":
            devices_of[row[0]] = row[1]
        else:
            numbers[kind] = row[1]
    cves = numbers.get("cves")
    if cves is None:
        cves = _cves(connection, filters, sum(part.findings for part in parts))
    return _Totals(parts, numbers["devices"], devices_of, cves)


def _parts(source: Select[Any]) -> Select[Any]:
    groups = source.subquery()
    return select(
        literal("part"),
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


def _number(
    kind: str, number: ColumnElement[int], vendor: ColumnElement[Any] | None = None
) -> Select[Any]:
    """Select a number with as many columns as a part has."""
    named = null() if vendor is None else vendor
    return select(literal(kind), null(), named, number, *([null()] * 6))


def _number_of_cves(matching: CTE) -> ColumnElement[int]:
    identities = finding_identities.c
    is_found = identities.id.in_(select(matching.c.identity_id))
    query = select(func.count(identities.cve.distinct())).where(identities.cve != "", is_found)
    return query.scalar_subquery()


def _cves(connection: Connection, filters: Filters, expected: int) -> int:
    """Return the number of CVEs of the open findings that match filters.

    `expected` is the number of these findings.
    """
    identities = finding_identities.c
    matching = [identities.cve != ""]
    others = []
    for each in filters:
        if each[0] == "isKev":
            exploited = identities.cve.in_(select(kev_status.c.cve_id))
            matching.append(exploited if each[1] else ~exploited)
        else:
            others.append(each)
    is_found = (IS_OPEN, *conditions(tuple(others)))
    newest = connection.scalar(select(func.max(findings.c.id))) or 0
    if not others or (expected > newest / 2 and {"since", "scanDate"} >= dict(others).keys()):
        # Usually the first finding of a CVE matches.
        of_identity = findings.c.identity_id == identities.id
        matching.append(exists(select(findings.c.id).where(of_identity, *is_found)))
    else:
        matching.append(identities.id.in_(select(findings.c.identity_id).where(*is_found)))
    return connection.scalar(select(func.count(identities.cve.distinct())).where(*matching)) or 0


def _by_severity(parts: Sequence[_Part]) -> dict[str, Any]:
    """Return the totals of all severities, including those without vulnerabilities."""
    by_severity: dict[str, Any] = {}
    for name in SEVERITIES:
        mine = [part for part in parts if part.severity.lower() == name]
        by_severity[name] = {
            "count": sum(part.vulnerabilities for part in mine),
            "total_vpr": round(sum(part.total_vpr for part in mine), 1),
            "avg_vpr": _average(mine),
            "earliest": day_of(min(part.earliest for part in mine)) if mine else None,
            "latest": day_of(max(part.latest for part in mine)) if mine else None,
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
        .where(jobs.c.status == "completed", jobs.c.undone_at.is_(None))
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

"""Summarizes the changes of an import as the front end's importSummary.

All queries run in the transaction of the import, after `store` has changed the findings.

A CVE is *new* if no finding of it was open before the import, and *resolved* if none is open
after it. Lists of CVEs are capped, because the list of a first import could take megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from hextrackr_server.findings.history import OpenTotal
from hextrackr_server.findings.most_severe import most_severe, severity_rank
from hextrackr_server.findings.store import TREND_SEVERITIES
from hextrackr_server.storage.encoding import OPEN_STATES, RANKED_SEVERITIES
from hextrackr_server.storage.finding_tables import vulnerabilities_current

current = vulnerabilities_current
other = vulnerabilities_current.alias("other")

MAXIMUM_CVES = 500
SIGNIFICANT_PERCENT = 25


class Changes(NamedTuple):
    """Findings per vendor that an import changed, and the VPR it added and removed."""

    created: dict[str, int]
    reopened: dict[str, int]
    resolved: dict[str, int]
    new_vpr: float
    resolved_vpr: float


def changes_of(connection: Connection, import_id: int) -> Changes:
    """Count the findings that an import changed."""
    query = (
        select(
            current.c.lifecycle_state,
            current.c.vendor,
            func.count(),
            func.coalesce(func.sum(current.c.vpr_score), 0.0),
        )
        .where(current.c.changed_import_id == import_id)
        .group_by(current.c.lifecycle_state, current.c.vendor)
    )
    changes = Changes({}, {}, {}, 0.0, 0.0)
    for state, vendor, count, vpr in connection.execute(query):
        if state == "resolved":
            changes.resolved[vendor] = count
            changes = changes._replace(resolved_vpr=changes.resolved_vpr + vpr)
        else:
            (changes.reopened if state == "reopened" else changes.created)[vendor] = count
            changes = changes._replace(new_vpr=changes.new_vpr + vpr)
    return changes


def changed_findings(connection: Connection, import_id: int, limit: int) -> list[dict[str, Any]]:
    """Return the findings that an import changed, the most severe first."""
    return most_severe(connection, current.c.changed_import_id == import_id, limit)


def count_changed(connection: Connection, import_id: int) -> int:
    """Return the number of findings that an import changed."""
    query = select(func.count()).where(current.c.changed_import_id == import_id)
    return connection.execute(query).scalar_one()


def top_critical(connection: Connection, import_id: int, limit: int) -> list[dict[str, Any]]:
    """Return the most severe critical findings that an import opened."""
    mine = and_(
        current.c.changed_import_id == import_id,
        current.c.severity == "Critical",
        current.c.lifecycle_state.in_(OPEN_STATES),
    )
    return most_severe(connection, mine, limit)


def summarize(
    connection: Connection,
    metadata: Mapping[str, Any],
    changes: Changes,
    before: Sequence[OpenTotal],
    after: Sequence[OpenTotal],
) -> dict[str, Any]:
    """Return the importSummary; `metadata` is its importMetadata with sessionId and importId."""
    import_id = metadata["importId"]
    new, total_new = _new_cves(connection, import_id)
    resolved, total_resolved = _resolved_cves(connection, import_id)
    new_vulnerabilities = sum(changes.created.values()) + sum(changes.reopened.values())
    return {
        "sessionId": metadata["sessionId"],
        "importMetadata": dict(metadata),
        "cveDiscovery": {
            "newCves": new,
            "totalNewCves": total_new,
            "totalNewVulnerabilities": new_vulnerabilities,
            "totalNewVpr": round(changes.new_vpr, 1),
            "resolvedCves": resolved,
            "totalResolvedCves": total_resolved,
            "totalResolvedVulnerabilities": sum(changes.resolved.values()),
            "totalResolvedVpr": round(changes.resolved_vpr, 1),
            "truncated": total_new > len(new) or total_resolved > len(resolved),
        },
        "severityImpact": _severity_impact(before, after),
        "hostImpact": _host_impact(connection, import_id),
        "comparison": _comparison(before, after, changes),
    }


def _new_cves(connection: Connection, import_id: int) -> tuple[list[dict[str, Any]], int]:
    changed_otherwise = func.coalesce(other.c.changed_import_id, 0) != import_id
    was_open = or_(
        and_(other.c.lifecycle_state.in_(OPEN_STATES), changed_otherwise),
        and_(other.c.lifecycle_state == "resolved", other.c.changed_import_id == import_id),
    )
    query = _by_cve(func.min(current.c.first_seen)).where(
        current.c.changed_import_id == import_id,
        current.c.lifecycle_state.in_(OPEN_STATES),
        current.c.cve.not_in(select(other.c.cve).where(was_open)),
    )
    return _cves(connection, query, "firstSeen")


def _resolved_cves(connection: Connection, import_id: int) -> tuple[list[dict[str, Any]], int]:
    is_open = other.c.lifecycle_state.in_(OPEN_STATES)
    query = _by_cve(func.max(current.c.last_seen)).where(
        current.c.changed_import_id == import_id,
        current.c.lifecycle_state == "resolved",
        current.c.cve.not_in(select(other.c.cve).where(is_open)),
    )
    return _cves(connection, query, "lastSeen")


def _by_cve(seen: ColumnElement[str]) -> Select[Any]:
    vpr = func.coalesce(func.sum(current.c.vpr_score), 0.0)
    return (
        select(
            current.c.cve,
            func.max(severity_rank()),
            func.count(current.c.host_key.distinct()),
            vpr,
            seen,
            func.count().over(),
        )
        .where(current.c.cve != "")
        .group_by(current.c.cve)
        .order_by(vpr.desc(), current.c.cve)
        .limit(MAXIMUM_CVES)
    )


def _cves(
    connection: Connection, query: Select[Any], seen: str
) -> tuple[list[dict[str, Any]], int]:
    rows = connection.execute(query).all()
    cves = [
        {
            "cve": row[0],
            "severity": RANKED_SEVERITIES[row[1]],
            "hostCount": row[2],
            "totalVpr": round(row[3], 1),
            seen: row[4],
        }
        for row in rows
    ]
    return cves, rows[0][5] if rows else 0


def _severity_impact(
    before: Sequence[OpenTotal], after: Sequence[OpenTotal]
) -> dict[str, dict[str, Any]]:
    impact: dict[str, dict[str, Any]] = {}
    for severity in TREND_SEVERITIES:
        former = [each for each in before if each.severity.lower() == severity]
        now = [each for each in after if each.severity.lower() == severity]
        previous, count = sum(each.number for each in former), sum(each.number for each in now)
        vpr_change = sum(each.vpr for each in now) - sum(each.vpr for each in former)
        impact[severity] = {
            "current": count,
            "previous": previous,
            "netChange": count - previous,
            "vprChange": round(vpr_change, 1),
        }
    return impact


def _host_impact(connection: Connection, import_id: int) -> dict[str, int]:
    mine = current.c.import_id == import_id
    was_there = or_(
        func.coalesce(other.c.changed_import_id, 0) != import_id,
        other.c.lifecycle_state != "active",
    )
    known = current.c.host_key.in_(select(other.c.host_key).where(was_there))
    hosts = func.count(current.c.host_key.distinct())
    total = connection.scalar(select(hosts).where(mine)) or 0
    new = connection.scalar(select(hosts).where(mine, ~known)) or 0
    return {
        "totalUniqueHosts": total,
        "newHostsAffected": new,
        "existingHostsUpdated": total - new,
    }


def _comparison(
    before: Sequence[OpenTotal], after: Sequence[OpenTotal], changes: Changes
) -> dict[str, Any]:
    previous, count = sum(each.number for each in before), sum(each.number for each in after)
    percent = round((count - previous) / previous * 100, 2) if previous else 0.0
    return {
        "previousTotal": previous,
        "currentTotal": count,
        "netChange": count - previous,
        "percentageChange": percent,
        "significantChange": abs(percent) > SIGNIFICANT_PERCENT,
        "changeThreshold": SIGNIFICANT_PERCENT,
        "resolvedCount": sum(changes.resolved.values()),
        "reopenedCount": sum(changes.reopened.values()),
    }

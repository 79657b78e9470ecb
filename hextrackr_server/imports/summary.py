"""Summarizes the changes of an import as the front end's importSummary.

All queries run in the transaction of the import, after `store` has changed the findings.

A CVE is *new* if no finding of it was open before the import, and *resolved* if none is open
after it. Lists of CVEs are capped, because the list of a first import could take megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
)

from hextrackr_server.findings.most_severe import most_severe
from hextrackr_server.findings.store import TREND_SEVERITIES
from hextrackr_server.findings.totals import OpenTotal
from hextrackr_server.storage.encoding import (
    ACTIVE,
    RANKED_SEVERITIES,
    REOPENED,
    RESOLVED,
)
from hextrackr_server.storage.finding_tables import (
    day_text,
    finding_definitions,
    finding_hosts,
    finding_identities,
    findings,
    vulnerabilities_current,
)

current = vulnerabilities_current
definitions, hosts, identities = finding_definitions, finding_hosts, finding_identities
other = findings.alias("other")

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
    by_definition = (
        select(
            findings.c.lifecycle,
            findings.c.definition_id,
            func.count().label("number"),
            func.coalesce(func.sum(findings.c.vpr_score), 0.0).label("vpr"),
        )
        .where(findings.c.changed_import_id == import_id)
        .group_by(findings.c.lifecycle, findings.c.definition_id)
        .subquery()
    )
    query = (
        select(
            by_definition.c.lifecycle,
            definitions.c.vendor,
            # PostgreSQL sums counts to a decimal, which JSON would encode as a string.
            cast(func.sum(by_definition.c.number), BigInteger),
            func.sum(by_definition.c.vpr),
        )
        .join(definitions, definitions.c.id == by_definition.c.definition_id)
        .group_by(by_definition.c.lifecycle, definitions.c.vendor)
    )
    changes = Changes({}, {}, {}, 0.0, 0.0)
    for lifecycle, vendor, count, vpr in connection.execute(query):
        if lifecycle == RESOLVED:
            changes.resolved[vendor] = count
            changes = changes._replace(resolved_vpr=changes.resolved_vpr + vpr)
        else:
            (changes.reopened if lifecycle == REOPENED else changes.created)[vendor] = count
            changes = changes._replace(new_vpr=changes.new_vpr + vpr)
    return changes


def changed_findings(connection: Connection, import_id: int, limit: int) -> list[dict[str, Any]]:
    """Return the findings that an import changed, the most severe first."""
    return _most_severe(connection, findings.c.changed_import_id == import_id, limit)


def count_changed(connection: Connection, import_id: int) -> int:
    """Return the number of findings that an import changed."""
    query = select(func.count()).where(findings.c.changed_import_id == import_id)
    return connection.execute(query).scalar_one()


def top_critical(connection: Connection, import_id: int, limit: int) -> list[dict[str, Any]]:
    """Return the most severe critical findings that an import opened."""
    mine = and_(
        findings.c.changed_import_id == import_id,
        findings.c.severity == RANKED_SEVERITIES.index("Critical"),
        findings.c.lifecycle < RESOLVED,
    )
    return _most_severe(connection, mine, limit)


def _most_severe(
    connection: Connection, mine: ColumnElement[bool], limit: int
) -> list[dict[str, Any]]:
    """Select by the numbers in `findings` first: the texts of all rows would take five times."""
    first = (
        select(findings.c.id)
        .where(mine)
        .order_by(
            findings.c.severity.desc(),
            func.coalesce(findings.c.vpr_score, 0.0).desc(),
            findings.c.id,
        )
        .limit(limit)
    )
    return most_severe(connection, current.c.id.in_(first), limit)


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
        and_(other.c.lifecycle < RESOLVED, changed_otherwise),
        and_(other.c.lifecycle == RESOLVED, other.c.changed_import_id == import_id),
    )
    mine = and_(findings.c.changed_import_id == import_id, findings.c.lifecycle < RESOLVED)
    query = _by_cve(mine, was_open, findings.c.first_seen, func.min)
    return _cves(connection, query, "firstSeen")


def _resolved_cves(connection: Connection, import_id: int) -> tuple[list[dict[str, Any]], int]:
    mine = and_(findings.c.changed_import_id == import_id, findings.c.lifecycle == RESOLVED)
    is_open = other.c.lifecycle < RESOLVED
    query = _by_cve(mine, is_open, findings.c.last_seen, func.max)
    return _cves(connection, query, "lastSeen")


def _by_cve(
    mine: ColumnElement[bool], hidden: ColumnElement[bool], day: ColumnElement[int], seen: Any
) -> Select[Any]:
    """Select the CVEs of findings, without the CVEs of the `hidden` findings.

    `seen` is the aggregate function of the day. Findings are grouped by number first: grouping them
    by text would take three times as long. A finding is unique on its host, so that the number of
    findings is that of the hosts.
    """
    # A sum: SQLite would otherwise read the rows in the order of the index over this column, which
    # takes twice as long as one pass over the table.
    identity_id = findings.c.identity_id + literal_column("0")
    by_identity = (
        select(
            identity_id.label("identity_id"),
            func.max(findings.c.severity).label("severity"),
            func.count().label("hosts"),
            func.coalesce(func.sum(findings.c.vpr_score), 0.0).label("vpr"),
            seen(day).label("day"),
        )
        .where(mine)
        .group_by(identity_id)
        .subquery()
    )
    shown = identities.alias("shown")
    hidden_cves = select(identities.c.cve).where(
        identities.c.id.in_(select(other.c.identity_id).where(hidden))
    )
    vpr = func.sum(by_identity.c.vpr)
    return (
        select(
            shown.c.cve,
            func.max(by_identity.c.severity),
            cast(func.sum(by_identity.c.hosts), BigInteger),
            vpr,
            day_text(seen(by_identity.c.day)),
            func.count().over(),
        )
        .join(shown, shown.c.id == by_identity.c.identity_id)
        .where(shown.c.cve != "", shown.c.cve.not_in(hidden_cves))
        .group_by(shown.c.cve)
        .order_by(vpr.desc(), shown.c.cve)
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
    of_host = findings.c.host_id == hosts.c.id
    reported = select(findings.c.id).where(of_host, findings.c.import_id == import_id).exists()
    was_there = or_(
        func.coalesce(findings.c.changed_import_id, 0) != import_id,
        findings.c.lifecycle != ACTIVE,
    )
    known = select(findings.c.id).where(of_host, was_there).exists()
    counts = select(func.count(), func.count(case((~known, 1)))).select_from(hosts)
    total, new = connection.execute(counts.where(reported)).one()
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

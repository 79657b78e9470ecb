"""Selects the open vulnerabilities that match filters, from as few rows as possible.

A *vulnerability* is a plugin of a vendor on a host, with one severity; it may stand for several
findings. The table `open_groups` has one row per vulnerability. A filter selects findings, so a
vulnerability matches if one of its findings does, and its columns are those of its matching
findings:

uniform vulnerabilities   all findings have the same values, so the row of the table suffices; the
                          row also counts the findings with known exploited CVEs
others                    read from the findings
the filters of `READ`     few findings match, so they are read and grouped

Statistics and the list of hosts are computed from these selects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    case,
    exists,
    func,
    literal_column,
    select,
)

from hextrackr_server.findings.filters import (
    IS_OPEN,
    KEV,
    Filters,
    conditions,
    is_kev,
    severity_numbers,
)
from hextrackr_server.storage.encoding import RANKED_SEVERITIES, day_number
from hextrackr_server.storage.finding_tables import finding_definitions, findings
from hextrackr_server.storage.group_table import open_groups

groups = open_groups.c

#: Filters that few findings match.
READ = frozenset({"hostname", "host", "search", "cve", "source"})


class Sources(NamedTuple):
    """Selects whose rows are the open vulnerabilities that match filters.

    Their columns are severity, vendor, host_id, asset_id, vpr_score, first_seen, last_seen,
    findings and exploited (findings with known exploited CVEs). No vulnerability is in two of them.
    `matching` has the matching findings with their `identity_id`, if the selects read the findings.
    """

    selects: Sequence[Select[Any]]
    matching: CTE | None = None


def group_sources(connection: Connection, filters: Filters) -> Sources:
    """Return the sources of the open vulnerabilities that match filters."""
    named = dict(filters)
    if not READ.isdisjoint(named):
        matching = _matching_findings(*conditions(filters))
        return Sources([_grouped(matching)], matching)
    if not _depends_on_findings(named):
        return Sources([_stored(*_conditions(named))])
    exploited = literal_column("0") if named.get("isKev") is False else groups.exploited
    within = (groups.is_uniform == 1, *_conditions(named))
    selects = [_stored(*within, found=_matching(named), exploited=exploited)]
    if connection.scalar(select(exists(select(groups.host_id).where(groups.is_uniform == 0)))):
        selects.append(_grouped(_matching_findings(*conditions(filters), of_mixed=True)))
    return Sources(selects)


def _depends_on_findings(named: dict[str, Any]) -> bool:
    """Return whether filters may match some of the findings of a vulnerability."""
    return KEV in named.get("severity", ()) or any(name != "severity" for name in named)


def _conditions(named: dict[str, Any]) -> list[ColumnElement[bool]]:
    """Return the conditions for rows of the table that have matching findings."""
    found = [_matching(named) > 0] if {"isKev", "severity"} & named.keys() else []
    if "severity" in named and KEV not in named["severity"]:
        found.append(groups.severity.in_(severity_numbers(named["severity"])))
    elif "vendor" in named:
        # All severities: SQLite then finds the vendor by the primary key.
        found.append(groups.severity.in_(range(len(RANKED_SEVERITIES))))
    if "vendor" in named:
        found.append(groups.vendor == named["vendor"])
    if "since" in named:
        found.append(groups.last_seen >= day_number(named["since"]))
    if "scanDate" in named:
        found.append(groups.scan_date == day_number(named["scanDate"]))
    return found


def _matching(named: dict[str, Any]) -> ColumnElement[int]:
    """Return the number of matching findings of a row whose other columns match."""
    number: ColumnElement[int]
    match named.get("isKev"):
        case True:
            number = groups.exploited
        case False:
            number = groups.findings - groups.exploited
        case _:
            number = groups.findings
    severities = named.get("severity", ())
    if KEV not in severities:
        return number
    exploited = groups.exploited if named.get("isKev") is not False else literal_column("0")
    return case((groups.severity.in_(severity_numbers(severities)), number), else_=exploited)


def _stored(
    *within: ColumnElement[bool],
    found: ColumnElement[int] = groups.findings,
    exploited: ColumnElement[int] = groups.exploited,
) -> Select[Any]:
    """Select rows of the table, with the number of their matching findings."""
    return select(
        groups.severity,
        groups.vendor,
        groups.host_id,
        groups.asset_id,
        groups.vpr_score,
        groups.first_seen,
        groups.last_seen,
        found.label("findings"),
        exploited.label("exploited"),
    ).where(*within)


def _matching_findings(*conditions: ColumnElement[bool], of_mixed: bool = False) -> CTE:
    """Select the open findings that meet the conditions, or of these only the mixed groups.

    A statement computes a common table expression once for all its uses.
    """
    joined = findings.join(
        finding_definitions, finding_definitions.c.id == findings.c.definition_id
    )
    if of_mixed:
        same = and_(
            findings.c.host_id == groups.host_id,
            findings.c.group_id == groups.group_id,
            findings.c.severity == groups.severity,
            finding_definitions.c.vendor == groups.vendor,
            groups.is_uniform == 0,
        )
        joined = joined.join(open_groups, same)
    query = select(
        findings.c.severity,
        finding_definitions.c.vendor,
        # The plus keeps SQLite from reading the findings by an index, as in `group_table`.
        literal_column("+findings.host_id", Integer).label("host_id"),
        findings.c.group_id,
        findings.c.identity_id,
        findings.c.asset_id,
        findings.c.vpr_score,
        findings.c.first_seen,
        findings.c.last_seen,
        case((is_kev(), 1), else_=0).label("exploited"),
    )
    return query.select_from(joined).where(IS_OPEN, *conditions).cte("matching")


def _grouped(matching: CTE) -> Select[Any]:
    """Group findings into vulnerabilities."""
    found = matching.c
    query = select(
        found.severity,
        found.vendor,
        found.host_id,
        func.max(found.asset_id).label("asset_id"),
        func.max(found.vpr_score).label("vpr_score"),
        func.min(found.first_seen).label("first_seen"),
        func.max(found.last_seen).label("last_seen"),
        func.count().label("findings"),
        func.sum(found.exploited).label("exploited"),
    ).group_by(found.severity, found.vendor, found.host_id, found.group_id)
    return select(query.cte("grouped"))

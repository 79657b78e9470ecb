"""Counts of known exploited vulnerabilities (KEV), compared with the open findings."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, case, exists, func, select

from hextrackr_server.findings.filters import IS_OPEN
from hextrackr_server.storage.finding_tables import finding_identities, findings
from hextrackr_server.storage.schema import kev_status as kev


def kev_statistics(connection: Connection, today: str) -> dict[str, int]:
    """Return the number of KEV entries: all, with ransomware use, open here, overdue here.

    `today` is a date such as 2025-09-30; due dates before it are overdue.
    """
    entries = select(
        kev.c.known_ransomware_use,
        kev.c.due_date,
        case((has_open_findings(), 1), else_=0).label("matched"),
    ).subquery()
    is_overdue = (entries.c.matched == 1) & (entries.c.due_date < today)
    total, ransomware, matched, overdue = connection.execute(
        select(
            func.count(),
            func.coalesce(func.sum(entries.c.known_ransomware_use), 0),
            func.coalesce(func.sum(entries.c.matched), 0),
            func.count(case((is_overdue, 1))),
        ).select_from(entries)
    ).one()
    return {
        "total_kevs": total,
        "ransomware_kevs": ransomware,
        "matched_kevs": matched,
        "overdue_kevs": overdue,
    }


def has_open_findings() -> ColumnElement[bool]:
    """Return the condition for entries of the catalog whose CVE has open findings."""
    of_entry = finding_identities.c.cve == kev.c.cve_id
    joined = finding_identities.join(findings, findings.c.identity_id == finding_identities.c.id)
    return exists(select(findings.c.id).select_from(joined).where(of_entry, IS_OPEN))

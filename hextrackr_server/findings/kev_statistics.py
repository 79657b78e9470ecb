"""Counts of known exploited vulnerabilities (KEV), compared with the open findings."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from hextrackr_server.storage.encoding import OPEN_STATES
from hextrackr_server.storage.finding_tables import vulnerabilities_current
from hextrackr_server.storage.schema import kev_status


def kev_statistics(connection: Connection, today: str) -> dict[str, int]:
    """Return the number of KEV entries: all, with ransomware use, open here, overdue here.

    `today` is a date such as 2025-09-30; due dates before it are overdue.
    """
    current, kev = vulnerabilities_current, kev_status
    is_open = current.c.lifecycle_state.in_(OPEN_STATES)
    matched = kev.c.cve_id.in_(select(current.c.cve).where(is_open))
    totals = connection.execute(
        select(func.count(), func.coalesce(func.sum(kev.c.known_ransomware_use), 0)).select_from(
            kev
        )
    ).one()
    open_here = select(func.count()).select_from(kev).where(matched)
    return {
        "total_kevs": totals[0],
        "ransomware_kevs": totals[1],
        "matched_kevs": connection.scalar(open_here) or 0,
        "overdue_kevs": connection.scalar(open_here.where(kev.c.due_date < today)) or 0,
    }

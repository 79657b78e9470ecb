"""Maintains the table of open vulnerabilities, from which statistics are computed.

Each merge calls `refresh` once, in its transaction, after its last change of findings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from hextrackr_server.storage.encoding import RANKED_SEVERITIES
from hextrackr_server.storage.finding_tables import finding_hosts
from hextrackr_server.storage.group_table import (
    delete_open_groups,
    insert_open_groups,
    open_groups,
)

#: More hosts than this share are refreshed together with all others, which takes less time.
MOST_HOSTS: Final = 0.5


class OpenTotal(NamedTuple):
    """The number of open vulnerabilities of a vendor and severity, and their total VPR."""

    vendor: str
    severity: str
    number: int
    vpr: float


def refresh(connection: Connection, hosts: Sequence[int] | None = None) -> None:
    """Compute the open vulnerabilities again: those of hosts, or all.

    `hosts` are IDs of hosts whose findings may have changed. All hosts take about 0.4 s of CPU time
    per 170,000 findings (`python -m benchmarks.imports --only cpu`).
    """
    known = connection.scalar(select(func.count()).select_from(finding_hosts)) or 0
    if hosts is not None and len(hosts) > known * MOST_HOSTS:
        hosts = None
    delete_open_groups(connection, hosts)
    insert_open_groups(connection, hosts)


def open_totals(connection: Connection) -> list[OpenTotal]:
    """Return the totals of the open vulnerabilities by vendor and severity."""
    groups = open_groups.c
    query = select(
        groups.severity,
        groups.vendor,
        func.count(),
        func.coalesce(func.sum(groups.vpr_score), 0.0),
    ).group_by(groups.severity, groups.vendor)
    return [
        OpenTotal(vendor, RANKED_SEVERITIES[severity], number, vpr)
        for severity, vendor, number, vpr in connection.execute(query)
    ]

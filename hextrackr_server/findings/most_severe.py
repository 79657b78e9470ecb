"""The most severe findings of a condition, for events about changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select

from hextrackr_server.storage.encoding import RANKED_SEVERITIES
from hextrackr_server.storage.finding_tables import vulnerabilities_current as current

_ROW_COLUMNS = (
    "id", "hostname", "ip_address", "cve", "severity", "vpr_score", "cvss_score", "plugin_id",
    "plugin_name", "vendor", "first_seen", "last_seen", "state", "lifecycle_state",
)  # fmt: skip


def most_severe(
    connection: Connection, condition: ColumnElement[bool], limit: int
) -> list[dict[str, Any]]:
    """Return up to `limit` findings that meet a condition, the most severe first."""
    query = (
        select(*(current.c[name] for name in _ROW_COLUMNS))
        .where(condition)
        .order_by(severity_rank().desc(), vpr_score().desc(), current.c.id)
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def severity_rank() -> ColumnElement[int]:
    """Return the rank of a severity as an SQL expression."""
    ranks = {name: number for number, name in enumerate(RANKED_SEVERITIES)}
    return case(ranks, value=current.c.severity, else_=0)


def vpr_score() -> ColumnElement[float]:
    """Return the VPR score, or 0, as an SQL expression."""
    return func.coalesce(current.c.vpr_score, 0.0)


def severity_order(row: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the key that sorts rows of `most_severe` as the database does."""
    rank = RANKED_SEVERITIES.index(row["severity"])
    return (-rank, -(row["vpr_score"] or 0.0), row["id"])

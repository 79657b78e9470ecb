"""Reads the list of hosts with their open vulnerabilities, counted like in the statistics."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    case,
    func,
    literal,
    select,
    union_all,
)

from hextrackr_server.findings.group_sources import Sources, group_sources
from hextrackr_server.findings.pages import Page, PageRequest, parse_sort
from hextrackr_server.storage.encoding import RANKED_SEVERITIES
from hextrackr_server.storage.finding_tables import finding_assets, finding_hosts

_SEVERITIES: Final = ("Critical", "High", "Medium", "Low")
_COLUMNS: Final = (
    "hostname", "hostKey", "totalCount", "totalVPR",
    *(f"{name.lower()}{kind}" for name in _SEVERITIES for kind in ("Count", "VPR")),
    "hasKev",
)  # fmt: skip


def devices(connection: Connection, request: PageRequest) -> Page:
    """Return a page of the hosts with open vulnerabilities, by default by their total VPR."""
    sort = parse_sort(request, {name: literal(name) for name in _COLUMNS}, "-totalVPR")
    found = _devices(group_sources(connection, request.filters)).subquery()
    query = (
        select(found, func.count().over().label("all"))
        .order_by(sort.by(found.c[sort.name]), found.c.hostKey)
        .limit(request.limit)
        .offset(request.offset)
    )
    rows = connection.execute(query).mappings().all()
    if not rows:
        return Page([], connection.scalar(select(func.count()).select_from(found)) or 0)
    return Page([_device(row) for row in rows], rows[0]["all"])


def _device(row: Any) -> dict[str, Any]:
    device = {name: round(row[name], 1) if name.endswith("VPR") else row[name] for name in _COLUMNS}
    return device | {"hasKev": bool(row["hasKev"])}


def _devices(sources: Sources) -> Select[Any]:
    """Select the columns of the list; a host has the name that it had last."""
    hosts = _totals(sources)
    columns: dict[str, ColumnElement[Any]] = {
        "hostname": finding_assets.c.hostname,
        "hostKey": finding_hosts.c.host_key,
    }
    columns |= {name: hosts.c[name] for name in _COLUMNS if name in hosts.c}
    joined = hosts.join(finding_hosts, finding_hosts.c.id == hosts.c.host_id)
    joined = joined.join(finding_assets, finding_assets.c.id == hosts.c.asset_id)
    return select(*(columns[name].label(name) for name in _COLUMNS)).select_from(joined)


def _totals(sources: Sources) -> Subquery:
    """Sum the vulnerabilities of each host, by severity."""
    selects = sources.selects
    groups = (union_all(*selects) if len(selects) > 1 else selects[0]).subquery()
    columns: dict[str, ColumnElement[Any]] = {
        "host_id": groups.c.host_id,
        "asset_id": func.max(groups.c.asset_id),
        "totalCount": func.count(),
        "totalVPR": func.coalesce(func.sum(groups.c.vpr_score), 0.0),
        "hasKev": func.max(case((groups.c.exploited > 0, 1), else_=0)),
    }
    for name in _SEVERITIES:
        mine = groups.c.severity == RANKED_SEVERITIES.index(name)
        columns[f"{name.lower()}Count"] = func.count(case((mine, 1)))
        vpr = func.sum(case((mine, groups.c.vpr_score)))
        columns[f"{name.lower()}VPR"] = func.coalesce(vpr, 0.0)
    query = select(*(column.label(name) for name, column in columns.items()))
    return query.group_by(groups.c.host_id).subquery("hosts")

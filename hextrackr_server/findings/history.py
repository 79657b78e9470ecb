"""Stores the history of scans: daily totals permanently, snapshots of the last scan days.

All functions run in a transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select, text

from hextrackr_server.findings.totals import OpenTotal
from hextrackr_server.storage.encoding import day_number
from hextrackr_server.storage.finding_tables import finding_snapshots, findings
from hextrackr_server.storage.schema import vendor_daily_totals, vulnerability_daily_totals

snapshots = finding_snapshots

#: Scan days with snapshots, unless the settings contain another number.
KEPT_SCANS = 3
#: IDs of findings that one statement covers; an import can be interrupted between two.
SNAPSHOT_BATCH = 100_000


def write_daily_totals(
    connection: Connection,
    scan_date: str,
    totals: Sequence[OpenTotal],
    *,
    resolved: Mapping[str, int],
    reopened: Mapping[str, int],
) -> None:
    """Replace the totals of a scan's day, overall and per vendor, with the current ones.

    The numbers of resolved and reopened findings, by vendor, are added to the numbers of earlier
    imports of that day.
    """
    _write(connection, vulnerability_daily_totals, {"scan_date": scan_date}, totals,
           sum(resolved.values()), sum(reopened.values()))  # fmt: skip
    for vendor in sorted({total.vendor for total in totals} | set(resolved) | set(reopened)):
        key = {"scan_date": scan_date, "vendor": vendor}
        mine = [total for total in totals if total.vendor == vendor]
        _write(connection, vendor_daily_totals, key, mine,
               resolved.get(vendor, 0), reopened.get(vendor, 0))  # fmt: skip


def _write(
    connection: Connection,
    table: Table,
    key: Mapping[str, str],
    totals: Iterable[OpenTotal],
    resolved: int,
    reopened: int,
) -> None:
    values: dict[str, Any] = {column.name: 0 for column in table.c} | dict(key)
    for total in totals:
        values["total_vulnerabilities"] += total.number
        values["total_vpr"] = round(values["total_vpr"] + total.vpr, 1)
        severity = total.severity.lower()
        if f"{severity}_count" in values:
            values[f"{severity}_count"] += total.number
            vpr = values[f"{severity}_total_vpr"] + total.vpr
            values[f"{severity}_total_vpr"] = round(vpr, 1)
    same = [table.c[name] == value for name, value in key.items()]
    former = connection.execute(
        select(table.c.resolved_count, table.c.reopened_count).where(*same)
    ).first()
    values["resolved_count"] = resolved + (former[0] if former else 0)
    values["reopened_count"] = reopened + (former[1] if former else 0)
    connection.execute(delete(table).where(*same))
    connection.execute(insert(table).values(**values))


def totals_of_day(connection: Connection, scan_date: str) -> list[dict[str, Any]]:
    """Return the totals of a scan's day, overall and per vendor, for `restore_totals`."""
    return [
        dict(row)
        for table in (vulnerability_daily_totals, vendor_daily_totals)
        for row in connection.execute(
            select(table).where(table.c.scan_date == scan_date)
        ).mappings()
    ]


def restore_totals(
    connection: Connection, scan_date: str, totals: Sequence[Mapping[str, Any]]
) -> None:
    """Replace the totals of a scan's day by former ones."""
    for table in (vulnerability_daily_totals, vendor_daily_totals):
        connection.execute(delete(table).where(table.c.scan_date == scan_date))
        names = {column.name for column in table.c}
        rows = [row for row in totals if row.keys() == names]
        if rows:
            connection.execute(insert(table), rows)


def keeps_snapshot_of(connection: Connection, scan_date: str, kept: int = KEPT_SCANS) -> bool:
    """Return whether a scan of that day is among the last scan days, whose number is `kept`."""
    newer = select(func.count(snapshots.c.scan_date.distinct())).where(
        snapshots.c.scan_date > day_number(scan_date)
    )
    return int(connection.scalar(newer) or 0) < kept


_SNAPSHOT = """
    INSERT INTO finding_snapshots (scan_date, finding_id, import_id, severity, vpr_score,
        cvss_score, last_seen, state)
    SELECT CAST(:scan_date AS INTEGER), id, import_id, severity, vpr_score, cvss_score, last_seen,
        state
    FROM findings
    WHERE id BETWEEN :first AND :last AND import_id = :import_id
    ORDER BY id"""
_REPLACE_SNAPSHOT = """
    ON CONFLICT (scan_date, finding_id) DO UPDATE SET
        import_id = excluded.import_id, severity = excluded.severity,
        vpr_score = excluded.vpr_score, cvss_score = excluded.cvss_score,
        last_seen = excluded.last_seen, state = excluded.state"""


def snapshot_batches(connection: Connection, import_id: int, scan_date: str) -> Iterator[None]:
    """Store the findings of an import as the snapshot of a scan's day; yield after each batch."""
    mine = select(func.min(findings.c.id), func.max(findings.c.id)).where(
        findings.c.import_id == import_id
    )
    first, last = connection.execute(mine).one()
    values = {"import_id": import_id, "scan_date": day_number(scan_date)}
    of_day = select(snapshots.c.finding_id).where(snapshots.c.scan_date == values["scan_date"])
    # A conflict clause slows down inserts even if no row conflicts.
    replace = _REPLACE_SNAPSHOT if connection.scalar(select(of_day.exists())) else ""
    for start in range(first or 0, (last or -1) + 1, SNAPSHOT_BATCH):
        batch = {"first": start, "last": start + SNAPSHOT_BATCH - 1}
        connection.execute(text(_SNAPSHOT + replace), values | batch)
        yield


def expire_snapshots(connection: Connection, kept: int = KEPT_SCANS) -> None:
    """Delete the snapshots of all but the last scan days, whose number is `kept`."""
    days = select(snapshots.c.scan_date).distinct().order_by(snapshots.c.scan_date.desc())
    newest = connection.scalars(days.limit(kept)).all()
    if len(newest) == kept:
        connection.execute(delete(snapshots).where(snapshots.c.scan_date < newest[-1]))

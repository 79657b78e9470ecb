"""The rules of retention, and the rows that they do not keep.

Rows that other functions need are kept whatever the rules: the newest scan day and the newest
totals, which statistics compare with; imports that can be undone, that findings or the undo
information refer to, the last completed import, and unfinished ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Integer, Select, func, literal, or_, select, union

from hextrackr_server.config.settings import Settings
from hextrackr_server.findings.history import KEPT_SCANS
from hextrackr_server.storage.encoding import day_number
from hextrackr_server.storage.finding_tables import (
    finding_journal,
    finding_snapshots,
    findings,
    undoable_imports,
)
from hextrackr_server.storage.schema import (
    import_jobs,
    vendor_daily_totals,
    vulnerability_daily_totals,
)

_DAY_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRules:
    """Limits: numbers of scan days and imports, and ages in days; 0 keeps all.

    With a number and an age, rows beyond either of them are deleted.
    """

    snapshots: int = KEPT_SCANS
    snapshot_days: int = 0
    history_days: int = 0
    imports: int = 0
    import_days: int = 0

    @classmethod
    def of(cls, settings: Settings) -> RetentionRules:
        """Return the rules of the settings."""
        return cls(
            snapshots=settings.snapshots_kept,
            snapshot_days=settings.snapshots_kept_days,
            history_days=settings.history_kept_days,
            imports=settings.imports_kept,
            import_days=settings.imports_kept_days,
        )


@dataclass(frozen=True, slots=True)
class Expired:
    """Rows that the rules do not keep: scan days of snapshots and of totals, IDs of imports."""

    snapshot_days: list[int]
    total_days: list[str]
    imports: list[int]


def find_expired(connection: Connection, rules: RetentionRules, now_ms: int) -> Expired:
    """Return what the rules do not keep, the oldest first."""
    return Expired(
        _snapshot_days(connection, rules, now_ms),
        _total_days(connection, rules, now_ms),
        _imports(connection, rules, now_ms),
    )


def count_expired(connection: Connection, expired: Expired) -> dict[str, int]:
    """Return the numbers of rows that a deletion would delete, by kind."""
    snapshots = (
        select(func.count())
        .select_from(finding_snapshots)
        .where(finding_snapshots.c.scan_date.in_(expired.snapshot_days))
    )
    totals = 0
    for table in (vulnerability_daily_totals, vendor_daily_totals):
        of_days = table.c.scan_date.in_(expired.total_days)
        totals += connection.scalar(select(func.count()).select_from(table).where(of_days)) or 0
    return {
        "snapshots": connection.scalar(snapshots) or 0,
        "totals": totals,
        "imports": len(expired.imports),
    }


def _first_day(now_ms: int, days: int) -> str:
    """Return the first day that is kept."""
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    return (today - timedelta(days=days)).isoformat()


def _snapshot_days(connection: Connection, rules: RetentionRules, now_ms: int) -> list[int]:
    column = finding_snapshots.c.scan_date
    days = list(connection.scalars(select(column).distinct().order_by(column.desc())))
    expired = set(days[rules.snapshots :]) if rules.snapshots else set()
    if rules.snapshot_days:
        first = day_number(_first_day(now_ms, rules.snapshot_days))
        expired.update(day for day in days[1:] if day < first)
    return sorted(expired)


def _total_days(connection: Connection, rules: RetentionRules, now_ms: int) -> list[str]:
    if not rules.history_days:
        return []
    column = vulnerability_daily_totals.c.scan_date
    newest = select(func.max(column)).scalar_subquery()
    query = select(column).where(column < _first_day(now_ms, rules.history_days), column < newest)
    return list(connection.scalars(query.order_by(column)))


def _imports(connection: Connection, rules: RetentionRules, now_ms: int) -> list[int]:
    jobs = import_jobs.c
    beyond: list[Any] = []
    if rules.import_days:
        beyond.append(jobs.finished_at < now_ms - rules.import_days * _DAY_MS)
    if rules.imports:
        # The oldest import of those that the number keeps; none if there are fewer.
        last = select(jobs.import_id).order_by(jobs.import_id.desc())
        last = last.offset(rules.imports - 1).limit(1)
        beyond.append(jobs.import_id < func.coalesce(last.scalar_subquery(), literal(0, Integer)))
    if not beyond:
        return []
    query = (
        select(jobs.import_id)
        .where(jobs.finished_at.is_not(None), or_(*beyond), jobs.import_id.not_in(_needed()))
        .order_by(jobs.import_id)
    )
    return list(connection.scalars(query))


def _needed() -> Select[Any]:
    """Return the IDs of imports that other functions need."""
    jobs = import_jobs.c
    last = (
        select(func.max(jobs.import_id))
        .where(jobs.status == "completed", jobs.undone_at.is_(None))
        .having(func.max(jobs.import_id).is_not(None))
    )
    needed = union(
        select(findings.c.import_id),
        select(finding_journal.c.former_import_id),
        select(undoable_imports.c.import_id),
        last,
    ).subquery()
    return select(needed.c[0])

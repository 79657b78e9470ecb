"""Deletes expired rows in small transactions, so that other writers wait for a moment only.

All functions block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import delete, select

from hextrackr_server.retention.rules import RetentionRules, find_expired
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.finding_tables import finding_snapshots
from hextrackr_server.storage.schema import (
    import_jobs,
    vendor_daily_totals,
    vulnerability_daily_totals,
)

#: Rows that one transaction deletes.
BATCH: Final = 2000
KINDS: Final = ("snapshots", "totals", "imports")


class RetentionStore:
    """Database access of retention."""

    def __init__(self, database: Database, rules: RetentionRules) -> None:
        self._database = database
        self._rules = rules

    def delete_expired(self, now_ms: int, stopping: Callable[[], bool]) -> dict[str, int]:
        """Delete all rows that the rules do not keep; return their numbers by kind.

        `stopping` is called between two transactions; it returns whether to end early.
        """
        deleted = dict.fromkeys(KINDS, 0)
        for kind, number in self._batches(now_ms):
            deleted[kind] += number
            if stopping():
                break
        return deleted

    def _batches(self, now_ms: int) -> Iterator[tuple[str, int]]:
        with self._database.reading() as connection:
            expired = find_expired(connection, self._rules, now_ms)
        for day in expired.snapshot_days:
            while number := self._delete_snapshots(day):
                yield "snapshots", number
        if expired.total_days:
            yield "totals", self._delete_totals(expired.total_days)
        while expired.imports and (number := self._delete_imports(now_ms)):
            yield "imports", number

    def _delete_snapshots(self, day: int) -> int:
        snapshots = finding_snapshots.c
        some = select(snapshots.finding_id).where(snapshots.scan_date == day).limit(BATCH)
        with self._database.writing() as connection:
            statement = delete(finding_snapshots).where(
                snapshots.scan_date == day, snapshots.finding_id.in_(some)
            )
            return connection.execute(statement).rowcount

    def _delete_totals(self, days: list[str]) -> int:
        number = 0
        with self._database.writing() as connection:
            for table in (vulnerability_daily_totals, vendor_daily_totals):
                for start in range(0, len(days), BATCH):
                    some = table.c.scan_date.in_(days[start : start + BATCH])
                    number += connection.execute(delete(table).where(some)).rowcount
        return number

    def _delete_imports(self, now_ms: int) -> int:
        with self._database.writing() as connection:
            # Found again in this transaction: an undo may refer to an import since.
            some = find_expired(connection, self._rules, now_ms).imports[:BATCH]
            statement = delete(import_jobs).where(import_jobs.c.import_id.in_(some))
            return connection.execute(statement).rowcount

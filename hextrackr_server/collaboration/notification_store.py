"""What users were told and have not acknowledged: for those who are away, or do not answer.

Knows: their table, how many are kept and for how long.
Does not know: sockets, who acknowledges.  Everything here blocks.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from hextrackr_server.storage.database import Database
from hextrackr_server.storage.schema import user_notifications as kept

#: Of all users together; whoever reports to ever new users loses the oldest.
MAXIMUM_KEPT = 100_000


class Notification(NamedTuple):
    """One message to one user; its payload is JSON, its time in ms since 1970."""

    id: str
    user_id: str
    payload: str
    created_at: int


class NotificationStore:
    """Keeps so many of each user, for so many seconds; every method is one transaction."""

    def __init__(
        self, database: Database, *, per_user: int, seconds: float, maximum: int = MAXIMUM_KEPT
    ) -> None:
        self._database = database
        self._per_user = per_user
        self._age_ms = round(seconds * 1000)
        self._maximum = maximum

    def add(self, notification: Notification) -> None:
        """Keep a notification; the oldest of too many go, and all that are too old."""
        with self._database.writing() as connection:
            self._forget_old(connection, notification.created_at)
            added = connection.execute(insert(kept).values(**notification._asdict()))
            key = added.inserted_primary_key
            assert key is not None
            connection.execute(delete(kept).where(kept.c.number <= key[0] - self._maximum))
            of_user = kept.c.user_id == notification.user_id
            newest = select(kept.c.number).where(of_user).order_by(kept.c.number.desc())
            surplus = connection.scalar(newest.offset(self._per_user).limit(1))
            if surplus is not None:
                connection.execute(delete(kept).where(of_user, kept.c.number <= surplus))

    def remove(self, notification_id: str) -> None:
        """A notification has been acknowledged."""
        with self._database.writing() as connection:
            connection.execute(delete(kept).where(kept.c.id == notification_id))

    def waiting(self, user_id: str, now_ms: int) -> list[Notification]:
        """What a user has not acknowledged, the first first."""
        query = (
            select(*(kept.c[name] for name in Notification._fields))
            .where(kept.c.user_id == user_id, kept.c.created_at > now_ms - self._age_ms)
            .order_by(kept.c.number)
        )
        with self._database.reading() as connection:
            return [Notification(*row) for row in connection.execute(query)]

    def forget_old(self, now_ms: int) -> None:
        """Forget what has been kept for too long."""
        with self._database.writing() as connection:
            self._forget_old(connection, now_ms)

    def _forget_old(self, connection: Connection, now_ms: int) -> None:
        connection.execute(delete(kept).where(kept.c.created_at <= now_ms - self._age_ms))

"""Stores notifications until their users acknowledge them or they expire.

All functions block.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from hextrackr_server.storage.database import Database
from hextrackr_server.storage.schema import user_notifications as kept

#: Stored notifications of all users; above this number the oldest are deleted.
MAXIMUM_KEPT = 100_000


class Notification(NamedTuple):
    """One notification of one user: its JSON payload, and its time in ms since 1970."""

    id: str
    user_id: str
    payload: str
    created_at: int


class NotificationStore:
    """Database access of notifications; every method is one transaction.

    The store keeps `per_user` notifications of each user for `seconds`.
    """

    def __init__(
        self, database: Database, *, per_user: int, seconds: float, maximum: int = MAXIMUM_KEPT
    ) -> None:
        self._database = database
        self._per_user = per_user
        self._age_ms = round(seconds * 1000)
        self._maximum = maximum

    def add(self, notification: Notification) -> None:
        """Store a notification; delete expired ones and the oldest ones over the limits."""
        with self._database.writing() as connection:
            self._delete_expired(connection, notification.created_at)
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
        """Delete a notification that its user has acknowledged."""
        with self._database.writing() as connection:
            connection.execute(delete(kept).where(kept.c.id == notification_id))

    def waiting(self, user_id: str, now_ms: int) -> list[Notification]:
        """Return the notifications of a user that are stored and valid, the oldest first."""
        query = (
            select(*(kept.c[name] for name in Notification._fields))
            .where(kept.c.user_id == user_id, kept.c.created_at > now_ms - self._age_ms)
            .order_by(kept.c.number)
        )
        with self._database.reading() as connection:
            return [Notification(*row) for row in connection.execute(query)]

    def delete_expired(self, now_ms: int) -> None:
        """Delete the notifications that have expired."""
        with self._database.writing() as connection:
            self._delete_expired(connection, now_ms)

    def _delete_expired(self, connection: Connection, now_ms: int) -> None:
        connection.execute(delete(kept).where(kept.c.created_at <= now_ms - self._age_ms))

"""Changes that are committed, and whose events the server has not sent.

The transaction of a change stores a note in `meta`, which is deleted after the events are sent. A
server that is killed in between leaves the note, and the next server sends the events. A change
may be announced twice, if the server is killed before it deletes the note, but not omitted.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from sqlalchemy import Connection, delete, select

from hextrackr_server.clock import Clock, Timer
from hextrackr_server.storage.background_writer import BackgroundWriter
from hextrackr_server.storage.database import Database, upsert
from hextrackr_server.storage.schema import meta
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.failures import log_failure

logger = logging.getLogger(__name__)

#: Time after the start at which the events of a former server are sent. Socket.IO clients return
#: within 7.5 seconds of a restart by default (`reconnectionDelayMax` and its random share).
RETURN_SECONDS: Final = 15.0
_PREFIX: Final = "unannounced:"

#: Sends the events of a noted change, whose key and value it receives, and deletes the note.
Announce = Callable[[str, Any], Awaitable[None]]


def note(connection: Connection, kind: str, key: object, value: Any = None) -> None:
    """Note a change in its transaction, unless there is a note of this kind and key."""
    row = {"name": f"{_PREFIX}{kind}:{key}", "value": json.dumps(value)}
    connection.execute(upsert(connection, meta).values(**row).on_conflict_do_nothing())


def forget(connection: Connection, kind: str, key: object) -> None:
    """Delete a note: its events are sent, or no longer true."""
    connection.execute(delete(meta).where(meta.c.name == f"{_PREFIX}{kind}:{key}"))


def forget_all(connection: Connection) -> None:
    """Delete all notes: all data are replaced."""
    connection.execute(delete(meta).where(meta.c.name.startswith(_PREFIX, autoescape=True)))


def noted(connection: Connection) -> dict[tuple[str, str], Any]:
    """Return the values of all notes, by kind and key."""
    query = select(meta.c.name, meta.c.value)
    rows = connection.execute(query.where(meta.c.name.startswith(_PREFIX, autoescape=True)))
    found = {}
    for name, value in rows:
        kind, _, key = name.removeprefix(_PREFIX).partition(":")
        found[kind, key] = json.loads(value)
    return found


class Unannounced:
    """The announcement of changes that a former server committed and did not announce."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._announcers: dict[str, Announce] = {}
        self._timer: Timer | None = None
        self._task: asyncio.Task[None] | None = None
        self._writer = BackgroundWriter("hextrackr-notes")

    def add(self, kind: str, announce: Announce) -> None:
        """Use a function for the changes of a kind."""
        self._announcers[kind] = announce

    async def start(self) -> None:
        """Announce the changes of a former server, once its clients have returned."""
        left = await asyncio.to_thread(self._noted)
        if left:
            logger.warning(
                "an earlier server did not announce all of its changes",
                extra=log_setup.fields(number=len(left), seconds=RETURN_SECONDS),
            )
            self._timer = self._clock.call_later(RETURN_SECONDS, lambda: self._begin(left))

    async def stop(self) -> None:
        """Stop: changes that are not announced yet stay noted for the next server."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._writer.close()

    def sent(self, kind: str, key: object) -> None:
        """Delete a note soon: its events are sent. After an error, they are sent once more."""
        self._writer.soon(self._forget, kind, key)

    def _begin(self, left: dict[tuple[str, str], Any]) -> None:
        self._task = asyncio.create_task(self._announce(left), name="unannounced changes")

    async def _announce(self, left: dict[tuple[str, str], Any]) -> None:
        # Changes of this server, which may be on their way to clients, are not among `left`.
        present = await asyncio.to_thread(self._noted)
        for (kind, key), value in left.items():
            if (kind, key) in present and (announce := self._announcers.get(kind)) is not None:
                try:
                    await announce(key, value)
                except Exception as error:
                    # The note stays for the next server; other changes are announced.
                    log_failure(logger, "announcing a change failed", error, change=f"{kind} {key}")

    def _noted(self) -> dict[tuple[str, str], Any]:
        with self._database.reading() as connection:
            return noted(connection)

    def _forget(self, kind: str, key: object) -> None:
        with self._database.writing() as connection:
            forget(connection, kind, key)

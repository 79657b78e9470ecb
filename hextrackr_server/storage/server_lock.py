"""The lock of the only server that uses a PostgreSQL database, and its loss.

A connection holds the lock. PostgreSQL releases the lock when the connection ends, for example at
a restart: another server may then acquire it. `check` acquires the lock again or reports the other
server, and `verify` makes sure that a server without the lock writes nothing.

`check` also notices a PostgreSQL server that does not answer although its connections are open, as
after a network was cut or a machine was suspended, and ends all waiting statements then. All
functions block.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from hextrackr_server.errors import DatabaseInUseError, SettingsError

# Arbitrary key of an advisory lock.
SERVER_LOCK: Final = 4_854_201
#: Time in seconds after which a server that does not answer a trivial query counts as unreachable.
ANSWER_SECONDS: Final = 30.0
# Settings of the connection that holds the lock: seconds, seconds, probes. PostgreSQL releases the
# lock of a machine that has lost its power within seconds.
_KEEPALIVE: Final = {
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 2,
    "tcp_keepalives_count": 3,
}
#: Returns the name and the process of the session that has the lock. PostgreSQL stores the two
#: halves of a key of 64 bits as `classid` and `objid`, with `objsubid` 1 (documentation, pg_locks).
_HOLDER: Final = f"""
    SELECT holder.application_name, holder.pid
    FROM pg_locks JOIN pg_stat_activity AS holder USING (pid)
    WHERE locktype = 'advisory' AND granted
    AND classid = 0 AND objid = {SERVER_LOCK} AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_END_SESSION: Final = text("SELECT pg_terminate_backend(:pid)")
_TRY_LOCK: Final = text(f"SELECT pg_try_advisory_lock({SERVER_LOCK})")


class ServerLock:
    """The lock of this server, acquired at once. `name` is the database in error messages."""

    def __init__(self, engine: Engine, name: str, answer_seconds: float = ANSWER_SECONDS) -> None:
        """Acquire the lock.

        Raises DatabaseInUseError if another server has it, SettingsError without a connection.
        """
        self._engine = engine
        self._name = name
        self._answer_seconds = answer_seconds
        # The sessions of this server have this name, by which it recognizes its own former session.
        self._owner = f"hextrackr {secrets.token_hex(8)}"
        self._mutex = threading.Lock()
        self._sockets = _Sockets(engine)
        self._is_released = False
        self._held = self._acquire()

    def check(self) -> None:
        """Acquire the lock again if its connection has ended.

        Raises DatabaseInUseError if another server has the lock, SettingsError without a
        connection. If PostgreSQL does not answer in time, all statements of this server end with
        the error of a lost connection.
        """
        with self._mutex:
            if self._is_released:
                return
            try:
                with self._sockets.cut_after(self._answer_seconds):
                    holder = self._held.exec_driver_sql(_HOLDER).first()
                if holder is not None and holder[0] == self._owner:
                    return
            except SQLAlchemyError:  # also if an earlier check has closed the connection
                pass
            with contextlib.suppress(SQLAlchemyError):
                self._held.invalidate()
                self._held.close()
            self._held = self._acquire()

    def verify(self, connection: Connection) -> None:
        """Raise DatabaseInUseError in a transaction that writes, if another server has the lock.

        The transaction must already be the only one that writes: another server that acquires the
        lock after this check waits for its end before it writes.
        """
        holder = connection.exec_driver_sql(_HOLDER).first()
        if holder is None or holder[0] != self._owner:
            self.check()

    def release(self) -> None:
        """Release the lock and close its connection."""
        # Closing the connection releases the lock too, but only after PostgreSQL has noticed the
        # close.
        with self._mutex:
            self._is_released = True
            with contextlib.suppress(SQLAlchemyError):
                with self._sockets.cut_after(self._answer_seconds):
                    self._held.execute(text(f"SELECT pg_advisory_unlock({SERVER_LOCK})"))
                self._held.close()

    def _acquire(self) -> Connection:
        """Open a connection that holds the lock until it is closed."""
        try:
            with contextlib.ExitStack() as stack:
                held = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                stack.callback(held.close)
                self._prepare(held)
                if not held.scalar(_TRY_LOCK):
                    # PostgreSQL may not have noticed yet that the former connection has ended.
                    self._end_own_session(held)
                    if not held.scalar(_TRY_LOCK):
                        raise DatabaseInUseError(
                            f"the database {self._name} is in use by another server: stop it, or "
                            "choose another one"
                        )
                stack.pop_all()
                return held
        except SQLAlchemyError as error:  # also without a free connection
            reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
            raise SettingsError(f"the database {self._name} cannot be opened: {reason}") from error

    def _prepare(self, held: Connection) -> None:
        held.execute(
            text("SELECT set_config('application_name', :name, false)"), {"name": self._owner}
        )
        for name, value in _KEEPALIVE.items():
            held.exec_driver_sql(f"SET {name} = {value}")

    def _end_own_session(self, connection: Connection) -> None:
        """End the former session of this server, and wait for the lock, if that session has it."""
        holder = connection.exec_driver_sql(_HOLDER).first()
        if holder is not None and holder[0] == self._owner:
            connection.execute(_END_SESSION, {"pid": holder[1]})
            connection.exec_driver_sql(f"SET lock_timeout = {round(self._answer_seconds * 1000)}")
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({SERVER_LOCK})")


class _Sockets:
    """The sockets of all connections of an engine.

    They are duplicates, because another thread may close a connection at any time.
    """

    def __init__(self, engine: Engine) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._mutex = threading.Lock()
        event.listen(engine, "connect", self._opened)
        event.listen(engine, "close", self._closed)

    def _opened(self, connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        duplicate = socket.socket(fileno=os.dup(_descriptor(connection)))
        with self._mutex:
            self._sockets[id(connection)] = duplicate

    def _closed(self, connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        with self._mutex:
            duplicate = self._sockets.pop(id(connection), None)
        if duplicate is not None:
            duplicate.close()

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        """Shut all sockets down if the block takes longer: waiting statements then fail."""
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        with self._mutex:
            for each in self._sockets.values():
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


def _descriptor(connection: Any) -> int:
    return int(connection.fileno())

"""Database access: connections, transactions, and the version of the schema.

All functions block: call them from a thread, not from the event loop. `storage.backends` covers the
differences between SQLite and PostgreSQL.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Table, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from hextrackr_server.errors import SettingsError
from hextrackr_server.storage import schema
from hextrackr_server.storage.backends import WRITES, open_backend, read_only_connection
from hextrackr_server.storage.finding_tables import create_views, drop_deferred_indexes
from hextrackr_server.storage.free_memory import release_freed_memory
from hextrackr_server.storage.metadata import metadata
from hextrackr_server.storage.migrations import MIGRATIONS, Migration
from hextrackr_server.storage.stage import attached_copy, attached_stage, copy_stage

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

    Upsert = sqlite.Insert | postgresql.Insert

logger = logging.getLogger(__name__)


class Database:
    """A SQLite file or a PostgreSQL database, used by one server at a time.

    `reading()` and `writing()` yield a connection within a transaction, which is committed at the
    end of the block, or rolled back if the block raises.
    """

    def __init__(self, target: Path | str, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
        """Open a path or URL, and create or migrate its tables; SettingsError on failure."""
        self._migrations = migrations
        self._backend = open_backend(target)
        self._engine = self._backend.engine
        try:
            with self.writing() as connection:
                self._migrate(connection)
        except DBAPIError as error:
            self.close()
            raise SettingsError(
                f"the database {self} is not usable: {error.orig}; choose another one"
            ) from error
        except BaseException:
            self.close()
            raise

    def __str__(self) -> str:
        return str(self._backend)

    @staticmethod
    def check_target(target: Path | str) -> None:
        """Raise SettingsError if the server could not open a database; change nothing.

        A database that a running server uses is accepted.
        """
        newest = 1 + len(MIGRATIONS)
        query = select(schema.meta.c.value).where(schema.meta.c.name == "schema_version")
        try:
            with read_only_connection(target) as connection:
                if connection is None or not connection.dialect.has_table(
                    connection, schema.meta.name
                ):
                    return
                found = int(connection.execute(query).scalar() or 0)
        except DBAPIError as error:
            raise SettingsError(
                f"the database is not usable: {error.orig}; choose another one"
            ) from error
        if found > newest:
            raise _too_new(str(target) if isinstance(target, Path) else "database", found, newest)

    @contextmanager
    def reading(self, seconds: float | None = None) -> Iterator[Connection]:
        """Begin a transaction that reads one consistent state of the database.

        With `seconds`, a slower statement raises ServiceError TIMEOUT.
        """
        with self._engine.connect() as connection, connection.begin():
            if seconds is None:
                yield connection
            else:
                with self._backend.limited(connection, seconds):
                    yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Begin a transaction that is the only writer from its start and reads the latest state.

        Raises DatabaseFileLostError if the file was deleted or replaced, also during the block.
        """
        self._backend.check_file()
        with self._begin_writing(nullcontext) as connection:
            yield connection

    @contextmanager
    def merging(self, stage: Path) -> Iterator[Connection]:
        """Begin a transaction like `writing`, in which the tables of a stage file are readable."""
        self._backend.check_file()
        with self._begin_writing(partial(attached_stage, path=stage)) as connection:
            if connection.dialect.name == "postgresql":
                copy_stage(connection, stage)
            yield connection
        self._backend.shrink()
        release_freed_memory()

    @contextmanager
    def replacing(self, copy: Path) -> Iterator[Connection]:
        """Begin a transaction like `writing`; a SQLite database has a copy attached as `restored`.

        The transaction may change most of the database.
        """
        with self._begin_writing(partial(attached_copy, path=copy)) as connection:
            yield connection
        self._backend.shrink()
        release_freed_memory()

    @contextmanager
    def _begin_writing(
        self, attached: Callable[[Connection], AbstractContextManager[object]]
    ) -> Iterator[Connection]:
        """Begin a transaction of the only writer, for SQLite in a context of its connection."""
        with (
            self._backend.write_turn(),
            self._engine.connect() as connection,
            ExitStack() as stack,
        ):
            if connection.dialect.name == "postgresql":
                # A repeatable read would use the state before the previous writers committed.
                connection = connection.execution_options(isolation_level="READ COMMITTED")
            else:
                stack.enter_context(attached(connection))
            connection = connection.execution_options(**{WRITES: True})
            with connection.begin():
                yield connection
        self._backend.check_file()

    @contextmanager
    def previewing(self, stage: Path, seconds: float) -> Iterator[Connection]:
        """Begin a transaction like `reading`, in which the tables of a stage file are writable.

        The database must not be changed: the transaction does not wait for other writers.
        """
        with self._engine.connect() as connection, ExitStack() as stack:
            if connection.dialect.name == "sqlite":
                stack.enter_context(attached_stage(connection, stage))
            with connection.begin(), self._backend.limited(connection, seconds):
                if connection.dialect.name == "postgresql":
                    copy_stage(connection, stage)
                yield connection

    def check(self) -> None:
        """Run a trivial query; raise the driver's error if the database does not answer.

        Raises OSError (ENOSPC) if the disk of a SQLite file has almost no free space, and
        DatabaseFileLostError if the file was deleted or replaced.
        """
        self._backend.check_file()
        self._backend.check_space()
        with self.reading() as connection:
            connection.execute(select(1))

    def check_lock(self) -> None:
        """Acquire the exclusive use of the database again if it was lost.

        Raises DatabaseInUseError if another server uses the database now, and SettingsError if the
        database is not reachable.
        """
        self._backend.check_lock()

    def close(self) -> None:
        """Close all connections and release the database for other servers."""
        self._backend.close()

    def _migrate(self, connection: Connection) -> None:
        newest = 1 + len(self._migrations)
        found = self._version(connection)
        if found is None:
            metadata.create_all(connection)
            create_views(connection)
            drop_deferred_indexes(connection)
            connection.execute(insert(schema.meta).values(name="schema_version", value=str(newest)))
            return
        if found > newest:
            raise _too_new(str(self._backend), found, newest)
        if found < newest:
            logger.info(
                "migrating the database from schema %d to %d: allow 30 seconds for 100,000 "
                "findings",
                found, newest,
            )  # fmt: skip
        for migration in self._migrations[found - 1 :]:
            migration(connection)
        connection.execute(
            update(schema.meta)
            .where(schema.meta.c.name == "schema_version")
            .values(value=str(newest))
        )
        if found < newest:
            logger.info("the tables of the database have schema %d", newest)

    def _version(self, connection: Connection) -> int | None:
        if not connection.dialect.has_table(connection, schema.meta.name):
            return None
        query = select(schema.meta.c.value).where(schema.meta.c.name == "schema_version")
        value = connection.execute(query).scalar()
        return None if value is None else int(value)


def _too_new(name: str, found: int, newest: int) -> SettingsError:
    return SettingsError(
        f"{name} was written by a newer server (schema {found}, this server "
        f"supports {newest}): upgrade, or choose another --database"
    )


def upsert(connection: Connection, table: Table) -> Upsert:
    """Return an INSERT with `on_conflict_do_update` in the dialect of the connection."""
    if connection.dialect.name == "postgresql":
        # Imported here: a hub on SQLite saves 2 MB.
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415

        return postgresql.insert(table)
    return sqlite.insert(table)

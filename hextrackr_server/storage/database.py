"""The database: connections, transactions, the version of its schema.

Knows: when a transaction begins and ends, which migrations are due.
Does not know: what is stored, which database it is.
Everything here blocks: call it from a thread, never from the loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from hextrackr_server.errors import SettingsError
from hextrackr_server.storage import schema
from hextrackr_server.storage.backends import WRITES, open_backend
from hextrackr_server.storage.migrations import MIGRATIONS, Migration

Upsert = sqlite.Insert | postgresql.Insert


class Database:
    """A SQLite file, or a database of PostgreSQL; opened by one server at a time.

    `reading()` and `writing()` give a connection within a transaction: it is committed at the
    end of the block, rolled back when the block raises.
    """

    def __init__(self, target: Path | str, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
        """Open a path or a URL, create or migrate its tables; SettingsError where that fails."""
        self._migrations = migrations
        self._backend = open_backend(target)
        self._engine = self._backend.engine
        try:
            with self.writing() as connection:
                self._migrate(connection)
        except DBAPIError as error:
            self.close()
            raise SettingsError(
                f"the database {self} cannot be used: {error.orig}; name another one"
            ) from error
        except BaseException:
            self.close()
            raise

    def __str__(self) -> str:
        return str(self._backend)

    @contextmanager
    def reading(self, seconds: float | None = None) -> Iterator[Connection]:
        """A transaction that sees one state of the database, whatever is written meanwhile.

        With a limit it raises ServiceError TIMEOUT when its statements take longer than that.
        """
        with self._engine.connect() as connection, connection.begin():
            if seconds is None:
                yield connection
            else:
                with self._backend.limited(connection, seconds):
                    yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is the only writer from its first moment, and sees the latest."""
        with self._engine.connect() as connection:
            options = {WRITES: True}
            if connection.dialect.name == "postgresql":
                # With one state it would be that of before the other writers were done.
                connection = connection.execution_options(isolation_level="READ COMMITTED")
            connection = connection.execution_options(**options)
            with connection.begin():
                yield connection

    def check(self) -> None:
        """Run a trivial query; raise the driver's error if the database does not answer."""
        with self.reading() as connection:
            connection.execute(select(1))

    def close(self) -> None:
        """Close every connection and let another server open it."""
        self._backend.close()

    def _migrate(self, connection: Connection) -> None:
        newest = 1 + len(self._migrations)
        found = self._version(connection)
        if found is None:
            schema.metadata.create_all(connection)
            connection.execute(insert(schema.meta).values(name="schema_version", value=str(newest)))
            return
        if found > newest:
            raise SettingsError(
                f"{self._backend} was written by a newer server (schema {found}, this one knows "
                f"{newest}): install that one, or choose another --database"
            )
        for migration in self._migrations[found - 1 :]:
            migration(connection)
        connection.execute(
            update(schema.meta)
            .where(schema.meta.c.name == "schema_version")
            .values(value=str(newest))
        )

    def _version(self, connection: Connection) -> int | None:
        if not connection.dialect.has_table(connection, schema.meta.name):
            return None
        query = select(schema.meta.c.value).where(schema.meta.c.name == "schema_version")
        value = connection.execute(query).scalar()
        return None if value is None else int(value)


def upsert(connection: Connection, table: Table) -> Upsert:
    """An INSERT that can say `on_conflict_do_update`, in the dialect of the connection."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)

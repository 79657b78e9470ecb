"""The SQL statements of the PostgreSQL adapter, with the names of its channel and table."""

from __future__ import annotations

import logging
from typing import Any, Final, final

logger = logging.getLogger("socketio_core")

_MISSING: Final = (
    "this adapter needs the package psycopg: pip install 'hextrackr-server[postgres]', or "
    "psycopg>=3.2"
)


def import_psycopg() -> Any:
    """Return the package psycopg. Raises ModuleNotFoundError with the remedy."""
    try:
        import psycopg.sql  # noqa: PLC0415 - an optional dependency
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(_MISSING, name=error.name) from None
    return psycopg


@final
class Statements:
    """The statements for one channel and one table of long messages."""

    __slots__ = ("clean_up", "create", "fetch", "find", "insert", "listen", "notify", "table")

    def __init__(self, channel: str, table: str) -> None:
        sql = import_psycopg().sql
        name = sql.Identifier(*table.split("."))

        def with_table(text: str) -> Any:
            return sql.SQL(text).format(table=name)

        self.table = table
        self.listen = sql.SQL("LISTEN {}").format(sql.Identifier(channel))
        self.notify = "SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload"
        """Parameters: channel, payloads."""
        self.find = "SELECT to_regclass(%s) IS NOT NULL"
        self.create = with_table(
            "CREATE UNLOGGED TABLE IF NOT EXISTS {table} (id bigint GENERATED ALWAYS AS IDENTITY "
            "PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), payload bytea NOT NULL)"
        )
        self.insert = with_table(
            "WITH message AS (INSERT INTO {table} (payload) VALUES (%s) RETURNING id) "
            "SELECT pg_notify(%s, %s || id) FROM message"
        )
        """Parameters: message, channel, beginning of the payload."""
        self.fetch = with_table("SELECT payload FROM {table} WHERE id = %s")
        self.clean_up = with_table(
            "DELETE FROM {table} WHERE created_at < now() - make_interval(secs => %s)"
        )


async def ensure_table(connection: Any, statements: Statements) -> bool:
    """Create the table unless it exists; return False, with a log entry, if that fails."""
    psycopg = import_psycopg()
    if await _has_table(connection, statements):
        return True
    try:
        await connection.execute(statements.create)
    except psycopg.OperationalError:
        raise  # the connection was lost
    except psycopg.Error as error:
        if await _has_table(connection, statements):
            return True  # another server was faster
        logger.warning(
            "messages above 8,000 bytes will be dropped, because the table %s cannot be created: "
            "%s; create it with: %s",
            statements.table, str(error).strip(), statements.create.as_string(connection),
        )  # fmt: skip
        return False
    return True


async def _has_table(connection: Any, statements: Statements) -> bool:
    cursor = await connection.execute(statements.find, (statements.table,))
    row = await cursor.fetchone()
    return row is not None and row[0] is True

"""The address of the server that uses a database, for the servers that wait for it.

All functions block.
"""

from __future__ import annotations

import json

from sqlalchemy import delete, select, text

from hextrackr_server.storage.backends import read_only_connection
from hextrackr_server.storage.database import Database, upsert
from hextrackr_server.storage.schema import meta
from hextrackr_server.storage.server_lock import SERVER_LOCK

#: The name of the address in `meta`.
NAME = "active_server"


def publish(database: Database, host: str, port: int) -> None:
    """Store the address at which other servers reach this one."""
    value = json.dumps([host, port])
    with database.writing() as connection:
        insertion = upsert(connection, meta).values(name=NAME, value=value)
        connection.execute(
            insertion.on_conflict_do_update(index_elements=["name"], set_={"value": value})
        )


def withdraw(database: Database) -> None:
    """Delete the address: this server is about to stop."""
    with database.writing() as connection:
        connection.execute(delete(meta).where(meta.c.name == NAME))


def find(url: str) -> tuple[str, int] | None:
    """Return the address of the active server, or None. Raises DBAPIError."""
    with read_only_connection(url) as connection:
        assert connection is not None
        if not connection.dialect.has_table(connection, meta.name):
            return None
        value = connection.scalar(select(meta.c.value).where(meta.c.name == NAME))
    if value is None:
        return None
    host, port = json.loads(value)
    return host, port


def is_free(url: str) -> bool:
    """Return whether no server uses a PostgreSQL database. Raises DBAPIError."""
    with read_only_connection(url) as connection:
        assert connection is not None
        # The lock ends with the connection.
        return bool(connection.scalar(text(f"SELECT pg_try_advisory_lock({SERVER_LOCK})")))

"""The lock of the active server on PostgreSQL, which a restart of PostgreSQL releases."""

from __future__ import annotations

import psycopg
import pytest

from hextrackr_server.errors import DatabaseInUseError
from hextrackr_server.storage import active_server
from hextrackr_server.storage.backends import SERVER_LOCK
from hextrackr_server.storage.database import Database

END_LOCK = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND granted
"""


def end_lock(url: str) -> None:
    """End the connection that holds the lock, as a restart of PostgreSQL does."""
    with psycopg.connect(url) as connection:
        assert connection.execute(END_LOCK).fetchone() == (True,)


def test_lock_is_acquired_again_when_its_connection_has_ended(empty_postgres: str) -> None:
    database = Database(empty_postgres)
    end_lock(empty_postgres)
    assert active_server.is_free(empty_postgres)
    database.check_lock()
    assert not active_server.is_free(empty_postgres)
    with pytest.raises(DatabaseInUseError):
        Database(empty_postgres)
    database.close()


def test_check_of_the_lock_raises_when_another_server_has_it(empty_postgres: str) -> None:
    database = Database(empty_postgres)
    end_lock(empty_postgres)
    with psycopg.connect(empty_postgres) as other:
        other.execute(f"SELECT pg_advisory_lock({SERVER_LOCK})")
        with pytest.raises(DatabaseInUseError):
            database.check_lock()
    database.close()


def test_address_of_the_active_server_is_found_until_it_is_withdrawn(empty_postgres: str) -> None:
    assert active_server.find(empty_postgres) is None
    database = Database(empty_postgres)
    assert active_server.find(empty_postgres) is None
    active_server.publish(database, "10.0.0.5", 8090)
    active_server.publish(database, "10.0.0.6", 8091)
    assert active_server.find(empty_postgres) == ("10.0.0.6", 8091)
    active_server.withdraw(database)
    assert active_server.find(empty_postgres) is None
    database.close()
    assert active_server.is_free(empty_postgres)

"""The lock of the active server on PostgreSQL, which a restart of PostgreSQL releases."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from hextrackr_server.errors import DatabaseInUseError, SettingsError
from hextrackr_server.storage import active_server
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.server_lock import SERVER_LOCK
from tests.helpers.stalling_proxy import StallingProxy, stalling_proxy

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


def test_server_that_lost_the_lock_writes_nothing(empty_postgres: str) -> None:
    former = Database(empty_postgres)
    end_lock(empty_postgres)
    other = Database(empty_postgres)
    with pytest.raises(DatabaseInUseError), former.writing() as connection:
        connection.execute(text("INSERT INTO meta (name, value) VALUES ('former', '1')"))
    with other.reading() as connection:
        assert not connection.scalar(text("SELECT count(*) FROM meta WHERE name = 'former'"))
    former.close()
    other.close()


def test_first_write_after_a_restart_acquires_the_lock_again(empty_postgres: str) -> None:
    database = Database(empty_postgres)
    end_lock(empty_postgres)
    with database.writing() as connection:
        connection.execute(text("INSERT INTO meta (name, value) VALUES ('x', '1')"))
        with pytest.raises(DatabaseInUseError):
            Database(empty_postgres)
    database.close()


@pytest.fixture
def proxied(empty_postgres: str) -> Iterator[tuple[Database, StallingProxy]]:
    """Open a database over a network that can be cut."""
    folder = empty_postgres.partition("host=")[2]
    with tempfile.TemporaryDirectory(prefix="hextrackr-") as directory:
        path = str(Path(directory, ".s.PGSQL.5432"))
        with stalling_proxy(f"{folder}/.s.PGSQL.5432", path) as (proxy, _):
            url = empty_postgres.replace(folder, directory) + "&connect_timeout=15"
            database = Database(url)
            yield database, proxy
            proxy.abandon()
            expect_answers_within(database, 0.1)
            database.close()


def expect_answers_within(database: Database, seconds: float) -> None:
    """Set the time in which PostgreSQL must answer the checks of the lock."""
    database._backend._lock._answer_seconds = seconds  # type: ignore[attr-defined]


def test_waiting_query_fails_when_postgres_does_not_answer(
    proxied: tuple[Database, StallingProxy],
) -> None:
    database, proxy = proxied
    failures: list[BaseException] = []

    def query() -> None:
        try:
            with database.reading() as connection:
                is_begun.set()
                proxied_stalls.wait()
                connection.execute(text("SELECT 1"))
        except DBAPIError as error:
            failures.append(error)

    is_begun, proxied_stalls = threading.Event(), threading.Event()
    waiting = threading.Thread(target=query)
    waiting.start()
    is_begun.wait()
    proxy.stall()
    proxied_stalls.set()
    expect_answers_within(database, 0.2)
    with pytest.raises(SettingsError, match="cannot be opened"):
        database.check_lock()
    expect_answers_within(database, 60.0)
    waiting.join(300)
    (failure,) = failures
    assert isinstance(failure, DBAPIError)
    assert failure.connection_invalidated
    proxy.resume()
    database.check_lock()
    assert not active_server.is_free(str(database._backend.engine.url))


def test_lock_is_acquired_again_when_postgres_has_not_noticed_the_lost_connection(
    proxied: tuple[Database, StallingProxy], empty_postgres: str
) -> None:
    database, proxy = proxied
    proxy.abandon()
    expect_answers_within(database, 10.0)  # on a busy machine, also to end the former session
    began = time.monotonic()
    database.check_lock()
    assert time.monotonic() - began < 120  # the timeouts of TCP are longer
    with pytest.raises(DatabaseInUseError):
        Database(empty_postgres)
    with database.writing() as connection:
        connection.execute(text("INSERT INTO meta (name, value) VALUES ('x', '1')"))


def test_check_reports_an_unreachable_database_without_a_free_connection(
    empty_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(empty_postgres)
    lock = database._backend._lock  # type: ignore[attr-defined]

    def wait_in_vain() -> None:
        raise PoolTimeoutError("QueuePool limit reached")

    with monkeypatch.context() as patch:
        patch.setattr(lock._engine, "connect", wait_in_vain)
        end_lock(empty_postgres)
        with pytest.raises(SettingsError, match="QueuePool limit reached"):
            database.check_lock()
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

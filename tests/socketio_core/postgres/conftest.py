"""A PostgreSQL server for the tests of this folder, and two servers that share a database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest

from socketio_core.adapters.postgres.adapter import Postgres
from tests.hextrackr_server.postgres.server import running_postgres
from tests.socketio_core.redis.conftest import Pair, until


class Database:
    """A database of a user without special rights; `block` ends and refuses its connections."""

    NAME = "cluster"

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self.url = admin_url.replace("hextrackr@/postgres", f"app@/{self.NAME}")
        self.admin_url = admin_url.replace("/postgres?", f"/{self.NAME}?")

    def create(self) -> None:
        self._execute(f"DROP DATABASE IF EXISTS {self.NAME} WITH (FORCE)")
        self._execute("DROP ROLE IF EXISTS app")
        self._execute("CREATE ROLE app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
        self._execute(f"CREATE DATABASE {self.NAME} OWNER app")

    def block(self) -> None:
        self._execute(f"ALTER DATABASE {self.NAME} ALLOW_CONNECTIONS false")
        self.end_connections()

    def unblock(self) -> None:
        self._execute(f"ALTER DATABASE {self.NAME} ALLOW_CONNECTIONS true")

    def end_connections(self, name: str = "%", query: str = "%") -> None:
        """End the connections whose application and last statement match patterns."""
        self._execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
            f"'{self.NAME}' AND application_name LIKE '{name}' AND query LIKE '{query}'"
        )

    def rows(self, query: str) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]


class PostgresPair(Pair):
    """Two servers that are connected by PostgreSQL only."""

    async def connected(self) -> None:
        """Wait until both servers are connected and each has received a message of the other."""
        await until(lambda: all(each.status().connected for each in self.factories))
        await until(lambda: all(each.status().peers == 1 for each in self.factories))


@pytest.fixture(scope="session")
def admin_url() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture
def database(admin_url: str) -> Database:
    database = Database(admin_url)
    database.create()
    return database


@pytest.fixture
async def pair(database: Database) -> AsyncIterator[PostgresPair]:
    async with PostgresPair(database.url, Postgres) as servers:
        yield servers

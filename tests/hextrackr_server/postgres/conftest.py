"""Fixtures that replace the database of the workbench with PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from hextrackr_server.storage.database import Database
from hextrackr_server.storage.metadata import metadata
from tests.hextrackr_server.postgres.server import running_postgres
from tests.hextrackr_server.support import Workbench

TABLES = ", ".join(name for name in metadata.tables if name != "meta")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url


def drop_tables(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


@pytest.fixture
def empty_postgres(postgres: str) -> str:
    """Return the URL of a database without tables."""
    drop_tables(postgres)
    return postgres


@pytest.fixture
def target(empty_postgres: str) -> str:
    return empty_postgres


@pytest.fixture
def empty(target: str) -> Callable[[], None]:
    return lambda: drop_tables(target)


@pytest.fixture(scope="module")
def made_postgres(postgres: str) -> str:
    """Return the URL of a database whose tables exist; creating them takes longer than a test."""
    drop_tables(postgres)
    Database(postgres).close()
    return postgres


@pytest.fixture
def workbench(tmp_path: Path, made_postgres: str) -> Iterator[Workbench]:
    with psycopg.connect(made_postgres, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
    bench = Workbench(tmp_path, made_postgres)
    yield bench
    bench.database.close()

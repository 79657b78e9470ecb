"""Fixtures that replace the database of the workbench with PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
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


@pytest.fixture
def empty_postgres(postgres: str) -> str:
    """Return the URL of a database without tables."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return postgres


@pytest.fixture(scope="module")
def made_postgres(postgres: str) -> str:
    """Return the URL of a database whose tables exist; creating them takes longer than a test."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    Database(postgres).close()
    return postgres


@pytest.fixture
def workbench(tmp_path: Path, made_postgres: str) -> Iterator[Workbench]:
    with psycopg.connect(made_postgres, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
    bench = Workbench(tmp_path, made_postgres)
    yield bench
    bench.database.close()

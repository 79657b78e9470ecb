"""Imports whose connections to PostgreSQL end at one point of their work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from hextrackr_server.errors import DATABASE_UNAVAILABLE
from hextrackr_server.imports import ends
from socketio_core.testing import TestClient
from tests.contract.imports import start_import
from tests.contract.support import HubHarness
from tests.hextrackr_server.support import csv_text, finding_row

_WRITE = frozenset({"INSERT", "UPDATE", "DELETE", "CREATE", "DROP"})
_ENDS = frozenset({"import-finished", "import-failed"})
#: A point takes seconds: the test of all 48 points takes two minutes.
_STEP = 8


def end_connections(url: str) -> None:
    """End all connections to the database, as an administrator or a failover does."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


@contextmanager
def points(hub: HubHarness, reached: Callable[[], None]) -> Iterator[None]:
    """Call a function after each statement of the hub that writes, and before each commit."""
    engine = hub.application.database._engine

    def executed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.split(maxsplit=1)[0] in _WRITE:
            reached()

    def commits(_: Any) -> None:
        reached()

    event.listen(engine, "after_cursor_execute", executed)
    event.listen(engine, "commit", commits)
    try:
        yield
    finally:
        event.remove(engine, "after_cursor_execute", executed)
        event.remove(engine, "commit", commits)


async def run(hub: HubHarness, client: TestClient, host: str) -> str | None:
    """Import a finding of a host; return None, or the message of the failure."""
    answer = await start_import(client, csv_text([finding_row(host=host)]))
    if not answer["success"]:
        return str(answer["error"])
    await hub.wait_until(lambda: _ENDS & {name for name, _ in client.received})
    ((name, arguments),) = [each for each in client.received if each[0] in _ENDS]
    client.received.clear()
    return str(arguments[0]["message"]) if name == "import-failed" else None


async def is_stored(hub: HubHarness, host: str) -> bool:
    """Return whether a finding of a host is stored; no connection is lost afterwards."""
    headers = {"authorization": f"Bearer {hub.token()}"}
    while True:
        answer = await hub.request("GET", f"/api/findings/export?host={host}", headers)
        if answer.status == 200:
            return host.encode() in answer.body
        # The hub notices at this request that the connections have ended after the import.
        assert (answer.status, answer.json()["error"]) == (503, DATABASE_UNAVAILABLE)


async def test_import_changes_nothing_when_all_connections_end_at_one_of_its_points(
    tmp_path: Path, made_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ends, "_PAUSE_SECONDS", 0.01)
    passed = 0

    def count() -> None:
        nonlocal passed
        passed += 1

    async with HubHarness(tmp_path, database_url=made_postgres) as hub:
        with points(hub, count):
            assert await run(hub, await hub.client("first"), "first") is None
        total = passed
        assert total > 40
        failures = 0
        for number in range(0, total, _STEP):
            passed = 0

            def reach(number: int = number) -> None:
                nonlocal passed
                passed += 1
                if passed == number + 1:
                    end_connections(made_postgres)

            client = await hub.client(f"user-{number}")
            with points(hub, reach):
                failure = await run(hub, client, f"ended-{number}")
            assert failure in {None, DATABASE_UNAVAILABLE}
            assert await is_stored(hub, f"ended-{number}") == (failure is None)
            assert await run(hub, client, f"next-{number}") is None
            assert await is_stored(hub, f"next-{number}")
            failures += failure is not None
    assert failures

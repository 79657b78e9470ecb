"""Kills (SIGKILL) of a migration and of a KEV synchronization after any statement."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from hextrackr_server.kev.catalog import parse_catalog
from hextrackr_server.kev.store import KevStore
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.migrations import MIGRATIONS
from tests.hextrackr_server.kev_support import feed, item
from tests.hextrackr_server.storage.former_databases import load_version_1
from tests.hextrackr_server.storage.killed_calls import ENTRIES


def killed(kind: str, path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the states after the kills, and the state after the complete call."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.hextrackr_server.storage.killed_calls", kind, str(path)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    *states, last = map(json.loads, done.stdout.splitlines())
    assert all(each["code"] == -signal.SIGKILL for each in states)
    assert last["code"] == 0, done.stderr
    return states, last


def test_killed_migration_leaves_the_former_schema(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    load_version_1(path)
    states, last = killed("migration", path)
    assert len(states) > 5
    assert {each["schema"] for each in states} == {"1"}
    assert all(each["tables"] == states[0]["tables"] for each in states)
    assert last["schema"] == str(1 + len(MIGRATIONS))
    Database(path).close()


def test_killed_kev_synchronization_leaves_the_former_catalog(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    database = Database(path)
    KevStore(database).apply(parse_catalog(feed(item("CVE-2024-1000"))), 1, force=True)
    database.close()
    states, last = killed("kev", path)
    assert len(states) >= 3
    assert all(each["entries"] == ["CVE-2024-1000"] for each in states)
    assert len(last["entries"]) == ENTRIES

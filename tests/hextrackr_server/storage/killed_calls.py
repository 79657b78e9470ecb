"""Migrations and KEV synchronizations in processes that kill themselves after one statement.

    python -m tests.hextrackr_server.storage.killed_calls KIND DATABASE

Prints a JSON object for each process: the statement after which it was killed, and the schema and
the catalog that the database then has. Each process is killed a few statements later than the
former one. The last process runs to its end.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from sqlalchemy import Engine, event

from hextrackr_server.kev.catalog import parse_catalog
from hextrackr_server.kev.store import KevStore
from hextrackr_server.storage.database import Database
from tests.hextrackr_server.child_process import Child
from tests.hextrackr_server.kev_support import feed, item

ENTRIES: Final = 30
_WRITE: Final = frozenset({"INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER"})


def migrate(path: Path) -> None:
    """Bring a database of an earlier version to the current schema."""
    Database(path).close()


def synchronize(path: Path) -> None:
    """Replace the catalog by one with ENTRIES other entries."""
    database = Database(path)
    entries = [item(f"CVE-2031-{1000 + number}") for number in range(ENTRIES)]
    KevStore(database).apply(parse_catalog(feed(*entries)), 5, force=True)
    database.close()


#: The calls and the step between two kills: each schema migration has many statements.
CALLS: Final[dict[str, tuple[Callable[[Path], None], int]]] = {
    "migration": (migrate, 7),
    "kev": (synchronize, 1),
}


def state_of(path: Path) -> dict[str, Any]:
    """Return the version of the schema, and the number of entries of the catalog."""
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute(
            "SELECT value FROM meta WHERE name = 'schema_version'"
        ).fetchone()
        query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        tables = [name for (name,) in connection.execute(query)]
        rows = connection.execute("SELECT cve_id FROM kev_status") if "kev_status" in tables else ()
        return {"schema": version, "tables": tables, "entries": [row[0] for row in rows]}


def _run(
    call: Callable[[Path], None], path: Path, kill_at: int, kill: Callable[[str], NoReturn]
) -> None:
    number = 0

    def point(name: str) -> None:
        nonlocal number
        if number == kill_at:
            kill(name)
        number += 1

    @event.listens_for(Engine, "after_cursor_execute")
    def executed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.split(maxsplit=1)[0] in _WRITE:
            point(statement)

    call(path)


def main() -> None:
    """Run the call in child processes until one of them reaches its end."""
    call, step = CALLS[sys.argv[1]]
    path, kill_at, code = Path(sys.argv[2]), 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        child = Child(partial(_run, call, path, kill_at))
        code = child.code
        line = {"code": code, "killed_at": child.killed_at, **state_of(path)}
        print(json.dumps(line), flush=True)
        kill_at += step


if __name__ == "__main__":
    main()

"""Restores in processes that kill themselves after one of their statements that write.

    python -m tests.hextrackr_server.backup.killed_restore DATABASE COPY STEP

Prints a JSON object for each process: the statement after which it was killed, and whether the
database then had the former contents. Each process is killed STEP statements later than the former
one, and at the commit at the latest. The last process runs to its end.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import event

from hextrackr_server.backup.replacing import replace_data
from hextrackr_server.storage import stage
from hextrackr_server.storage.database import Database
from tests.hextrackr_server.backup.support import contents_of
from tests.hextrackr_server.child_process import Child

#: A number of statements that no restore reaches.
COMPLETE = 1_000_000
_WRITE = frozenset({"INSERT", "UPDATE", "DELETE", "CREATE", "ANALYZE"})


def _restore(target: Path | str, copy: Path, kill_at: int, kill: Callable[[str], NoReturn]) -> None:
    # A small cache: SQLite writes pages to its log long before the transaction ends.
    stage._CACHE_KIB = 16
    database = Database(target)
    number = 0

    def point(name: str) -> None:
        nonlocal number
        if number == kill_at or (name == "COMMIT" and number < kill_at < COMPLETE):
            kill(name)
        number += 1

    @event.listens_for(database._engine, "after_cursor_execute")
    def executed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.split(maxsplit=1)[0] in _WRITE:
            point(statement)

    @event.listens_for(database._engine, "commit")
    def commits(_: Any) -> None:
        point("COMMIT")

    replace_data(database, copy, 1)
    database.close()


def main() -> None:
    """Restore in child processes until the commit, and then completely."""
    target, copy, step = as_target(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    former = contents_of(target)
    point = 0
    while True:
        child = Child(partial(_restore, target, copy, point))
        same = contents_of(target) == former
        line = {"code": child.code, "killed_at": child.killed_at, "unchanged": same}
        print(json.dumps(line), flush=True)
        if child.code != -signal.SIGKILL:
            return
        point = COMPLETE if child.killed_at == "COMMIT" else point + step


def as_target(target: str) -> Path | str:
    return target if "://" in target else Path(target)


if __name__ == "__main__":
    main()

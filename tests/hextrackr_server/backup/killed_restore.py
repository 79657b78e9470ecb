"""Restores in processes that kill themselves after one of their statements that write.

    python -m tests.hextrackr_server.backup.killed_restore DATABASE COPY STEP

Prints a JSON object for each process: the statement after which it was killed, and whether the
database then had the former contents. Each process is killed STEP statements later than the former
one, and at the commit at the latest. The last process runs to its end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event

from hextrackr_server.backup.replacing import replace_data
from hextrackr_server.storage import stage
from hextrackr_server.storage.database import Database
from tests.hextrackr_server.backup.support import contents_of

#: A number of statements that no restore reaches.
COMPLETE = 1_000_000
_WRITE = frozenset({"INSERT", "UPDATE", "DELETE", "CREATE", "ANALYZE"})


def _restore(target: Path | str, copy: Path, kill_at: int, report: int) -> None:
    # A small cache: SQLite writes pages to its log long before the transaction ends.
    stage._CACHE_KIB = 16
    database = Database(target)
    number = 0

    def point(name: str) -> None:
        nonlocal number
        if number == kill_at or (name == "COMMIT" and number < kill_at < COMPLETE):
            os.write(report, " ".join(name.split())[:60].encode())
            os.kill(os.getpid(), signal.SIGKILL)
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
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            _restore(target, copy, point, writing)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as report:
            name = report.read().decode()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        same = contents_of(target) == former
        print(json.dumps({"code": code, "killed_at": name, "unchanged": same}), flush=True)
        if code != -signal.SIGKILL:
            return
        point = COMPLETE if name == "COMMIT" else point + step


def as_target(target: str) -> Path | str:
    return target if "://" in target else Path(target)


if __name__ == "__main__":
    main()

"""Imports and undos in processes that kill themselves at one point of their work.

    python -m tests.hextrackr_server.imports.killed_process

Each line of standard input is a `Work` as JSON. A child process does the work and kills itself at
the point of that number; the answer is a line of JSON with the names of the points up to there.
Points follow each statement that writes and each report of progress, and precede each commit.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event

from hextrackr_server.imports.pipeline import Importer, Progress, ReadOptions
from hextrackr_server.imports.reading import read_export
from hextrackr_server.imports.reading_process import read_in_process
from hextrackr_server.imports.store import ImportJob, ImportStore
from hextrackr_server.storage import stage
from hextrackr_server.storage.database import Database

_LETTERS = 70
_WRITE = frozenset({"INSERT", "UPDATE", "DELETE", "CREATE", "DROP"})


@dataclass(frozen=True, slots=True)
class Work:
    """An import of a file, or without a file the undo of an import.

    `database` is a path or a URL. The process is killed at the point `kill_at`: a number, counted
    from 0, the first letters of a name, or never. `in_process` reads the file in a process of its
    own, as the server does.
    """

    database: str
    import_id: int
    file: str = ""
    kill_at: int | str | None = None
    in_process: bool = False


class _Points:
    """The points that a process has passed."""

    def __init__(self, kill_at: int | str | None, answer: Callable[[list[str]], None]) -> None:
        self._kill_at = kill_at
        self._answer = answer
        self.names: list[str] = []

    def __call__(self, name: str) -> None:
        self.names.append(" ".join(name.split())[:_LETTERS])
        at = self._kill_at
        if name.startswith(at) if isinstance(at, str) else len(self.names) - 1 == at:
            self._answer(self.names)
            os.kill(os.getpid(), signal.SIGKILL)


def _do(work: Work, points: _Points) -> None:
    # A small cache: SQLite writes pages to its log long before the transaction ends.
    stage._CACHE_KIB = 16
    database = Database(Path(work.database) if "://" not in work.database else work.database)
    engine = database._engine

    @event.listens_for(engine, "after_cursor_execute")
    def executed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.split(maxsplit=1)[0] in _WRITE:
            points(statement)

    @event.listens_for(engine, "commit")
    def commits(_: Any) -> None:
        points("COMMIT")

    store, importer = ImportStore(database), Importer(database, _reader(work))
    if work.file:
        store.update_job(work.import_id, status="running", started_at=1)
        importer.run(
            _job(store, work.import_id),
            Path(work.file),
            lambda progress: points(_name(progress)),
            lambda: False,
            ReadOptions(confirm=True),
        )
    else:
        importer.history.undo(work.import_id, 5)
    points("end")
    database.close()


def _reader(work: Work) -> Any:
    return read_in_process if work.in_process else read_export


def _job(store: ImportStore, import_id: int) -> ImportJob:
    job = store.job(import_id)
    assert job is not None
    return job


def _name(progress: Progress) -> str:
    return f"{progress.status}: {progress.message}"


def main() -> None:
    """Do each work of standard input in a child process, and print its points."""
    for line in sys.stdin:
        work = Work(**json.loads(line))
        child = os.fork()
        if not child:
            _run(work)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"code": code}), flush=True)


def _run(work: Work) -> None:
    def answer(names: list[str]) -> None:
        print(json.dumps(names), flush=True)

    points = _Points(work.kill_at, answer)
    try:
        _do(work, points)
        answer(points.names)
    except BaseException as error:
        print(json.dumps([f"failed: {error!r}"]), flush=True)
        os._exit(1)
    os._exit(0)


class Killer:
    """The process that does works; `do` returns the points of one work."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, work: Work) -> list[str]:
        """Do a work until its end or its point; return the names of the points up to there.

        The last point is "end".
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(asdict(work)), file=self._process.stdin, flush=True)
        names: list[str] = json.loads(self._process.stdout.readline())
        ended = json.loads(self._process.stdout.readline())
        assert ended == {"code": 0 if work.kill_at is None else -signal.SIGKILL}, names
        return names


@contextmanager
def running_killer() -> Iterator[Killer]:
    """Start the process, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with process:
        yield Killer(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(300) == 0


if __name__ == "__main__":
    main()

"""The supervisor: start, restart and end of worker processes, tested with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hextrackr_server.cluster.supervisor import describe_exit

LIMIT = 300.0
PROGRAM = """
    import asyncio, logging, os, signal, sys
    from pathlib import Path
    from hextrackr_server.cluster.supervisor import CONFIGURATION, Supervisor, Worker, watch_parent

    folder = Path(sys.argv[1])

    def write(name, text):
        with (folder / name).open("a") as file:
            file.write(text + "\\n")

    def work(name):
        def run(ready):
            async def serve():
                loop = asyncio.get_running_loop()
                stopped = loop.create_future()
                stop = lambda why: stopped.done() or stopped.set_result(why)
                if name == "stubborn":
                    loop.add_signal_handler(signal.SIGTERM, lambda: write("log", f"{name} ignores"))
                else:
                    loop.add_signal_handler(signal.SIGTERM, stop, "SIGTERM")
                watch_parent(loop, lambda: stop("orphan"))
                write(name, str(os.getpid()))
                ready()
                why = await stopped
                write("log", f"{name} {why}")
            asyncio.run(serve())
            return 0
        return Worker(name, run, stop_seconds=STOP if name == "stubborn" else 300.0)

    def invalid(ready):
        return CONFIGURATION

    STOP = 300.0
    logging.basicConfig(level=logging.INFO)
    stages = STAGES
    sys.exit(Supervisor(stages).run())
"""


class Running:
    """A supervisor process whose workers write their process ids into files."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self._folder = folder

    def pids(self, name: str) -> list[int]:
        """Return the process ids of a worker, the newest last."""
        return [int(line) for line in self._lines(name)]

    def log(self) -> list[str]:
        """Return what the workers wrote when they ended."""
        return self._lines("log")

    def _lines(self, name: str) -> list[str]:
        path = self._folder / name
        return path.read_text().splitlines() if path.exists() else []

    def end(self, number: int | None = None) -> int:
        """Send a signal and return the exit code."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(LIMIT)


@contextmanager
def supervisor(folder: Path, stages: str) -> Iterator[Running]:
    """Run a supervisor with `stages`, an expression of the program."""
    source = textwrap.dedent(PROGRAM).replace("STAGES", stages)
    process = subprocess.Popen(
        [sys.executable, "-c", source, str(folder)], stderr=subprocess.PIPE, text=True
    )
    try:
        yield Running(process, folder)
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=LIMIT)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "the condition is still false"
        time.sleep(0.01)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that has ended keeps its id until its parent waits for it.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_stages_stop_in_order(tmp_path: Path) -> None:
    with supervisor(tmp_path, '[[work("first")], [work("second"), work("third")]]') as running:
        until(lambda: all(running.pids(name) for name in ("first", "second", "third")))
        assert running.end(signal.SIGTERM) == 0
        log = running.log()
        assert log[0] == "first SIGTERM"
        assert sorted(log[1:]) == ["second SIGTERM", "third SIGTERM"]


def test_worker_starts_again_when_it_was_killed(tmp_path: Path) -> None:
    with supervisor(tmp_path, '[[work("first")], [work("second")]]') as running:
        until(lambda: running.pids("first") and running.pids("second"))
        os.kill(running.pids("second")[0], signal.SIGKILL)
        until(lambda: len(running.pids("second")) == 2)
        assert len(running.pids("first")) == 1
        assert running.end(signal.SIGTERM) == 0
        assert running.log() == ["first SIGTERM", "second SIGTERM"]


def test_workers_of_all_stages_may_end_at_the_same_time(tmp_path: Path) -> None:
    stages = '[[work("first")], [work("second"), work("third")]]'
    with supervisor(tmp_path, stages) as running:
        names = ("first", "second", "third")
        until(lambda: all(running.pids(name) for name in names))
        # A terminal sends its signals to all processes of a group.
        for name in names:
            os.kill(running.pids(name)[0], signal.SIGTERM)
        assert running.end(signal.SIGTERM) == 0
        for name in names:
            assert not any(exists(pid) for pid in running.pids(name))


def test_hangup_restarts_the_last_stage_one_by_one(tmp_path: Path) -> None:
    with supervisor(tmp_path, '[[work("first")], [work("second"), work("third")]]') as running:
        until(lambda: running.pids("second") and running.pids("third") and running.pids("first"))
        running.process.send_signal(signal.SIGHUP)
        until(lambda: len(running.pids("third")) == 2)
        assert len(running.pids("second")) == 2
        assert len(running.pids("first")) == 1
        assert running.log() == ["second SIGTERM", "third SIGTERM"]
        assert running.end(signal.SIGTERM) == 0


def test_worker_is_killed_when_it_does_not_stop_in_time(tmp_path: Path) -> None:
    with supervisor(tmp_path, '(globals().update(STOP=0.3), [[work("stubborn")]])[1]') as running:
        until(lambda: running.pids("stubborn"))
        assert running.end(signal.SIGTERM) == 0
        assert not exists(running.pids("stubborn")[0])


def test_second_signal_kills_all_workers(tmp_path: Path) -> None:
    stages = '[[work("stubborn")], [work("second")]]'
    with supervisor(tmp_path, stages) as running:
        until(lambda: running.pids("stubborn") and running.pids("second"))
        running.process.send_signal(signal.SIGTERM)
        until(lambda: running.log() or not exists(running.pids("stubborn")[0]))
        assert running.end(signal.SIGINT) == 128 + signal.SIGINT
        assert "second SIGTERM" not in running.log()
        assert not exists(running.pids("second")[0])


def test_first_stop_signal_ends_a_rolling_restart(tmp_path: Path) -> None:
    stages = '[[work("first")], [work("stubborn"), work("third")]]'
    with supervisor(tmp_path, "(globals().update(STOP=6.0), " + stages + ")[1]") as running:
        until(lambda: all(running.pids(name) for name in ("first", "stubborn", "third")))
        running.process.send_signal(signal.SIGHUP)
        until(lambda: running.log() == ["stubborn ignores"])
        # The worker is killed after its time; the others stop in order, and none starts again.
        assert running.end(signal.SIGTERM) == 0
        assert running.log() == ["stubborn ignores", "first SIGTERM", "third SIGTERM"]
        assert [len(running.pids(name)) for name in ("first", "stubborn", "third")] == [1, 1, 1]


def test_workers_end_when_the_supervisor_was_killed(tmp_path: Path) -> None:
    with supervisor(tmp_path, '[[work("first")], [work("second")]]') as running:
        until(lambda: running.pids("first") and running.pids("second"))
        assert running.end(signal.SIGKILL) == -signal.SIGKILL
        until(lambda: sorted(running.log()) == ["first orphan", "second orphan"])


def test_supervisor_ends_when_the_configuration_of_a_worker_is_invalid(tmp_path: Path) -> None:
    with supervisor(tmp_path, '[[Worker("bad", invalid)], [work("second")]]') as running:
        assert running.end() == 78
        assert running.process.stderr is not None
        errors = running.process.stderr.read()
    assert "worker bad cannot start with these settings: the server ends" in errors
    assert "starts again" not in errors


@pytest.mark.parametrize(
    ("code", "words"), [(3, "code 3"), (-9, "SIGKILL"), (-signal.SIGSEGV, "SIGSEGV")]
)
def test_exit_is_described(code: int, words: str) -> None:
    assert describe_exit(code) == words

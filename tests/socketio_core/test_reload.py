"""The option --reload of `python -m socketio_core`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from socketio_core import command, reload
from socketio_core.reload import make_command, run_with_reload

APPLICATION = """
from socketio_core import SocketServer
io = SocketServer()
print("version", {version}, flush=True)
"""


def wait_for(condition: Callable[[], bool], about: Callable[[], str]) -> None:
    """Wait until another process has done something that no event reports."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, about()
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["app:io", "--reload"], ["app:io"]),
        (["--reload", "app:io", "--port", "1"], ["app:io", "--port", "1"]),
        (["app:io", "--reload-dir", "a", "--reload-dir=b", "--reload"], ["app:io"]),
    ],
)
def test_server_gets_the_other_arguments(given: list[str], kept: list[str]) -> None:
    assert make_command(given) == [sys.executable, "-m", "socketio_core", *kept]


def test_each_change_ends_the_process_and_starts_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    program = (
        "import signal, sys\n"
        f"log = open({str(log)!r}, 'a')\n"
        "def end(*_):\n    print('end', file=log, flush=True)\n    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('start', file=log, flush=True)\n"
        "signal.pause()\n"
    )

    def lines() -> list[str]:
        return log.read_text().split() if log.exists() else []

    def watch(*folders: Path, stop: Event) -> Iterator[set[tuple[Any, str]]]:
        assert folders == (tmp_path,)
        wait_for_starts(1)
        yield {(1, "/x/b.py")}
        wait_for_starts(2)
        yield {(1, "/x/b.py"), (1, str(Path.cwd() / "app.py"))}
        wait_for_starts(3)

    def wait_for_starts(number: int) -> None:
        wait_for(lambda: lines().count("start") == number, lambda: str(lines()))

    former = signal.getsignal(signal.SIGTERM)
    assert run_with_reload([sys.executable, "-c", program], [tmp_path], watch) == 0
    assert lines() == ["start", "end", "start", "end", "start", "end"]
    output = capsys.readouterr().out.splitlines()
    assert output[1:] == [
        "Restarting: /x/b.py changed",
        "Restarting: /x/b.py and 1 more changed",
    ]
    assert signal.getsignal(signal.SIGTERM) is former


def test_process_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "END_SECONDS", 0.1)
    ready = tmp_path / "ready"
    program = (
        "import pathlib, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(ready)!r}).touch()\nsignal.pause()\n"
    )

    def watch(*_: Path, stop: Event) -> Iterable[set[tuple[Any, str]]]:
        wait_for(ready.exists, lambda: "the process did not start")
        return iter(())

    assert run_with_reload([sys.executable, "-c", program], [tmp_path], watch) == 0


def test_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert command.main(["app:io", "--reload"]) == 2
    assert "--reload needs the package watchfiles: run `pip install" in capsys.readouterr().err


def test_server_restarts_with_the_new_code_and_ends_with_a_signal(tmp_path: Path) -> None:
    application, log = tmp_path / "app.py", tmp_path / "log"
    application.write_text(APPLICATION.format(version=1))
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "socketio_core", "app:io", "--port", "0", "--reload"],
            cwd=tmp_path, stdout=file, stderr=file,
        )  # fmt: skip
    with process:
        try:
            wait_for(lambda: log.read_text().count("Listening on") == 1, log.read_text)
            application.write_text("io = (\n")
            wait_for(lambda: "SyntaxError" in log.read_text(), log.read_text)
            # Another size: Python compares cached bytecode by size and whole seconds.
            application.write_text(APPLICATION.format(version=20))
            wait_for(lambda: log.read_text().count("Listening on") == 2, log.read_text)
            assert "Restarting: app.py changed" in log.read_text()
            assert "version 20" in log.read_text()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(300) == 0, log.read_text()

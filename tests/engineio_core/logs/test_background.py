"""Tests of the background handler: a blocked output delays only its thread."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from textwrap import dedent

import pytest

from engineio_core.logs.background import BackgroundHandler
from engineio_core.logs.descriptor import DescriptorHandler


class _Gate(logging.Handler):
    """Target that blocks until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = threading.Event()
        self.entered = threading.Event()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.entered.set()
        self.is_open.wait(300)
        self.texts.append(self.format(record))


@pytest.fixture
def gate() -> Iterator[_Gate]:
    found = _Gate()
    yield found
    found.is_open.set()


def record(text: str = "x", *args: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("tests", level, "x.py", 1, text, args, None)


def test_blocked_target_does_not_block_the_caller(gate: _Gate) -> None:
    handler = BackgroundHandler(gate)
    for number in range(100):
        handler.handle(record("line %d", number))
    assert gate.entered.wait(300)
    assert gate.texts == []
    gate.is_open.set()
    handler.close()
    assert gate.texts == [f"line {number}" for number in range(100)]


def test_full_queue_drops_lines_and_reports_their_number(gate: _Gate) -> None:
    handler = BackgroundHandler(gate, max_bytes=10_000)
    for _ in range(1000):
        handler.handle(record("x" * 500))
    assert handler.dropped > 900
    assert handler.queued_bytes <= 10_000
    gate.is_open.set()
    handler.close()
    written = [text for text in gate.texts if text.startswith("x")]
    assert len(written) + handler.dropped == 1000
    assert gate.texts[-1] == (
        f"{handler.dropped} log lines were dropped: the output did not accept them"
    )


def test_warnings_have_room_when_lines_of_level_info_fill_the_queue(gate: _Gate) -> None:
    handler = BackgroundHandler(gate, max_bytes=10_000)
    for _ in range(100):
        handler.handle(record())
    handler.handle(record("the disk is full", level=logging.ERROR))
    gate.is_open.set()
    handler.close()
    assert "the disk is full" in gate.texts


def test_arguments_are_merged_when_the_line_is_logged(gate: _Gate) -> None:
    handler = BackgroundHandler(gate)
    changing = ["before"]
    handler.handle(record("%s", changing))
    changing[0] = "after"
    gate.is_open.set()
    handler.close()
    assert gate.texts == ["['before']"]


def test_traceback_is_written_and_its_frames_are_not_kept(gate: _Gate) -> None:
    handler = BackgroundHandler(gate)
    try:
        raise ValueError("the reason")
    except ValueError:
        failed = record("it failed")
        failed.exc_info = sys.exc_info()
    assert handler.prepare(failed).exc_info is None
    handler.handle(failed)
    gate.is_open.set()
    handler.close()
    assert gate.texts[0].endswith("ValueError: the reason")


def test_formatter_of_the_handler_formats_the_lines() -> None:
    stream = io.StringIO()
    handler = BackgroundHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler.handle(record("line"))
    handler.close()
    assert stream.getvalue() == "INFO line\n"


def test_lines_after_close_are_written_at_once() -> None:
    stream = io.StringIO()
    handler = BackgroundHandler(stream)
    handler.close()
    handler.handle(record("late"))
    assert stream.getvalue() == "late\n"


def test_close_ends_in_time_when_the_target_is_blocked(gate: _Gate) -> None:
    handler = BackgroundHandler(gate, exit_timeout=0.05)
    handler.handle(record())
    handler.close()
    assert gate.texts == []


def test_line_that_cannot_be_formatted_does_not_raise(capsys: pytest.CaptureFixture[str]) -> None:
    handler = BackgroundHandler(io.StringIO())
    handler.handle(record("%d", "text"))
    handler.close()
    assert "--- Logging error ---" in capsys.readouterr().err


def test_lost_lines_are_reported_when_the_output_works_again() -> None:
    class Output(io.StringIO):
        is_full = True

        def write(self, text: str) -> int:
            if self.is_full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    output = Output()
    handler = BackgroundHandler(output)
    handler.handle(record("lost"))
    handler.flush()
    output.is_full = False
    handler.handle(record("written"))
    handler.close()
    assert output.getvalue().splitlines() == [
        "written",
        "1 log lines were dropped: the output did not accept them",
    ]


@pytest.mark.parametrize(
    ("arguments", "rule"), [({"max_bytes": 0}, "max_bytes"), ({"exit_timeout": -1}, "exit_timeout")]
)
def test_invalid_option_is_refused(arguments: dict[str, int], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        BackgroundHandler(**arguments)  # type: ignore[arg-type]


def test_descriptor_handler_writes_long_lines_completely() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as source:
        stream = os.fdopen(writer, "w", encoding="utf-8")
        thread = threading.Thread(
            target=lambda: (DescriptorHandler(stream).emit(record("é" * 100_000)), stream.close())
        )
        thread.start()
        assert source.read().decode() == "é" * 100_000 + "\n"
        thread.join()


def test_descriptor_handler_waits_for_a_pipe_that_does_not_block() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with os.fdopen(reader, "rb") as source, os.fdopen(writer, "w") as stream:
        thread = threading.Thread(
            target=DescriptorHandler(stream).emit, args=(record("x" * 10**6),)
        )
        thread.start()
        assert len(source.read(10**6 + 1)) == 10**6 + 1
        thread.join()


def test_descriptor_handler_counts_lines_for_a_closed_stream() -> None:
    handler = DescriptorHandler(io.StringIO())
    assert handler._stream is not None
    handler._stream.close()
    handler.emit(record())
    assert handler.failures == 1


def run(program: str, *, reads_stderr: bool) -> tuple[int, str]:
    """Run a program; without `reads_stderr`, its standard error is a full pipe of 4096 bytes."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)  # type: ignore[attr-defined]
    process = subprocess.Popen([sys.executable, "-c", dedent(program)], stderr=writer)
    os.close(writer)
    with os.fdopen(reader) as source:
        text = source.read() if reads_stderr else ""
        return process.wait(300), text


SETUP = """
import logging, os, sys
from engineio_core.logs.background import BackgroundHandler
logging.basicConfig(level=logging.INFO, handlers=[BackgroundHandler(exit_timeout={limit})])
"""
#: A program whose log is read has time for its last lines, also on a busy machine.
READ, UNREAD = SETUP.format(limit=300), SETUP.format(limit=0.2)


def test_last_lines_are_written_when_the_program_crashes() -> None:
    program = READ + "[logging.info('line %d', n) for n in range(50)]\nraise SystemError"
    code, text = run(program, reads_stderr=True)
    assert code == 1
    assert [f"line {number}" in text for number in range(50)] == [True] * 50
    assert "SystemError" in text


def test_program_ends_when_nothing_reads_its_log() -> None:
    code, _ = run(
        UNREAD + "[logging.info('x' * 100) for _ in range(2000)]\nsys.exit(7)", reads_stderr=False
    )
    assert code == 7


def test_forked_child_logs_lines_of_its_own() -> None:
    program = (
        READ
        + """
# On a busy machine, the thread may need longer to end before the fork; Python 3.12 warns of it.
from engineio_core.logs import background
background.FORK_TIMEOUT = 300.0
logging.info("parent before")
child = os.fork()
if child == 0:
    logging.info("child")
    logging.shutdown()
    os._exit(0)
os.waitpid(child, 0)
logging.info("parent after")
"""
    )
    code, text = run(program, reads_stderr=True)
    assert code == 0
    lines = [line.rpartition(":")[2] for line in text.splitlines()]
    assert sorted(lines) == ["child", "parent after", "parent before"]


def test_signals_reach_the_main_thread() -> None:
    program = (
        UNREAD
        + """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
logging.info("x")
os.kill(os.getpid(), signal.SIGTERM)
sys.exit(signal.sigtimedwait([signal.SIGTERM], 30).si_signo)
"""
    )
    assert run(program, reads_stderr=False)[0] == 15

"""Tests of log lines: values from clients cannot forge records."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog

from hextrackr_server.telemetry import log_setup
from tests.helpers.kept_logging import kept_logging


@pytest.fixture(autouse=True)
def _kept_logging() -> Iterator[None]:
    with kept_logging():
        yield


def logged(log_format: str, message: str, /, **fields: object) -> str:
    stream = io.StringIO()
    handler = log_setup.configure(log_format, stream=stream)
    logging.getLogger("hextrackr_server.test").info(message, extra=log_setup.fields(**fields))
    handler.flush()
    return stream.getvalue()


def test_human_line_contains_level_name_message_and_fields() -> None:
    line = logged("human", "import started", importId=5)
    assert line.endswith("INFO    test: import started  importId=5\n")


def test_field_value_cannot_imitate_another_field() -> None:
    line = logged("human", "import started", file='x.csv" user=admin', user="7")
    assert line.endswith("""  file="x.csv' user=admin" user=7\n""")


def test_json_line_is_one_object() -> None:
    entry = json.loads(logged("json", "import started", importId=5))
    assert entry["message"] == "import started"
    assert entry["importId"] == 5
    assert datetime.fromisoformat(entry["timestamp"]).utcoffset() is not None


def test_human_line_begins_with_the_date_time_and_offset() -> None:
    moment = datetime.fromisoformat(logged("human", "x").partition(" ")[0])
    assert moment.utcoffset() is not None
    assert abs(datetime.now(UTC) - moment).total_seconds() < 60


def test_field_cannot_replace_the_message() -> None:
    assert json.loads(logged("json", "real", message="forged", level="none"))["message"] == "real"


@pytest.mark.parametrize("log_format", ["human", "json"])
@pytest.mark.parametrize("evil", ["a\nINFO forged", "a\r\n", "\x1b[2J", "\u2028x", "\x9b31m"])
def test_control_characters_are_escaped(log_format: str, evil: str) -> None:
    text = logged(log_format, evil, name_of_client=evil)
    assert text.count("\n") == 1
    assert not any(ord(character) < 32 or ord(character) == 0x9B for character in text[:-1])


def test_long_text_is_truncated() -> None:
    assert len(logged("human", "x" * 100_000)) < 2100


def test_traceback_lines_cannot_imitate_records() -> None:
    stream = io.StringIO()
    handler = log_setup.configure("human", stream=stream)
    try:
        raise ValueError("oops\n12:00:00 INFO    forged: all is well")
    except ValueError:
        logging.getLogger("x").exception("broke")
    handler.flush()
    first, *others = stream.getvalue().splitlines()
    assert "broke" in first
    assert all(line.startswith("  || ") for line in others)


@pytest.mark.parametrize("log_format", ["human", "json"])
def test_records_of_structlog_and_of_logging_have_the_same_form(log_format: str) -> None:
    stream = io.StringIO()
    handler = log_setup.configure(log_format, stream=stream)
    logging.getLogger("lib.part").warning("it %s", "failed", extra=log_setup.fields(code=5))
    structlog.get_logger("lib.part").warning("it failed", code=5)
    handler.flush()
    first, second = (line.partition("part")[2] for line in stream.getvalue().splitlines())
    assert first == second
    assert "failed" in first


def test_context_of_structlog_is_added_to_all_records() -> None:
    stream = io.StringIO()
    handler = log_setup.configure("json", stream=stream)
    with structlog.contextvars.bound_contextvars(importId=5):
        logging.getLogger("lib").warning("it failed")
    handler.flush()
    assert json.loads(stream.getvalue())["importId"] == 5


def test_json_line_is_valid_for_any_value_of_a_field() -> None:
    deep: list[object] = []
    deep.append(deep)
    line = logged(
        "json", "x", a=float("nan"), b={1: {2}}, c=deep, d=b"x", e="\ud800", f="x" * 10**5
    )
    assert json.loads(line, parse_constant=lambda _: pytest.fail("not JSON"))["a"] == "nan"
    assert len(line) < 10_000


def test_repeated_lines_of_a_library_are_limited_and_counted() -> None:
    stream = io.StringIO()
    handler = log_setup.configure("human", stream=stream, lines_per_kind=3)
    before = log_setup.omitted_lines()
    for number in range(10):
        logging.getLogger("library").warning("retry %d", number)
    assert log_setup.omitted_lines() - before == 7
    assert log_setup.dropped_lines() == 0
    handler.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[-1].endswith('library: 7 more lines in the last 0 s of this kind: "retry %d"')


def test_repeated_lines_of_the_server_are_counted_once() -> None:
    stream = io.StringIO()
    handler = log_setup.configure("human", stream=stream, lines_per_kind=3)
    for number in range(10):
        logging.getLogger("engineio_core").warning("refused %d", number)
    handler.close()
    assert [line.rpartition(": ")[2] for line in stream.getvalue().splitlines()] == [
        "refused 0", "refused 1", "refused 2", '"refused %d"',
    ]  # fmt: skip


def test_previous_handler_writes_its_lines_when_the_format_changes() -> None:
    stream = io.StringIO()
    log_setup.configure("human", stream=stream)
    logging.getLogger("x").warning("before")
    log_setup.configure("json", stream=io.StringIO())
    assert stream.getvalue().endswith("before\n")


CRASH = """
import sys, threading, warnings
from hextrackr_server.telemetry import log_setup
log_setup.configure("json")
log_setup.log_crashes()
def fail():
    raise LookupError("in a thread")
thread = threading.Thread(target=fail, name="worker")
thread.start()
thread.join()
class Broken:
    def __del__(self):
        raise ValueError("ignored")
broken = Broken()
del broken
warnings.warn("old name")
raise RuntimeError("the end, password=hunter22")
"""


def test_crash_warning_and_failed_thread_are_lines_of_json() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    thread, ignored, warning, crash = lines
    assert thread["thread"] == "worker"
    assert "in a thread" in thread["exception"]
    assert "ignored" in ignored["exception"]
    assert "old name" in warning["message"]
    assert crash["level"] == "critical"
    assert crash["exception"].endswith("RuntimeError: the end, password=***")

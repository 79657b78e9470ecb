"""Tests of log lines: values from clients cannot forge records."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from hextrackr_server.telemetry import log_setup


@pytest.fixture(autouse=True)
def _restored_root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(log_format: str, message: str, /, **fields: object) -> str:
    stream = io.StringIO()
    log_setup.configure(log_format, stream=stream)
    logging.getLogger("hextrackr_server.test").info(message, extra=log_setup.fields(**fields))
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
    log_setup.configure("human", stream=stream)
    try:
        raise ValueError("oops\n12:00:00 INFO    forged: all is well")
    except ValueError:
        logging.getLogger("x").exception("broke")
    first, *others = stream.getvalue().splitlines()
    assert "broke" in first
    assert all(line.startswith("  || ") for line in others)

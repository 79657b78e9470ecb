"""What a client writes cannot forge a log."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from hextrackr_server.telemetry import log_setup


@pytest.fixture(autouse=True)
def _root_logger_as_it_was() -> Iterator[None]:
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


def test_a_line_for_people_has_level_name_message_and_fields() -> None:
    line = logged("human", "import started", importId=5)
    assert line.endswith("INFO    test: import started  importId=5\n")


def test_a_value_cannot_pass_for_more_fields_than_one() -> None:
    line = logged("human", "import started", file='x.csv" user=admin', user="7")
    assert line.endswith("""  file="x.csv' user=admin" user=7\n""")


def test_a_line_for_machines_is_one_json_object() -> None:
    entry = json.loads(logged("json", "import started", importId=5))
    assert entry["message"] == "import started"
    assert entry["importId"] == 5
    assert isinstance(entry["timestamp"], int)


def test_a_field_cannot_replace_what_the_logger_says() -> None:
    assert json.loads(logged("json", "real", message="forged", level="none"))["message"] == "real"


@pytest.mark.parametrize("log_format", ["human", "json"])
@pytest.mark.parametrize("evil", ["a\nINFO forged", "a\r\n", "\x1b[2J", "\u2028x", "\x9b31m"])
def test_control_characters_stay_out_of_the_log(log_format: str, evil: str) -> None:
    text = logged(log_format, evil, name_of_client=evil)
    assert text.count("\n") == 1
    assert not any(ord(character) < 32 or ord(character) == 0x9B for character in text[:-1])


def test_a_long_text_is_cut() -> None:
    assert len(logged("human", "x" * 100_000)) < 2100


def test_the_lines_of_a_traceback_cannot_pass_for_records() -> None:
    stream = io.StringIO()
    log_setup.configure("human", stream=stream)
    try:
        raise ValueError("oops\n12:00:00 INFO    forged: all is well")
    except ValueError:
        logging.getLogger("x").exception("broke")
    first, *others = stream.getvalue().splitlines()
    assert "broke" in first
    assert all(line.startswith("  || ") for line in others)

"""The limits of SECURITY.md: each option and each test exists, and no limit is missing."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from importlib import import_module
from typing import Final, NamedTuple

import pytest

from engineio_core.logs.background import BackgroundHandler
from engineio_core.options import EngineOptions
from hextrackr_server.config.settings import Settings
from socketio_core import JsonParser, Recovery
from socketio_core.options import ServerOptions
from tests.docs.blocks import ROOT

DOCUMENT: Final = ROOT / "SECURITY.md"
CLASSES: Final = (Recovery, JsonParser, BackgroundHandler)
OPTIONS: Final = frozenset(
    each.name for kind in (EngineOptions, ServerOptions, Settings) for each in fields(kind)
)
#: Names of options and settings that are limits.
_LIMIT: Final = re.compile(r"max_\w+|\w+_timeout|\w+_per_minute\w*|refusals_before_disconnect")
#: Names that the pattern finds, with the reason why they limit no client.
OTHERS: Final = {
    "jwt_max_age": "the age of a token",
    "notification_timeout": "a time of the delivery",
}


class Row(NamedTuple):
    threat: str
    limit: str
    options: list[str]
    tests: list[str]


def rows() -> list[Row]:
    """Return the rows of all tables with the columns of limits."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("\n## Limits\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return [
        Row(threat, limit, re.findall(r"`([^`]+)`", option), re.findall(r"`([^`]+)`", tests))
        for threat, limit, option, tests in cells
        if threat != "Threat"
    ]


ROWS: Final = rows()


def exists(option: str) -> bool:
    """Return whether an option, an option of a class, or a constant of a module exists."""
    owner, _, name = option.rpartition(".")
    if not owner:
        return option in OPTIONS
    for kind in CLASSES:
        if kind.__name__ == owner:
            return name in inspect.signature(kind).parameters
    return hasattr(import_module(owner), name)


@pytest.mark.parametrize("row", ROWS, ids=[row.threat for row in ROWS])
def test_row_names_options_and_tests_that_exist(row: Row) -> None:
    assert row.limit
    assert row.tests
    assert [option for option in row.options if not exists(option)] == []
    for each in row.tests:
        path, _, name = each.partition("::")
        assert re.search(rf"\bdef {name}\(", (ROOT / path).read_text(encoding="utf-8")), each


def test_every_limit_has_a_row() -> None:
    listed = {option for row in ROWS for option in row.options}
    limits = {name for name in OPTIONS if _LIMIT.fullmatch(name)}
    limits |= {f"Recovery.{each.name}" for each in fields(Recovery) if _LIMIT.match(each.name)}
    assert limits - listed - OTHERS.keys() == set()


def test_table_is_read_completely() -> None:
    assert len(ROWS) > 50
    assert not exists("no_such_option")
    assert not exists("Recovery.no_such_option")
    assert not exists("engineio_core.read_turn.NO_SUCH_CONSTANT")

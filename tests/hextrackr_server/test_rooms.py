"""Names of rooms: one module builds them, and recognizes them again."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import hextrackr_server
from hextrackr_server import rooms

PACKAGE = Path(hextrackr_server.__file__).parent
NAMES = {rooms.AUTHENTICATED, rooms.ADMINISTRATORS}
PREFIXES = ("user-", "progress-", "resource-")


def literal_room_names(source: str) -> Iterator[str]:
    """Yield the names of rooms, and f-strings that build them, in a source text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in NAMES:
            yield f"line {node.lineno}: {node.value}"
        if isinstance(node, ast.JoinedStr):
            first = node.values[0]
            if isinstance(first, ast.Constant) and first.value in PREFIXES:
                yield f"line {node.lineno}: {first.value}"


def test_only_one_module_contains_room_names() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in PACKAGE.rglob("*.py")
        if path != Path(rooms.__file__)
        for name in literal_room_names(path.read_text("utf-8"))
    }
    assert found == set()


@pytest.mark.parametrize(
    "source", ['x = "authenticated"', 'x = f"user-{name}"', 'emit(f"progress-{1}", "x")']
)
def test_room_names_are_found_in_source_text(source: str) -> None:
    assert list(literal_room_names(source))


def test_progress_room_is_recognized() -> None:
    assert rooms.progress_session_id(rooms.progress_room("import-1-abc")) == "import-1-abc"
    assert rooms.progress_session_id(rooms.import_room(1)) is None
    assert rooms.progress_session_id(rooms.progress_room("a b")) is None


@pytest.mark.parametrize(
    ("name", "is_allowed"),
    [
        (rooms.AUTHENTICATED, True),
        (rooms.user_room("7"), True),
        (rooms.import_room(5), True),
        ("vulnerability-5", True),
        (rooms.ADMINISTRATORS, False),
        (rooms.progress_room("x"), False),
        (rooms.resource_room("ticket", "1"), False),
        ("socket-id", False),
        (rooms.user_room(""), False),
    ],
)
def test_producers_reach_only_some_rooms(name: str, is_allowed: bool) -> None:
    assert rooms.is_producer_room(name) is is_allowed

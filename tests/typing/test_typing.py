"""The types of the API: mypy accepts correct programs and reports mistakes."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from engineio_core.options import EngineOptions
from socketio_core import ConnectError, ServerOptions
from socketio_core.keywords import Keywords
from socketio_core.testing import TestServer, settle

from . import typed_example

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def check(file: Path) -> str:
    """Run strict mypy on a file, without following its imports, and return the output."""
    command = [
        sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent",
        "--no-error-summary", "--hide-error-context", str(file.relative_to(ROOT)),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["typed_example", "typed_client_example"])
def test_typed_program_passes_strict_mypy(name: str) -> None:
    assert check(HERE / f"{name}.py") == ""


@pytest.mark.parametrize("name", ["wrong_example", "wrong_client_example"])
def test_mypy_reports_each_mistake_on_its_line(name: str) -> None:
    found = {
        int(line) for line in re.findall(rf"{name}\.py:(\d+): error", check(HERE / f"{name}.py"))
    }
    lines = (HERE / f"{name}.py").read_text().splitlines()
    expected = {number for number, line in enumerate(lines, 1) if line.endswith("# error")}
    # mypy reports the error of a decorated function at its decorator.
    assert {
        number + 1 if lines[number - 1].startswith("@") else number for number in found
    } == expected


def test_server_keywords_match_the_option_fields() -> None:
    every = [*fields(ServerOptions), *fields(EngineOptions)]
    expected = {field.name: str(field.type) for field in every}
    declared = {name: kind.__forward_arg__ for name, kind in Keywords.__annotations__.items()}
    assert declared == expected, "socketio_core/keywords.py must declare the fields of the options"


async def test_typed_program_runs() -> None:
    io = typed_example.io
    async with TestServer(io) as server:
        with pytest.raises(ConnectError, match="Unauthorized"):
            await server.connect("/board")
        alice = await server.connect("/board", auth={"token": "t"})
        other = await server.connect("/board", auth={"token": "t"})
        payload = {"project": 7, "task": 1, "column": "done"}
        await other.emit_with_ack("task:move", payload)
        moved = await alice.emit_with_ack("task:move", payload)
        assert moved == {"task": 1, "column": "done"}
        assert (await other.receive_event("task:moved"))[0] == moved
        alice.auto_ack = lambda name, args: "yes"
        assert await alice.emit_with_ack("confirm") == "yes"
        voting = asyncio.ensure_future(typed_example.vote(7, {"q": "?"}))
        await settle()
        await server.advance(4)
        assert await voting == (["yes"], [other.id])
        alice.disconnect()
        assert (await other.receive_event("left"))[:2] == ["alice", "client namespace disconnect"]
        player = await server.connect("/game", auth={"name": "alice"})
        assert await player.emit_with_ack("score", 3) == 3
        assert await typed_example.names() == ["alice"]
        member = await server.connect("/org-1")
        assert await member.emit_with_ack("post", "hello") == 5

"""Defaults of received dataclasses are sent again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import attrs
import msgspec
import pytest

from socketio_core import JsonParser, MsgpackParser, Socket, SocketServer
from socketio_core.testing import TestServer

Item = TypeVar("Item")


@dataclass
class Task:
    id: int
    column: str = "open"
    tags: list[str] = field(default_factory=list)
    owner: str | None = None


@dataclass(frozen=True)
class Frozen:
    x: int = 1


@dataclass(slots=True)
class Slotted:
    x: int = 1


@dataclass
class Prepared:
    x: int
    y: int = 2

    def __post_init__(self) -> None:
        self._seen = True


class Board(msgspec.Struct):
    tasks: list[Task]


@attrs.define
class Holder:
    task: Task


@dataclass
class Page(Generic[Item]):
    row: Item
    size: int = 10


TASK = {"id": 1, "column": "open", "tags": [], "owner": None}


@pytest.mark.parametrize("parser", [JsonParser, MsgpackParser])
@pytest.mark.parametrize(
    ("annotation", "sent", "answer"),
    [
        (Task, {"id": 1}, TASK),
        (Task, {"id": 1, "owner": "Ada"}, {**TASK, "owner": "Ada"}),
        (Frozen, {}, {"x": 1}),
        (Slotted, {}, {"x": 1}),
        (Prepared, {"x": 1}, {"x": 1, "y": 2}),
        (list[Task], [{"id": 1}], [TASK]),
        (dict[str, tuple[Task, ...]], {"a": [{"id": 1}]}, {"a": [TASK]}),
        (Board, {"tasks": [{"id": 1}]}, {"tasks": [TASK]}),
        (Holder, {"task": {"id": 1}}, {"task": TASK}),
        (Page[Task], {"row": {"id": 1}}, {"row": TASK, "size": 10}),
        (Task | None, None, None),
    ],
)
async def test_defaults_of_a_received_dataclass_are_in_the_ack(
    annotation: Any, sent: Any, answer: Any, parser: Any
) -> None:
    def echo(socket: Socket, payload: Any) -> Any:
        return payload

    echo.__annotations__ = {"payload": annotation}
    io = SocketServer(parser=parser())
    io.on("echo", echo)
    async with TestServer(io) as server:
        client = await server.connect()
        found = await client.emit_with_ack("echo", sent)
    assert found == answer
    if isinstance(answer, dict):
        assert list(found) == list(answer), "in the order of the fields"


async def test_invalid_dataclass_is_refused_with_its_path() -> None:
    def echo(socket: Socket, task: Task) -> None: ...

    io = SocketServer()
    io.on("echo", echo)
    async with TestServer(io) as server:
        client = await server.connect()
        refused = await client.emit_with_ack("echo", {"id": 1, "column": 2})
    assert refused["fields"] == [{"path": "task.column", "message": "Expected `str`, got `int`"}]

"""A server with events of every form, for the tests of documents."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from pydantic import BaseModel, Field

from socketio_core import Socket, SocketServer, server_event


class Task(msgspec.Struct):
    id: Annotated[int, msgspec.Meta(ge=1)]
    column: str = "open"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


@server_event("task:moved")
def task_moved(task: Task) -> None:
    """Report a moved task.

    Also to the user who moved the task.
    """


@server_event("confirm")
def confirm(question: str, seconds: int = 30) -> bool:
    raise NotImplementedError


def documented_server() -> SocketServer:
    """Return a server whose events have arguments and acks of every kind."""
    io = SocketServer()
    io.declare(task_moved, confirm)

    @io.on("task:move")
    def move(socket: Socket, task: Task) -> Task:
        raise NotImplementedError

    @io.on("task/move")
    def move_again(socket: Socket, task: Task, *columns: str) -> tuple[int, str]:
        raise NotImplementedError

    @io.on("columns")
    def columns(socket: Socket) -> tuple[str, ...]:
        raise NotImplementedError

    @io.on("pet")
    def pet(socket: Socket, pet: Annotated[Cat | Dog, Field(discriminator="kind")]) -> Cat:
        raise NotImplementedError

    @io.on("ping")
    def ping(socket: Socket) -> None: ...

    io.on("untyped", lambda socket, x, y=1: None)
    io.of("/admin").declare(task_moved)
    io.of(re.compile(r"/org-\d+")).on("hello", lambda socket: None)
    return io

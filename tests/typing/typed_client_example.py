"""A typed example program: a client with both APIs."""

from __future__ import annotations

from typing import Any

import msgspec

from socketio_core import ConnectError, event
from socketio_core.client import (
    AsyncClient,
    BlockingSocket,
    Client,
    ClientSocket,
    ClientTls,
    EventStream,
)


class Task(msgspec.Struct):
    id: int
    column: str


async def token() -> dict[str, str]:
    return {"token": "t"}


client = AsyncClient(
    "https://hub.example",
    auth=token,
    transports=["websocket"],
    tls=ClientTls(verify=False),
    reconnection_delay=0.5,
    ack_timeout=10,
    retries=3,
)
admin: ClientSocket = client.of("/admin")


@client.on("task:moved")
async def moved(task: Task) -> str:
    return f"task {task.id} is in {task.column}"


@admin.once("ready")
def ready() -> None:
    admin.volatile.emit("seen")


@client.on("connect_error")
def failed(error: ConnectError) -> None:
    print(error.message, error.data)


class Board:
    @event("posted")
    def posted(self, text: str) -> int:
        return len(text)


client.register(Board())


async def use() -> list[Any]:
    await client.connect(retry=True, timeout=60)
    client.emit("x", 1, ack=lambda error, answer: print(answer))
    answers: list[Any] = [await client.call("y", timeout=5)]
    answers.append(await client.timeout(5).emit_with_ack("y"))
    events: EventStream = client.events()
    async for name, *args in events:
        answers.append((name, args))
    identifier: str | None = client.id
    answers.append(identifier)
    text: str = await moved(Task(1, "done"))
    return [*answers, text]


def use_blocking() -> Any:
    with Client("http://127.0.0.1:3000", auth={"token": "t"}, handler_threads=4) as blocking:
        other: BlockingSocket = blocking.of("/admin")

        @other.on("x")
        def handle(number: int) -> int:
            return number + 1

        has_ended: bool = blocking.wait(1)
        total: int = handle(1)
        return has_ended, total, blocking.call("sum", 1, 2)

"""Mistakes in a client that mypy reports, each on its line."""

from __future__ import annotations

from socketio_core.client import AsyncClient, Client

client = AsyncClient("http://127.0.0.1:3000")


@client.on("x")
async def handler(text: str) -> str:
    return text


async def wrong() -> None:
    number: int = await handler("1")  # error
    await client.emit("x")  # error
    await client.connect(timeout="5")  # error
    client.of("/a").connected = True  # error
    print(number)


AsyncClient("http://127.0.0.1:3000", reconnectionDelay=1)  # error
AsyncClient("http://127.0.0.1:3000", retries="3")  # error
Client("http://127.0.0.1:3000").emit_to_all("x")  # error

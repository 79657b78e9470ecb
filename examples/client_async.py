"""A chat in the terminal, for the server of examples/chat.py.

    python examples/chat.py --port 3000
    python examples/client_async.py --name alice

Each line that you type is sent to the room; Ctrl-D ends the program. The client connects again when
the server restarts.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable

from socketio_core import SocketError
from socketio_core.client import AsyncClient


def make_client(url: str, name: str, room: str, show: Callable[[str], None] = print) -> AsyncClient:
    client = AsyncClient(url, reconnection_delay_max=10)

    @client.on("connect")
    async def join() -> None:
        try:
            answer = await client.call("join", {"name": name, "room": room}, timeout=10)
        except SocketError as error:
            show(f"no answer: {error}")
            return
        if answer.get("success") is False:
            show(answer["error"])
        else:
            show(f"members: {', '.join(answer['members'])}")

    @client.on("message")
    def message(author: str, text: str) -> None:
        show(f"{author}: {text}")

    client.on("joined", lambda other: show(f"{other} joined"))
    client.on("left", lambda other: show(f"{other} left"))
    client.on("disconnect", lambda reason: show(f"disconnected: {reason}"))
    return client


async def read_lines() -> AsyncIterator[str]:
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line.rstrip("\n")


async def chat(client: AsyncClient, lines: AsyncIterator[str]) -> None:
    await client.connect(retry=True)
    async for line in lines:
        client.emit("say", line)  # without a connection, the line waits for the next one
    await client.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--name", required=True)
    parser.add_argument("--room", default="lobby")
    options = parser.parse_args()
    asyncio.run(chat(make_client(options.url, options.name, options.room), read_lines()))


if __name__ == "__main__":
    main()

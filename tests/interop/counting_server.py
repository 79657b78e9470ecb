"""A server with recovery that counts in both directions, as counting_server.js does on Node.

It prints its port, then, for each line on its standard input, the numbers that it has received. The
program ends when its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys

from socketio_core import Recovery, Socket, SocketServer

# On a busy machine, a ping or a pong may be late.
io = SocketServer(recovery=Recovery(), ping_interval=1.0, ping_timeout=60.0)
applied: list[int] = []
counts = {"repeated": 0, "last": 0}


@io.on("connection")
async def connected(socket: Socket) -> None:
    if not socket.recovered:
        await socket.join("readers")


@io.on("up")
def up(socket: Socket, number: int) -> int:
    if number in applied:
        counts["repeated"] += 1
    else:
        applied.append(number)
    return number


@io.on("count")
def count(socket: Socket) -> None:
    asyncio.get_running_loop().call_later(0.006, emit_next)


def emit_next() -> None:
    last = counts["last"] = counts["last"] + 1
    io.to("readers").emit("number", last)
    io.to("others").emit("number", -last)
    if last < 1000:
        asyncio.get_running_loop().call_later(0.006, emit_next)


async def main() -> None:
    listener = await io.listen("127.0.0.1", 0)
    print(json.dumps({"port": listener.port}), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps({"applied": applied, **counts}), flush=True)
    await io.shutdown()


if __name__ == "__main__":
    asyncio.run(main())

"""Server of the delivery benchmark: `python -m benchmarks.load.ticker --port P [--redis URL]`.

An acked event `begin(seconds)` emits `tick(number)` to all clients every 10 ms, and acks the number
of ticks at the end. With a URL, the servers share a Redis stream.
"""

from __future__ import annotations

import argparse
import asyncio

from socketio_core import Recovery, RedisStreams, Socket, SocketServer

INTERVAL = 0.01
#: Seconds. engine.io-client 6.6.8 sends nothing until the heartbeat fails if its WebSocket breaks
#: while it pauses polling for the upgrade.
HEARTBEAT = 2.0


def make_server(redis: str | None = None) -> SocketServer:
    """Return a server with recovery."""
    io = SocketServer(
        recovery=Recovery(), ping_interval=HEARTBEAT, ping_timeout=HEARTBEAT,
        adapter=RedisStreams(redis) if redis else None,
    )  # fmt: skip

    @io.on("begin")
    async def begin(socket: Socket, seconds: int) -> int:
        ticks = int(seconds / INTERVAL)
        for number in range(ticks):
            io.emit("tick", number)
            await asyncio.sleep(INTERVAL)
        return ticks

    return io


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis", help="the URL of the Redis of a cluster")
    arguments = parser.parse_args()
    make_server(arguments.redis).run(port=arguments.port)

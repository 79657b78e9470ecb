"""Server of the delivery benchmark: `python -m benchmarks.load.ticker --port P`.

An acked event `begin(seconds)` emits `tick(number)` to all clients every 10 ms, and acks the number
of ticks at the end.
"""

from __future__ import annotations

import argparse
import asyncio

from socketio_core import Recovery, Socket, SocketServer

INTERVAL = 0.01
#: Seconds. engine.io-client 6.6.8 sends nothing until the heartbeat fails if its WebSocket breaks
#: while it pauses polling for the upgrade.
HEARTBEAT = 2.0


def make_server() -> SocketServer:
    """Return a server with recovery."""
    io = SocketServer(recovery=Recovery(), ping_interval=HEARTBEAT, ping_timeout=HEARTBEAT)

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
    make_server().run(port=parser.parse_args().port)

"""Benchmark server with this project's `socketio_core`.

    python -m benchmarks.servers.ours --port P [--handlers sync|async] [--full] [--metrics]
        [--deflate] [--msgpack] [--ping-interval S] [--redis URL --adapter classic|sharded|streams]

All servers of the benchmark behave alike: a socket joins the room `r`; `echo(data)` acks its data;
`msg(data)` does nothing; `bcast(data)` emits `update` to the room and acks 1.
"""

from __future__ import annotations

import argparse
import gc
import signal
from collections.abc import Callable
from time import monotonic
from typing import Any

from engineio_core.options import PerMessageDeflate
from socketio_core import MsgpackParser, RedisClassic, RedisSharded, RedisStreams, SocketServer
from socketio_core.adapters.redis.factory import RedisFactory
from socketio_core.errors import AckError
from socketio_core.options import Recovery
from socketio_core.socket import Socket

# The rate limiter counts but never refuses: one million events per second, with the same burst.
TOKEN_SECONDS = 1e-6
BURST_SECONDS = 1.0
ADAPTERS: dict[str, Callable[[str], RedisFactory]] = {
    "classic": RedisClassic,
    "sharded": RedisSharded,
    "streams": RedisStreams,
}


def add_plain_handlers(io: SocketServer) -> None:
    """Register plain functions as event handlers."""

    @io.on("echo")
    def echo(socket: Socket, data: Any) -> Any:
        return data

    @io.on("msg")
    def message(socket: Socket, data: Any) -> None:
        pass

    @io.on("bcast")
    def broadcast(socket: Socket, data: Any) -> int:
        io.to("r").emit("update", data)
        return 1


def add_async_handlers(io: SocketServer) -> None:
    """Register coroutine functions as event handlers."""

    @io.on("echo")
    async def echo(socket: Socket, data: Any) -> Any:
        return data

    @io.on("msg")
    async def message(socket: Socket, data: Any) -> None:
        pass

    @io.on("bcast")
    async def broadcast(socket: Socket, data: Any) -> int:
        io.to("r").emit("update", data)
        return 1


def add_limit(io: SocketServer) -> None:
    """Add a middleware for connections, and one that limits the events of each socket."""

    @io.use
    def admit(socket: Socket) -> None:
        socket.data["full_at"] = monotonic()

    @io.main.use_event
    def limit(socket: Socket, event: list[Any]) -> None:
        # A token bucket, stored as the time at which the bucket is full again.
        data, now = socket.data, monotonic()
        full_at = data["full_at"]
        if full_at < now:
            full_at = now
        elif full_at - now > BURST_SECONDS:
            raise AckError("RATE_LIMITED", "too many events")
        data["full_at"] = full_at + TOKEN_SECONDS


def make_server(
    *,
    handlers: str = "async",
    full: bool = False,
    deflate: bool = False,
    metrics: bool = False,
    msgpack: bool = False,
    ping_interval: float = 25,
    adapter: Any = None,
) -> Any:
    """Return a server that is ready to listen."""
    options: dict[str, Any] = {"ping_interval": ping_interval, "ping_timeout": 20}
    if msgpack:
        options["parser"] = MsgpackParser()
    if adapter is not None:
        options["adapter"] = adapter
    if full:
        options["recovery"] = Recovery()
    if deflate:
        options["per_message_deflate"] = PerMessageDeflate()
    io = SocketServer(**options)

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.join("r")

    (add_plain_handlers if handlers == "sync" else add_async_handlers)(io)
    if full:
        add_limit(io)
    if metrics or full:
        from prometheus_client import CollectorRegistry  # noqa: PLC0415

        from socketio_core.prometheus import instrument_prometheus  # noqa: PLC0415

        instrument_prometheus(io, CollectorRegistry())
    return io


def main() -> None:
    """Run the command: serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--handlers", choices=("sync", "async"), default="async")
    parser.add_argument("--full", action="store_true", help="recovery, limits, metrics, middleware")
    parser.add_argument("--metrics", action="store_true", help="instrument_prometheus")
    parser.add_argument("--deflate", action="store_true", help="permessage-deflate")
    parser.add_argument("--msgpack", action="store_true", help="MessagePack instead of JSON")
    parser.add_argument("--ping-interval", type=float, default=25.0, help="seconds")
    parser.add_argument("--redis", help="the URL of the Redis of a cluster")
    parser.add_argument("--adapter", choices=ADAPTERS, default="sharded")
    arguments = parser.parse_args()
    # The benchmark sends SIGUSR2 before it reads the memory of a server.
    signal.signal(signal.SIGUSR2, lambda *_: gc.collect() and None)
    adapter = ADAPTERS[arguments.adapter](arguments.redis) if arguments.redis else None
    io = make_server(
        handlers=arguments.handlers,
        full=arguments.full,
        deflate=arguments.deflate,
        metrics=arguments.metrics,
        msgpack=arguments.msgpack,
        ping_interval=arguments.ping_interval,
        adapter=adapter,
    )
    io.run(port=arguments.port)


if __name__ == "__main__":
    main()

"""Benchmark server with python-socketio on uvicorn and uvloop, with orjson.

    python -m benchmarks.servers.python_socketio --port P [--deflate]

The server behaves like `servers/ours.py`.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from benchmarks.servers.asgi_host import serve


def make_app() -> Any:
    """Return the ASGI application."""
    import orjson  # noqa: PLC0415 - see `asgi_host`
    import socketio  # noqa: PLC0415

    # python-socketio requires `dumps` to return a str and passes separators to it.
    fast_json = SimpleNamespace(
        dumps=lambda value, **_: orjson.dumps(value).decode(), loads=orjson.loads
    )
    io = socketio.AsyncServer(
        async_mode="asgi",
        ping_interval=25,
        ping_timeout=20,
        json=fast_json,
        cors_allowed_origins=[],
    )

    @io.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await io.enter_room(sid, "r")

    @io.event
    async def echo(sid: str, data: Any) -> Any:
        return data

    @io.event
    async def msg(sid: str, data: Any) -> None:
        pass

    @io.event
    async def bcast(sid: str, data: Any) -> int:
        await io.emit("update", data, room="r")
        return 1

    return socketio.ASGIApp(io)


if __name__ == "__main__":
    serve(make_app, "benchmarks.servers.python_socketio", __doc__)

"""python-socketio on uvicorn and uvloop, with orjson, as the benchmark meets it.

    python -m benchmarks.servers.python_socketio --port P [--deflate]

Behaviour: see servers/ours.py, whose twin this is. It lives in an environment of its own, which
`benchmarks/setup` makes; started with another interpreter, it goes over to that one.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ENVIRONMENT = Path(__file__).parents[1] / ".venv" / "peers"


def go_over() -> None:
    """Start again in the peers' environment, if this one lacks them. Exits where it is missing."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists() or Path(sys.prefix) == ENVIRONMENT:
        sys.exit("python-socketio is not installed: run benchmarks/setup")
    module = "benchmarks.servers.python_socketio"
    os.execv(python, [str(python), "-m", module, *sys.argv[1:]])


def make_app() -> Any:
    """Return the ASGI application."""
    import orjson  # noqa: PLC0415 - see `go_over`
    import socketio  # noqa: PLC0415

    # What python-socketio asks of a JSON module.
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


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--deflate", action="store_true", help="permessage-deflate")
    parser.add_argument("--ws", default="websockets-sansio", help="uvicorn's WebSocket side")
    given = parser.parse_args()
    try:
        import uvicorn  # noqa: PLC0415
    except ImportError:
        go_over()
        return
    # The benchmark asks all servers to collect garbage before it reads their memory.
    signal.signal(signal.SIGUSR2, lambda *_: gc.collect() and None)
    uvicorn.run(
        make_app(),
        port=given.port,
        loop="uvloop",
        http="httptools",
        ws=given.ws,
        ws_per_message_deflate=given.deflate,
        backlog=4096,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()

"""Benchmark server with python-socketio on uvicorn and uvloop, with orjson.

    python -m benchmarks.servers.python_socketio --port P [--deflate]

The server behaves like `servers/ours.py`. It runs in the environment that `benchmarks/setup`
creates; the program restarts itself there if another interpreter started it.
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


def restart_in_environment() -> None:
    """Restart the program in the environment of the peers; exit if the environment is missing."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists() or Path(sys.prefix) == ENVIRONMENT:
        sys.exit("python-socketio is not installed: run benchmarks/setup")
    module = "benchmarks.servers.python_socketio"
    os.execv(python, [str(python), "-m", module, *sys.argv[1:]])


def make_app() -> Any:
    """Return the ASGI application."""
    import orjson  # noqa: PLC0415 - see `restart_in_environment`
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


def main() -> None:
    """Run the command: serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--deflate", action="store_true", help="permessage-deflate")
    parser.add_argument(
        "--ws", default="websockets-sansio", help="WebSocket implementation of uvicorn"
    )
    arguments = parser.parse_args()
    try:
        import uvicorn  # noqa: PLC0415
    except ImportError:
        restart_in_environment()
        return
    # The benchmark sends SIGUSR2 before it reads the memory of a server.
    signal.signal(signal.SIGUSR2, lambda *_: gc.collect() and None)
    uvicorn.run(
        make_app(),
        port=arguments.port,
        loop="uvloop",
        http="httptools",
        ws=arguments.ws,
        ws_per_message_deflate=arguments.deflate,
        backlog=4096,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()

"""uvicorn as the host of the ASGI applications of the benchmark, with the same options for all.

The options are those of the lowest cost: uvloop, httptools, the cheapest WebSocket implementation,
no compression, no access log. Only the environment of the peers has uvicorn; a program that another
interpreter started restarts itself there.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ENVIRONMENT = Path(__file__).parents[1] / ".venv" / "peers"
#: uvicorn 0.54: 13 us per answered message, 37 with wsproto, 20 with websockets (busy machine).
WEBSOCKETS = "websockets-sansio"


def restart_in_environment(module: str) -> None:
    """Restart a program in the environment of the peers; exit if the environment is missing."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists() or Path(sys.prefix) == ENVIRONMENT:
        sys.exit("uvicorn or a package of the application is not installed: run benchmarks/setup")
    os.execv(python, [str(python), "-m", module, *sys.argv[1:]])


def serve(make_app: Callable[[], Any], module: str, description: str | None) -> None:
    """Run the command of an ASGI application: serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--deflate", action="store_true", help="permessage-deflate")
    parser.add_argument("--ws", default=WEBSOCKETS, help="WebSocket implementation of uvicorn")
    arguments = parser.parse_args()
    if Path(sys.prefix) != ENVIRONMENT:
        restart_in_environment(module)
    import uvicorn  # noqa: PLC0415 - see `restart_in_environment`

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

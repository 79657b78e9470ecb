"""Benchmark server with this project's `asgi_app` under uvicorn: an ASGI host reads and writes.

    python -m benchmarks.servers.ours_asgi --port P [--ws websockets-sansio]

The server behaves like `servers/ours.py`, with coroutine functions as handlers.
"""

from __future__ import annotations

from typing import Any

from benchmarks.servers.asgi_host import serve
from benchmarks.servers.ours import make_server


def make_app() -> Any:
    """Return the ASGI application."""
    return make_server().asgi_app()


if __name__ == "__main__":
    serve(make_app, "benchmarks.servers.ours_asgi", __doc__)

"""Programs that start an ASGI host with two workers: `-m tests.interop.asgi_programs HOST`."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tests.helpers.ports import reserve_port

APP = "tests.interop.asgi_server:app"


def run_uvicorn(port: int) -> None:
    """Run uvicorn until a signal ends it."""
    import uvicorn

    uvicorn.run(APP, port=port, workers=2, log_level="warning")


def run_hypercorn(port: int) -> None:
    """Run hypercorn until a signal ends it."""
    from hypercorn.config import Config
    from hypercorn.run import run

    run(Config.from_mapping(application_path=APP, bind=[f"127.0.0.1:{port}"], workers=2))


def run_granian(port: int) -> None:
    """Run granian until a signal ends it."""
    from granian import Granian
    from granian.constants import Interfaces

    Granian(APP, interface=Interfaces.ASGI, port=port, workers=2).serve()


PROGRAMS: dict[str, Callable[[int], None]] = {
    "uvicorn": run_uvicorn, "hypercorn": run_hypercorn, "granian": run_granian,
}  # fmt: skip

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](reserve_port())

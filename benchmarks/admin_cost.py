"""Cost of the admin UI: CPU time of one event with an ack, with and without `instrument`.

    python -m benchmarks.admin_cost

The path is that of `hop_budget`: from `data_received` to the handler and back to `write`. The
servers take turns; the result is the median of the ratios of all rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import thread_time
from typing import Any

from socketio_core import instrument

from . import wire
from .hop_budget import on_loop, open_http, open_socket
from .servers.ours import make_server

ROUNDS = 15
EVENTS = 3000


def make_path(mode: str | None, *, admin: bool = False) -> Callable[[], object]:
    """Return a function that sends one event to a server."""
    io: Any = make_server(handlers="sync")
    if mode is not None:
        instrument(io, auth=False, mode="development" if mode == "development" else "production")
    sink = open_socket(io)
    if admin:
        page = open_http(io)
        page.protocol.data_received(wire.websocket_handshake())
        page.protocol.data_received(wire.frame(b"40/admin,"))
    chunk = wire.frame(wire.event("echo", wire.payload(64), 7))
    receive = sink.protocol.data_received
    return lambda: receive(chunk)


def time_path(once: Callable[[], object]) -> float:
    """Return the seconds of CPU time that the events of one round take."""
    began = thread_time()
    for _ in range(EVENTS):
        once()
    return thread_time() - began


def measure() -> dict[str, float]:
    """Return the cost of each server relative to a server without `instrument`."""
    plain = make_path(None)
    paths = {
        "production": make_path("production"),
        "development, no admin": make_path("development"),
        "development, one admin": make_path("development", admin=True),
    }
    ratios: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(ROUNDS):
        for name, path in paths.items():
            before, taken, after = time_path(plain), time_path(path), time_path(plain)
            ratios[name].append(2 * taken / (before + after))
    return {name: median(found) for name, found in ratios.items()}


def main() -> None:
    """Run the command: measure and print the ratios."""
    for name, ratio in on_loop(measure).items():
        print(f"{name:28} {ratio:.2f}")


if __name__ == "__main__":
    main()

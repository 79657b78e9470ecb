"""Definitions of the experiments, their contenders and the goals of the figures.

`measure` runs the experiments, `figures` evaluates them, `report` formats the outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import wire
from .official_client import OfficialClient
from .peers import (
    ASGI_FLOOR,
    FLOOR,
    NODE,
    OURS_313,
    OURS_ASGI,
    OURS_ASYNC,
    OURS_FULL,
    OURS_METRICS,
    OURS_SYNC,
    PYTHON_313,
    PYTHON_SOCKETIO,
    Peer,
)
from .workloads import (
    Broadcasts,
    Connects,
    EventsWithAck,
    EventsWithoutAck,
    PollingRounds,
    Workload,
)

IDLE_CONNECTIONS = 5000
NO_GROWTH = 1.10
FULL_LIMIT = 1.25
METRICS_LIMIT = 1.03


@dataclass(frozen=True)
class Contender:
    """One side of an experiment: name, server, and optionally a workload of its own."""

    name: str
    peer: Peer
    make_workload: Callable[[], Workload] | None = None
    instance: str = ""
    """Contenders with the same peer and different instances run on separate servers."""


@dataclass(frozen=True)
class Experiment:
    """A workload and the contenders that run it in turns; `extra` contenders run fewer rounds."""

    name: str
    make_workload: Callable[[], Workload] | None
    """None for an experiment that measures memory."""
    contenders: tuple[Contender, ...]
    extra: tuple[Contender, ...] = ()
    only_full: bool = False


@dataclass(frozen=True)
class Figure:
    """The ratio of two contenders of an experiment, and the highest ratio that is accepted."""

    name: str
    experiment: str
    ours: str
    goal: float | None = None
    base: str = "Node"


def _contenders(*peers: Peer) -> tuple[Contender, ...]:
    names = {
        NODE.command: "Node",
        PYTHON_SOCKETIO.command: "python-socketio",
        FLOOR.command: "floor",
        ASGI_FLOOR.command: "floor",
    }
    short = {
        OURS_ASGI.command: "asgi_app",
        OURS_ASYNC.command: "async handler",
        OURS_SYNC.command: "plain handler",
        OURS_FULL.command: "--full",
        OURS_METRICS.command: "--metrics",
        OURS_313.command: "Python 3.13",
    }
    return tuple(Contender((names | short)[peer.command], peer) for peer in peers)


_PYTHON = _contenders(PYTHON_SOCKETIO)
_FLOOR = _contenders(FLOOR)
_BOTH_HANDLERS = _contenders(OURS_SYNC, OURS_ASYNC, NODE)
_ONE_HANDLER = _contenders(OURS_ASYNC, NODE)
_UNDER_UVICORN = _contenders(OURS_ASGI, PYTHON_SOCKETIO)
_UVICORN_FLOOR = _contenders(ASGI_FLOOR)
_LEAN_AND_FULL = _contenders(OURS_FULL, OURS_ASYNC)
_LEAN_AND_METRICS = _contenders(OURS_METRICS, OURS_ASYNC)


def _with_deflate(contender: Contender) -> Contender:
    return Contender(contender.name, contender.peer.with_flags("--deflate"))


def _make_binary_event(ack_id: int) -> bytes:
    return wire.binary_event_frames("echo", 4096, ack_id)


ACK_8 = "event with ack, 8 in flight"
ACK_1 = "event with ack, 1 in flight"
NO_ACK = "event without ack"
BROADCAST_500 = "broadcast to 500, per delivery"
BROADCAST_2000 = "broadcast to 2,000, per delivery"
POLLING = "polling round (POST + GET)"
CONNECT = "connect by WebSocket"
CONNECT_UPGRADE = "connect by polling with upgrade"
MEMORY = "memory per idle connection"
UNDER_UVICORN = "under uvicorn: "
GROWTH = "event with ack, 50 of 5,000 connections busy"

EXPERIMENTS = (
    Experiment(ACK_8, lambda: EventsWithAck(50, 8), _BOTH_HANDLERS + _FLOOR, _PYTHON),
    Experiment(ACK_1, lambda: EventsWithAck(50, 1), _BOTH_HANDLERS + _FLOOR, _PYTHON),
    Experiment(NO_ACK, EventsWithoutAck, _BOTH_HANDLERS + _FLOOR, _PYTHON),
    Experiment(BROADCAST_500, lambda: Broadcasts(500), _ONE_HANDLER + _FLOOR, _PYTHON),
    Experiment(BROADCAST_2000, lambda: Broadcasts(2000), _ONE_HANDLER + _FLOOR, _PYTHON),
    Experiment(POLLING, PollingRounds, _ONE_HANDLER, _PYTHON),
    Experiment(CONNECT, Connects, _ONE_HANDLER + _FLOOR, _PYTHON),
    Experiment(CONNECT_UPGRADE, lambda: Connects(by_polling=True), _ONE_HANDLER, _PYTHON),
    Experiment(MEMORY, None, _ONE_HANDLER, _PYTHON),
    Experiment(
        GROWTH,
        None,
        (
            Contender("5,000", OURS_ASYNC, lambda: EventsWithAck(5000, 8, busy=50), "many"),
            Contender("500", OURS_ASYNC, lambda: EventsWithAck(500, 8, busy=50), "few"),
        ),
    ),
    Experiment(
        UNDER_UVICORN + ACK_8, lambda: EventsWithAck(50, 8), _UNDER_UVICORN + _UVICORN_FLOOR
    ),
    Experiment(
        UNDER_UVICORN + ACK_1, lambda: EventsWithAck(50, 1), _UNDER_UVICORN + _UVICORN_FLOOR
    ),
    Experiment(UNDER_UVICORN + BROADCAST_500, lambda: Broadcasts(500), _UNDER_UVICORN),
    Experiment(f"{ACK_8} (--full)", lambda: EventsWithAck(50, 8), _LEAN_AND_FULL),
    Experiment(f"{NO_ACK} (--full)", EventsWithoutAck, _LEAN_AND_FULL),
    Experiment(f"{BROADCAST_500} (--full)", lambda: Broadcasts(500), _LEAN_AND_FULL),
    Experiment(f"{ACK_8} (--metrics)", lambda: EventsWithAck(50, 8), _LEAN_AND_METRICS),
    Experiment(f"{NO_ACK} (--metrics)", EventsWithoutAck, _LEAN_AND_METRICS),
    Experiment(f"{BROADCAST_500} (--metrics)", lambda: Broadcasts(500), _LEAN_AND_METRICS),
    Experiment("payload of 1 KiB", lambda: EventsWithAck(50, 8, size=1024), _ONE_HANDLER),
    Experiment("payload of 16 KiB", lambda: EventsWithAck(50, 8, size=16384), _ONE_HANDLER),
    Experiment(
        "binary of 4 KiB", lambda: EventsWithAck(50, 8, make_frame=_make_binary_event), _ONE_HANDLER
    ),
    Experiment(
        "permessage-deflate, 2 KiB",
        lambda: EventsWithAck(50, 8, size=2048, deflate=True),
        tuple(_with_deflate(contender) for contender in _ONE_HANDLER),
    ),
    Experiment("official client: event with ack", lambda: OfficialClient("echo", 50), _ONE_HANDLER),
    Experiment(
        "official client: event without ack", lambda: OfficialClient("msg", 50), _ONE_HANDLER
    ),
    Experiment(
        "official client: broadcast to 200", lambda: OfficialClient("bcast", 200), _ONE_HANDLER
    ),
    Experiment(
        "polling round, a browser's headers",
        lambda: PollingRounds(headers=wire.BROWSER_HEADERS),
        _ONE_HANDLER,
        only_full=True,
    ),
    *(
        Experiment(
            f"{name}, Python 3.13",
            workload,
            _contenders(OURS_313, OURS_ASYNC, NODE),
            only_full=True,
        )
        for name, workload in (
            (ACK_8, lambda: EventsWithAck(50, 8)),
            (ACK_1, lambda: EventsWithAck(50, 1)),
            (NO_ACK, EventsWithoutAck),
            (BROADCAST_500, lambda: Broadcasts(500)),
            (POLLING, PollingRounds),
        )
        if PYTHON_313.exists()
    ),
)

FIGURES = (
    Figure(f"{ACK_8}, plain handler", ACK_8, "plain handler", 0.35),
    Figure(f"{ACK_8}, async handler", ACK_8, "async handler", 0.45),
    Figure(f"{ACK_1}, plain handler", ACK_1, "plain handler", 0.50),
    Figure(f"{ACK_1}, async handler", ACK_1, "async handler", 0.55),
    Figure(f"{NO_ACK}, plain handler", NO_ACK, "plain handler", 0.60),
    Figure(f"{NO_ACK}, async handler", NO_ACK, "async handler", 0.85),
    Figure(BROADCAST_500, BROADCAST_500, "async handler", 0.50),
    Figure(BROADCAST_2000, BROADCAST_2000, "async handler", 0.50),
    Figure(POLLING, POLLING, "async handler", 0.85),
    Figure(CONNECT, CONNECT, "async handler", 0.35),
    Figure(CONNECT_UPGRADE, CONNECT_UPGRADE, "async handler", 0.70),
    Figure(f"{MEMORY}, {IDLE_CONNECTIONS:,} of them", MEMORY, "async handler", 0.50),
    *(
        Figure(UNDER_UVICORN + name, UNDER_UVICORN + name, "asgi_app", goal, "python-socketio")
        for name, goal in ((ACK_8, 0.35), (ACK_1, 0.45), (BROADCAST_500, 0.35))
    ),
    *(
        Figure(f"{name} (--full)", f"{name} (--full)", "--full", FULL_LIMIT, base="async handler")
        for name in (ACK_8, NO_ACK, BROADCAST_500)
    ),
    *(
        Figure(
            f"{name} (--metrics)",
            f"{name} (--metrics)",
            "--metrics",
            METRICS_LIMIT,
            base="async handler",
        )
        for name in (ACK_8, NO_ACK, BROADCAST_500)
    ),
    Figure(f"{GROWTH}, against 500", GROWTH, "5,000", NO_GROWTH, base="500"),
    *(
        Figure(experiment.name, experiment.name, experiment.contenders[0].name)
        for experiment in EXPERIMENTS
        if experiment.name.startswith(
            ("payload", "binary", "permessage", "official", "polling round,")
        )
        or experiment.name.endswith("3.13")
    ),
)

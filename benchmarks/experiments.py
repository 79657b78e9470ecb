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
    C_FLOOR,
    COMPILED_ASYNC,
    COMPILED_SYNC,
    FLOOR,
    GO,
    GO_MANY,
    NODE,
    OURS_ASGI,
    OURS_ASYNC,
    OURS_BY_VERSION,
    OURS_FULL,
    OURS_METRICS,
    OURS_MSGPACK,
    OURS_SYNC,
    PYTHON_SOCKETIO,
    RUST,
    RUST_MANY,
    RUST_MSGPACK,
    VERSIONS,
    Peer,
)
from .workloads import (
    Broadcasts,
    Connects,
    EventsWithAck,
    EventsWithoutAck,
    Heartbeats,
    PollingRounds,
    Workload,
)

IDLE_CONNECTIONS = 5000
NO_GROWTH = 1.10
FULL_LIMIT = 1.15
# 1 % of a core for the heartbeats of 100,000 connections, every 25 seconds
HEARTBEAT_LIMIT = 2.5  # us
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
    """The ratio of two contenders of an experiment, and the highest ratio that is accepted.

    `goal` is the highest accepted ratio to `base`, `rust_goal` to socketioxide, and `limit` the
    highest accepted cost. With a compiled build, `compiled` is compared, and `ours` without.
    """

    name: str
    experiment: str
    ours: str
    goal: float | None = None
    base: str = "Node"
    rust_goal: float | None = None
    limit: float | None = None

    @property
    def compiled(self) -> str:
        """The contender of the compiled build."""
        return f"{self.ours}, compiled"


_NAMES = {
    OURS_ASGI: "asgi_app",
    OURS_ASYNC: "async handler",
    OURS_SYNC: "plain handler",
    COMPILED_ASYNC: "async handler, compiled",
    COMPILED_SYNC: "plain handler, compiled",
    OURS_FULL: "--full",
    OURS_METRICS: "--metrics",
    NODE: "Node",
    PYTHON_SOCKETIO: "python-socketio",
    RUST: "socketioxide",
    GO: "Go",
    FLOOR: "floor",
    ASGI_FLOOR: "floor",
    C_FLOOR: "C floor",
    RUST_MANY: "socketioxide, all cores",
    GO_MANY: "Go, all cores",
}


def _contenders(*peers: Peer) -> tuple[Contender, ...]:
    return tuple(Contender(_NAMES[peer], peer) for peer in peers)


#: Peers that a machine may lack; the others are required.
OPTIONAL = (COMPILED_ASYNC, COMPILED_SYNC, RUST, GO, C_FLOOR)

_ONE_COMPILED = _contenders(COMPILED_ASYNC)
_RUST = _contenders(RUST)
_OTHERS = _contenders(PYTHON_SOCKETIO, GO)
_FLOORS = _contenders(FLOOR, C_FLOOR)
_BOTH_HANDLERS = _contenders(OURS_SYNC, OURS_ASYNC, COMPILED_SYNC, COMPILED_ASYNC, NODE, RUST)
_ONE_HANDLER = _contenders(OURS_ASYNC, NODE)
_ONE_HANDLER_AND_RUST = _ONE_HANDLER + _ONE_COMPILED + _RUST
_UNDER_UVICORN = _contenders(OURS_ASGI, PYTHON_SOCKETIO)
_UVICORN_FLOOR = _contenders(ASGI_FLOOR)
_LEAN_AND_FULL = _contenders(OURS_FULL, OURS_ASYNC)
_LEAN_AND_METRICS = _contenders(OURS_METRICS, OURS_ASYNC)
_ALL_CORES = _contenders(OURS_ASYNC, RUST_MANY, GO_MANY)


def _with_deflate(contender: Contender) -> Contender:
    return Contender(contender.name, contender.peer.with_flags("--deflate"))


def _make_binary_event(ack_id: int) -> bytes:
    return wire.binary_event_frames("echo", 4096, ack_id)


ACK_8 = "event with ack, 8 in flight"
ACK_1 = "event with ack, 1 in flight"
NO_ACK = "event without ack"
BROADCAST_500 = "broadcast to 500, per delivery"
BROADCAST_2000 = "broadcast to 2,000, per delivery"
BROADCAST_10000 = "broadcast to 10,000, per delivery"
HEARTBEAT = "heartbeat of an idle connection"
MSGPACK = f"MessagePack: {ACK_8}"
POLLING = "polling round (POST + GET)"
CONNECT = "connect by WebSocket"
CONNECT_UPGRADE = "connect by polling with upgrade"
MEMORY = "memory per idle connection"
UNDER_UVICORN = "under uvicorn: "
GROWTH = "event with ack, 50 of 5,000 connections busy"

_BY_VERSION: dict[str, Callable[[], Workload]] = {
    ACK_8: lambda: EventsWithAck(50, 8),
    ACK_1: lambda: EventsWithAck(50, 1),
    NO_ACK: EventsWithoutAck,
    BROADCAST_500: lambda: Broadcasts(500),
    POLLING: PollingRounds,
}

EXPERIMENTS = (
    Experiment(ACK_8, lambda: EventsWithAck(50, 8), _BOTH_HANDLERS + _FLOORS, _OTHERS),
    Experiment(ACK_1, lambda: EventsWithAck(50, 1), _BOTH_HANDLERS + _FLOORS, _OTHERS),
    Experiment(NO_ACK, EventsWithoutAck, _BOTH_HANDLERS + _FLOORS, _OTHERS),
    Experiment(BROADCAST_500, lambda: Broadcasts(500), _ONE_HANDLER_AND_RUST + _FLOORS, _OTHERS),
    Experiment(BROADCAST_2000, lambda: Broadcasts(2000), _ONE_HANDLER_AND_RUST + _FLOORS, _OTHERS),
    Experiment(POLLING, PollingRounds, _ONE_HANDLER_AND_RUST, _OTHERS),
    Experiment(CONNECT, Connects, _ONE_HANDLER_AND_RUST + _FLOORS, _OTHERS),
    Experiment(CONNECT_UPGRADE, lambda: Connects(by_polling=True), _ONE_HANDLER_AND_RUST, _OTHERS),
    Experiment(MEMORY, None, _ONE_HANDLER_AND_RUST, _OTHERS),
    Experiment(
        HEARTBEAT,
        lambda: Heartbeats(IDLE_CONNECTIONS, 1.0),
        (
            Contender("async handler", OURS_ASYNC.with_flags("--ping-interval=1")),
            Contender("Node", NODE.with_flags("--ping-interval=1")),
        ),
    ),
    Experiment(
        MSGPACK,
        lambda: EventsWithAck(50, 8, msgpack=True),
        (
            Contender("async handler", OURS_MSGPACK),
            Contender("Node", NODE.with_flags("--msgpack")),
            Contender("socketioxide", RUST_MSGPACK),
        ),
    ),
    Experiment(BROADCAST_10000, lambda: Broadcasts(10_000), _ONE_HANDLER_AND_RUST, only_full=True),
    Experiment(f"{ACK_8}, all cores", lambda: EventsWithAck(50, 8), _ALL_CORES, only_full=True),
    Experiment(f"{BROADCAST_500}, all cores", lambda: Broadcasts(500), _ALL_CORES, only_full=True),
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
            f"{name}, by Python version",
            workload,
            tuple(
                Contender(f"Python {version}", peer) for version, peer in OURS_BY_VERSION.items()
            ),
            only_full=True,
        )
        for name, workload in _BY_VERSION.items()
    ),
)

PLAIN, ASYNC = "plain handler", "async handler"

FIGURES = (
    Figure(f"{ACK_8}, {PLAIN}", ACK_8, PLAIN, 0.18, rust_goal=0.75),
    Figure(f"{ACK_8}, {ASYNC}", ACK_8, ASYNC, 0.22, rust_goal=0.90),
    Figure(f"{ACK_1}, {PLAIN}", ACK_1, PLAIN, 0.46, rust_goal=1.0),
    Figure(f"{ACK_1}, {ASYNC}", ACK_1, ASYNC, 0.48, rust_goal=1.1),
    Figure(f"{NO_ACK}, {PLAIN}", NO_ACK, PLAIN, 0.30, rust_goal=0.50),
    Figure(f"{NO_ACK}, {ASYNC}", NO_ACK, ASYNC, 0.36, rust_goal=0.65),
    Figure(BROADCAST_500, BROADCAST_500, ASYNC, 0.46, rust_goal=0.62),
    Figure(BROADCAST_2000, BROADCAST_2000, ASYNC, 0.50, rust_goal=0.55),
    Figure(POLLING, POLLING, ASYNC, 0.33, rust_goal=2.0),
    Figure(CONNECT, CONNECT, ASYNC, 0.20, rust_goal=1.1),
    Figure(CONNECT_UPGRADE, CONNECT_UPGRADE, ASYNC, 0.30, rust_goal=2.0),
    Figure(f"{MEMORY}, {IDLE_CONNECTIONS:,} of them", MEMORY, ASYNC, 0.29, rust_goal=0.18),
    Figure(HEARTBEAT, HEARTBEAT, ASYNC, limit=HEARTBEAT_LIMIT),
    Figure(MSGPACK, MSGPACK, ASYNC),
    Figure(BROADCAST_10000, BROADCAST_10000, ASYNC),
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
    ),
    *(
        Figure(
            f"{name}, Python {version}",
            f"{name}, by Python version",
            f"Python {version}",
            base="Python 3.11",
        )
        for name in _BY_VERSION
        for version in VERSIONS[1:]
    ),
)

"""Definitions of the experiments and their contenders.

`measure` runs the experiments; `goals` defines the figures that are derived from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import wire
from .official_client import OfficialClient
from .peers import (
    ASGI_FLOOR,
    C_FLOOR,
    COMPILED_ASGI,
    COMPILED_ASYNC,
    COMPILED_FULL,
    COMPILED_METRICS,
    COMPILED_SYNC,
    FLOOR,
    GO,
    GO_MANY,
    NODE,
    OLDER_ASYNC,
    OLDER_SYNC,
    OURS_ASGI,
    OURS_ASYNC,
    OURS_BY_VERSION,
    OURS_FULL,
    OURS_METRICS,
    OURS_SYNC,
    PYTHON_SOCKETIO,
    RUST,
    RUST_MANY,
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
BEATING_CONNECTIONS = 2000  # of four servers at a time, whose clients share a limit of open files


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
    reopens: bool = False
    """Whether each turn opens its connections: those of all contenders would be too many files."""


_NAMES = {
    OURS_ASGI: "asgi_app",
    COMPILED_ASGI: "asgi_app, compiled",
    OURS_ASYNC: "async handler",
    OURS_SYNC: "plain handler",
    COMPILED_ASYNC: "async handler, compiled",
    COMPILED_SYNC: "plain handler, compiled",
    OLDER_ASYNC: "async handler, older commit",
    OLDER_SYNC: "plain handler, older commit",
    OURS_FULL: "--full",
    COMPILED_FULL: "--full, compiled",
    OURS_METRICS: "--metrics",
    COMPILED_METRICS: "--metrics, compiled",
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


_PURE_AND_COMPILED = _contenders(OURS_ASYNC, COMPILED_ASYNC)
_RIVALS = _contenders(NODE, RUST)
_OTHERS = _contenders(PYTHON_SOCKETIO, GO)
_FLOORS = _contenders(FLOOR, C_FLOOR)
_BOTH_HANDLERS = _contenders(
    OURS_SYNC, OURS_ASYNC, COMPILED_SYNC, COMPILED_ASYNC, OLDER_SYNC, OLDER_ASYNC
)
_ONE_HANDLER = _contenders(OURS_ASYNC, COMPILED_ASYNC, OLDER_ASYNC) + _RIVALS
_WITH_NODE = _PURE_AND_COMPILED + _contenders(NODE)
_UNDER_UVICORN = _contenders(OURS_ASGI, COMPILED_ASGI, PYTHON_SOCKETIO)
_UVICORN_FLOOR = _contenders(ASGI_FLOOR)
_LEAN_AND_FULL = _contenders(OURS_FULL, OURS_ASYNC, COMPILED_FULL, COMPILED_ASYNC)
_LEAN_AND_METRICS = _contenders(OURS_METRICS, OURS_ASYNC, COMPILED_METRICS, COMPILED_ASYNC)
_ALL_CORES = _contenders(OURS_ASYNC, RUST_MANY, GO_MANY)


def _with_flags(contenders: tuple[Contender, ...], *flags: str) -> tuple[Contender, ...]:
    return tuple(Contender(each.name, each.peer.with_flags(*flags)) for each in contenders)


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

BY_VERSION: dict[str, Callable[[], Workload]] = {
    ACK_8: lambda: EventsWithAck(50, 8),
    ACK_1: lambda: EventsWithAck(50, 1),
    NO_ACK: EventsWithoutAck,
    BROADCAST_500: lambda: Broadcasts(500),
    POLLING: PollingRounds,
}
_THREE_PATHS = {name: BY_VERSION[name] for name in (ACK_8, NO_ACK, BROADCAST_500)}

_ACKS = _BOTH_HANDLERS + _RIVALS + _FLOORS
_BROADCASTS = _ONE_HANDLER + _FLOORS

EXPERIMENTS = (
    Experiment(ACK_8, lambda: EventsWithAck(50, 8), _ACKS, _OTHERS),
    Experiment(ACK_1, lambda: EventsWithAck(50, 1), _ACKS, _OTHERS),
    Experiment(NO_ACK, EventsWithoutAck, _ACKS, _OTHERS),
    Experiment(BROADCAST_500, lambda: Broadcasts(500), _BROADCASTS, _OTHERS),
    Experiment(BROADCAST_2000, lambda: Broadcasts(2000), _BROADCASTS, _OTHERS),
    Experiment(
        BROADCAST_10000, lambda: Broadcasts(10_000), _PURE_AND_COMPILED + _RIVALS, reopens=True
    ),
    Experiment(POLLING, PollingRounds, _ONE_HANDLER, _OTHERS),
    Experiment(CONNECT, Connects, _ONE_HANDLER + _FLOORS, _OTHERS),
    Experiment(CONNECT_UPGRADE, lambda: Connects(by_polling=True), _ONE_HANDLER, _OTHERS),
    Experiment(MEMORY, None, _ONE_HANDLER, _OTHERS),
    Experiment(
        HEARTBEAT,
        lambda: Heartbeats(BEATING_CONNECTIONS, 1.0),
        _with_flags(_WITH_NODE + _FLOORS, "--ping-interval=1"),
    ),
    Experiment(
        MSGPACK,
        lambda: EventsWithAck(50, 8, msgpack=True),
        _with_flags(_WITH_NODE + _contenders(RUST), "--msgpack"),
    ),
    Experiment(
        "permessage-deflate, 2 KiB",
        lambda: EventsWithAck(50, 8, size=2048, deflate=True),
        _with_flags(_WITH_NODE, "--deflate"),
    ),
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
    *(
        Experiment(f"{name} ({flag})", workload, contenders)
        for flag, contenders in (("--full", _LEAN_AND_FULL), ("--metrics", _LEAN_AND_METRICS))
        for name, workload in _THREE_PATHS.items()
    ),
    Experiment("payload of 1 KiB", lambda: EventsWithAck(50, 8, size=1024), _WITH_NODE),
    Experiment("payload of 16 KiB", lambda: EventsWithAck(50, 8, size=16384), _WITH_NODE),
    Experiment(
        "binary of 4 KiB", lambda: EventsWithAck(50, 8, make_frame=_make_binary_event), _WITH_NODE
    ),
    Experiment("official client: event with ack", lambda: OfficialClient("echo", 50), _WITH_NODE),
    Experiment("official client: event without ack", lambda: OfficialClient("msg", 50), _WITH_NODE),
    Experiment(
        "official client: broadcast to 200", lambda: OfficialClient("bcast", 200), _WITH_NODE
    ),
    Experiment(
        "polling round, a browser's headers",
        lambda: PollingRounds(headers=wire.BROWSER_HEADERS),
        _WITH_NODE,
        only_full=True,
    ),
    *(
        Experiment(
            f"{name}, by Python version",
            workload,
            tuple(
                Contender(f"Python {version}", peer) for version, peer in OURS_BY_VERSION.items()
            ),
        )
        for name, workload in BY_VERSION.items()
    ),
)

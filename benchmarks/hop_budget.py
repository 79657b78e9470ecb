"""Cost of one event without a network: Python calls and microseconds.

    python -m benchmarks.hop_budget [--only WORDS] [--json]

Each path runs from `data_received` to the handler and back to `write`, on a connection that
discards all written data. Calls are Python function calls, counted with `sys.setprofile` (calls
into C are listed separately); microseconds are CPU time of the thread. The number of calls is the
same on every machine, so a test compares it with BUDGET; the time is not.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import types
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Generator
from time import thread_time
from types import FrameType
from typing import Any, NamedTuple

import uvloop

from engineio_core import read_turn
from engineio_core.codec import frame_reader

from . import wire
from .servers.ours import make_server

BATCHES = 7
_counts_only = False
EVENTS = 2000
MEMBERS = 400
LEAVING = "leaving, 10,000 rooms on the server"

# The highest number of calls of each path. Lower it whenever a path becomes shorter.
BUDGET = {
    "event with ack, plain handler": 13,
    "event with ack, async handler": 15,
    "event without ack, plain handler": 7,
    "event without ack, async handler": 9,
    "event without ack, async handler (--full)": 11,
    "8 events with ack in one chunk, plain handler": 10.5,
    "MessagePack: event with ack, plain handler": 18,
    "broadcast, per delivery": 3,
    # 2 of the calls count queued bytes.
    "polling round (POST + GET)": 113,
    # 3 of the calls create and drop the account of an address without another client; 1 creates the
    # fields of a socket that a compiled build reads directly.
    "connect and leave by WebSocket": 188,
    # 3 of the calls belong to the host.
    "ASGI: event with ack, plain handler": 18,
    "ASGI: event with ack, async handler": 21,
}


class Hop(NamedTuple):
    """Cost of one path, per event."""

    calls: float
    c_calls: float
    microseconds: float


class Sink(asyncio.Transport):
    """TCP connection that accepts every write and keeps the last one."""

    def __init__(self) -> None:
        super().__init__(extra={"peername": ("127.0.0.1", 50000)})
        self.protocol: Any = None
        self.last = b""
        self.writes = 0

    def write(self, data: Any) -> None:
        self.last = data
        self.writes += 1

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def open_http(io: Any) -> Sink:
    """Return a new connection, before any request."""
    sink = Sink()
    sink.protocol = io.engine._make_connection()
    sink.protocol.connection_made(sink)
    return sink


def open_socket(io: Any) -> Sink:
    """Return a WebSocket connection whose socket has joined the namespace `/`."""
    sink = open_http(io)
    sink.protocol.data_received(wire.websocket_handshake())
    sink.protocol.data_received(wire.CONNECT)
    assert b"40{" in sink.last or b"42" in sink.last, sink.last
    return sink


class Counter:
    """Counter of the calls made inside its `with` block."""

    def __init__(self) -> None:
        self.calls = 0
        self.c_calls = 0

    def __enter__(self) -> Counter:
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        self.c_calls -= 1  # `setprofile` itself
        self.calls -= 1  # `__exit__` itself

    def _count(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            self.calls += 1
        elif event == "c_call":
            self.c_calls += 1


def measure(once: Callable[[], Any], events: int = 1, repeat: int = EVENTS) -> Hop:
    """Return the cost of one of the `events` that happen in a call of `once`."""
    gc.disable()  # a collection would be charged to an arbitrary event
    try:
        return _measure(once, events, 0 if _counts_only else repeat)
    finally:
        gc.enable()


def _measure(once: Callable[[], Any], events: int, repeat: int) -> Hop:
    for _ in range(20):
        once()
    with Counter() as counter:
        once()
    best = float("inf")
    for _ in range(BATCHES if repeat else 0):
        began = thread_time()
        for _ in range(repeat):
            once()
        best = min(best, thread_time() - began)
    calls = counter.calls - 1 if once.__name__ == "<lambda>" else counter.calls
    microseconds = best / repeat / events * 1e6 if repeat else 0.0
    return Hop(calls / events, counter.c_calls / events, microseconds)


def measure_event(
    handlers: str, name: str, ack_id: int | None, count: int = 1, *, full: bool = False
) -> Hop:
    """Measure events that arrive as `count` frames in one chunk."""
    sink = open_socket(make_server(handlers=handlers, full=full))
    chunk = wire.frame(wire.event(name, wire.payload(64), ack_id)) * count
    receive = sink.protocol.data_received
    writes = sink.writes
    receive(chunk)
    expected = 0 if ack_id is None else 1  # one write for a chunk, however many acks
    assert sink.writes - writes == expected, "all acks of a chunk leave in one write"
    return measure(lambda: receive(chunk), count)


def measure_msgpack_event() -> Hop:
    """Measure an event with ack of a client that uses MessagePack."""
    sink = open_http(make_server(handlers="sync", msgpack=True))
    sink.protocol.data_received(wire.websocket_handshake())
    receive = sink.protocol.data_received  # of the WebSocket
    receive(wire.MSGPACK_CONNECT)
    chunk = wire.msgpack_event_frame("echo", wire.payload(64), 7)
    receive(chunk)
    assert b"update" in sink.last, sink.last
    return measure(lambda: receive(chunk))


def measure_broadcast() -> Hop:
    """Measure one delivery: the cost of additional members, divided by their number."""
    chunk = wire.frame(wire.event("bcast", wire.payload(64), 1))
    found = []
    for members in (MEMBERS // 4, MEMBERS):
        io = make_server()
        sinks = [open_socket(io) for _ in range(members)]
        receive = sinks[0].protocol.data_received
        found.append(measure(lambda receive=receive: receive(chunk), repeat=40))  # type: ignore[misc]
        assert all(b"update" in sink.last for sink in sinks[1:]), "every member received the event"
    few, many = found
    more = MEMBERS - MEMBERS // 4
    return Hop(*((b - a) / more for a, b in zip(few, many, strict=True)))


def measure_polling() -> Hop:
    """Measure a POST with an event and the GET that returns its ack."""
    io = make_server()
    polls, posts = open_http(io), open_http(io)
    polls.protocol.data_received(wire.polling_get())
    sid = json.loads(polls.last.partition(b"\r\n\r\n0")[2])["sid"]
    get = wire.polling_get(sid)
    posts.protocol.data_received(wire.polling_post(sid, b"40"))
    polls.protocol.data_received(get)
    post = wire.polling_post(sid, wire.event("echo", wire.payload(64), 1))

    def go_round() -> None:
        posts.protocol.data_received(post)
        polls.protocol.data_received(get)

    go_round()
    assert b"431[" in polls.last, polls.last
    hop = measure(go_round, repeat=EVENTS // 10)
    return hop._replace(calls=hop.calls - 1)


def measure_connect() -> Hop:
    """Measure a WebSocket handshake, a CONNECT and a close handshake started by the client."""
    io = make_server()
    leave = wire.frame(b"\x03\xe8", 0x88)

    def connect_and_leave() -> None:
        sink = open_socket(io)
        sink.protocol.data_received(leave)
        sink.protocol.connection_lost(None)

    hop = measure(connect_and_leave, repeat=EVENTS // 20)
    assert not io.sockets, "every socket has left"
    return hop


def measure_asgi(handlers: str) -> Hop:
    """Measure events of an ASGI host, whose `receive` and `send` are 3 calls of each event."""
    io = make_server(handlers=handlers)
    loop = asyncio.get_running_loop()
    sent: list[dict[str, Any]] = []

    @types.coroutine
    def wait() -> Generator[None, dict[str, Any], dict[str, Any]]:
        return (yield)

    async def receive() -> dict[str, Any]:
        return await wait()

    async def send(message: dict[str, Any]) -> None:
        sent[:] = (message,)

    async def sleep() -> None:
        await loop.create_future()

    scope = {
        "type": "websocket", "path": "/socket.io/", "headers": [],
        "query_string": b"EIO=4&transport=websocket",
    }  # fmt: skip
    application = io.asgi_app()(scope, receive, send)
    host = loop.create_task(sleep())

    def deliver(message: Any) -> None:
        # A task of the host runs the application, as an event loop does.
        _enter_task(loop, host)
        try:
            application.send(message)
        finally:
            _leave_task(loop, host)

    deliver(None)
    deliver({"type": "websocket.connect"})
    deliver({"type": "websocket.receive", "text": "40"})
    event = wire.event("echo", wire.payload(64), 7).decode()
    message = {"type": "websocket.receive", "text": event}
    deliver(message)
    assert sent[0]["text"].startswith("437["), sent
    hop = measure(lambda: deliver(message))
    host.cancel()
    return hop._replace(calls=hop.calls - 1)


PATHS: dict[str, Callable[[], Hop]] = {
    "event with ack, plain handler": lambda: measure_event("sync", "echo", 7),
    "event with ack, async handler": lambda: measure_event("async", "echo", 7),
    "event without ack, plain handler": lambda: measure_event("sync", "msg", None),
    "event without ack, async handler": lambda: measure_event("async", "msg", None),
    "event without ack, async handler (--full)": lambda: measure_event(
        "async", "msg", None, full=True
    ),
    "8 events with ack in one chunk, plain handler": lambda: measure_event("sync", "echo", 7, 8),
    "MessagePack: event with ack, plain handler": measure_msgpack_event,
    "broadcast, per delivery": measure_broadcast,
    "polling round (POST + GET)": measure_polling,
    "connect and leave by WebSocket": measure_connect,
    "ASGI: event with ack, plain handler": lambda: measure_asgi("sync"),
    "ASGI: event with ack, async handler": lambda: measure_asgi("async"),
}


def measure_all(only: str = "") -> dict[str, Hop]:
    """Measure every path whose name contains `only`.

    Call it from a callback of the loop, as the loop calls `data_received`: without a current task.
    """
    return {name: measure_path() for name, measure_path in PATHS.items() if only in name}


def count_all() -> dict[str, Hop]:
    """Count the calls of every path without measuring time."""
    global _counts_only  # noqa: PLW0603
    _counts_only = True
    # The clock of read turns stands still, so that a busy machine does not divide a chunk: `float`
    # returns 0.0, and is not a Python function, which would be counted.
    kept = read_turn.perf_counter, frame_reader.perf_counter
    read_turn.perf_counter = frame_reader.perf_counter = float
    try:
        return measure_all()
    finally:
        read_turn.perf_counter, frame_reader.perf_counter = kept
        _counts_only = False


def leave_once(rooms: int, sockets: int = 200) -> float:
    """Return the seconds in which a socket in three rooms leaves a server with `rooms` rooms."""
    io = make_server()
    open_socket(io)
    resident = next(iter(io.sockets.values()))
    resident.join([f"room {index}" for index in range(rooms)])
    leaving = [open_socket(io) for _ in range(sockets)]
    for socket in list(io.sockets.values())[1:]:
        socket.join(["room 1", "room 2", "room 3"])
    began = thread_time()
    for sink in leaving:
        sink.protocol.connection_lost(None)
    took = thread_time() - began
    assert len(io.sockets) == 1, "all sockets but the first one have left"
    return took / sockets


def measure_leaving() -> tuple[float, float, list[float]]:
    """Return the microseconds with 10 and with 10,000 rooms, and the ratio of each round."""

    def take_turns() -> list[tuple[float, float]]:
        leave_once(10)
        return [(leave_once(10) * 1e6, leave_once(10_000) * 1e6) for _ in range(BATCHES)]

    pairs = on_loop(take_turns)
    few, many = (sorted(side)[BATCHES // 2] for side in zip(*pairs, strict=True))
    return few, many, [b / a for a, b in pairs]


def on_loop(function: Callable[[], Any]) -> Any:
    """Call a function from a callback of the loop, outside of any task."""

    async def wait() -> Any:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def call() -> None:
            try:
                done.set_result(function())
            except BaseException as error:
                done.set_exception(error)

        loop.call_soon(call)
        return await done

    return uvloop.run(wait())


def main() -> None:
    """Run the command: measure the paths and print them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--only", default="", help="only paths whose name contains this text")
    parser.add_argument("--counts", action="store_true", help="count calls, measure no time")
    arguments = parser.parse_args()
    measure_paths = count_all if arguments.counts else lambda: measure_all(arguments.only)
    hops: dict[str, Hop] = on_loop(measure_paths)
    if not hops:
        parser.error(f"--only {arguments.only!r} matches no path; known are: {', '.join(PATHS)}")
    if arguments.json:
        print(json.dumps({name: hop._asdict() for name, hop in hops.items()}, indent=1))
        return
    for name, hop in hops.items():
        print(
            f"{name:48} {hop.calls:6.1f} calls (of {BUDGET[name]})  {hop.c_calls:6.1f} C calls  "
            f"{hop.microseconds:7.2f} us"
        )


if __name__ == "__main__":
    main()

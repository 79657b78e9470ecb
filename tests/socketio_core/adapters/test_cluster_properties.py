"""Every request of a cluster ends in time: joins, deaths and messages in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.acknowledgement import Completion
from socketio_core.adapters.cluster.adapter import REQUEST_TIMEOUT
from socketio_core.adapters.cluster.in_process import InProcessCluster, InProcessFactory
from socketio_core.adapters.cluster.message import Message, encode_message
from socketio_core.adapters.interface import (
    AckCollector,
    BroadcastTarget,
    RemoteMissing,
    ServerResults,
)
from tests.helpers.fake_clock import FakeClock

EVERYONE = BroadcastTarget()
TIMEOUTS = st.sampled_from([None, 0.5, 1.0, 3.0, 20.0])


class FakeSocket:
    """A socket that receives nothing; its client may answer an event that requests an ack."""

    pid = None
    _listens_outgoing = False
    handshake = SimpleNamespace(
        headers={}, time="", address="", xdomain=False, secure=False, issued=0, url="", query={},
        auth={},
    )  # fmt: skip

    def __init__(self, socket_id: str) -> None:
        self.id = socket_id
        self.data: dict[str, Any] = {}
        self.rooms: set[str] = set()
        self.pending: dict[int, AckCollector] = {}

    def _send_packet(self, packet: EncodedPacket) -> None: ...

    def _send_volatile(self, packets: tuple[EncodedPacket, ...]) -> None: ...

    def _expect_ack(self, ack_id: int, collector: AckCollector) -> bool:
        self.pending[ack_id] = collector
        return True

    def _forget_ack(self, sink: AckCollector) -> None:
        self.pending = {key: each for key, each in self.pending.items() if each is not sink}

    def answer(self) -> None:
        """Answer the oldest event that requests an ack."""
        ack_id = next(iter(self.pending), None)
        if ack_id is not None:
            self.pending.pop(ack_id).acked(self.id, ["answer"])


class FakeServer:
    """One server with sockets, and with server-side events that it has not answered."""

    name = "/"

    def __init__(self, number: int, clock: FakeClock, factory: InProcessFactory) -> None:
        self.clock = clock
        self.factory = factory
        self.sockets: dict[str, Any] = {}
        self.unanswered: list[Callable[[Any], None]] = []
        ids = count()
        packets = (EncodedPacket(b"2"),)
        self.adapter = factory.create(
            self, lambda data, compress: packets,
            lambda data, compress: (next(ids), packets), None,
        )  # fmt: skip
        factory.start()
        for index in range(number % 3):
            socket: Any = FakeSocket(f"{number}-{index}")
            self.sockets[socket.id] = socket
            self.adapter.add(socket, (socket.id,))

    def _receive_server_event(
        self, data: list[Any], answer: Callable[[Any], None] | None = None
    ) -> None:
        if answer is not None:
            self.unanswered.append(answer)


class Asked:
    """A request and what its sender has received."""

    def __init__(self, deadline: float, timeout: float | None) -> None:
        self.deadline = deadline
        self.timeout = timeout
        self.ends: list[RemoteMissing] = []
        self.completion: Completion[ServerResults[Any]] | None = None
        self.values: list[Any] = []

    # RemoteAckCollector

    def acked(self, socket_id: str, data: list[Any]) -> None: ...

    def left(self, socket_id: str) -> None: ...

    def remote_started(self, cancel: Callable[[], RemoteMissing]) -> None: ...

    def remote_acked(self, value: Any) -> None:
        assert not self.ends, "an answer after the end"
        self.values.append(value)

    def remote_ended(self, missing: RemoteMissing) -> None:
        self.ends.append(missing)

    @property
    def is_done(self) -> bool:
        if self.completion is not None:
            return self.completion._future.done()
        return bool(self.ends)


class ClusterMachine(RuleBasedStateMachine):
    """Servers that join, close, die and return, and a broker that loses and repeats messages."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.cluster = InProcessCluster(automatic=False)
        self.servers: list[FakeServer] = []
        self.asked: list[Asked] = []
        self.number = 0
        self.loop = asyncio.new_event_loop()

    def pick(self, index: int) -> FakeServer:
        return self.servers[index % len(self.servers)]

    @precondition(lambda self: len(self.servers) < 5)
    @rule()
    def join(self) -> None:
        self.number += 1
        self.servers.append(FakeServer(self.number, self.clock, self.cluster.join()))

    @precondition(lambda self: len(self.servers) > 1)
    @rule(index=st.integers(0, 4))
    def close(self, index: int) -> None:
        server = self.pick(index)
        self.servers.remove(server)
        server.adapter.close()

    @precondition(lambda self: self.servers)
    @rule(index=st.integers(0, 4))
    def cut(self, index: int) -> None:
        self.pick(index).factory.disconnect()

    @precondition(lambda self: self.servers)
    @rule(index=st.integers(0, 4))
    def reconnect(self, index: int) -> None:
        self.pick(index).factory.reconnect()

    @precondition(lambda self: len(self.servers) > 1)
    @rule(index=st.integers(0, 4), other=st.integers(0, 4))
    def notice_the_end_of_a_peer(self, index: int, other: int) -> None:
        self.pick(index).adapter.on_peer_left(self.pick(other).adapter.uid)

    # -- requests

    def _ask(self, timeout: float | None) -> Asked:
        limit = REQUEST_TIMEOUT if timeout is None else timeout
        asked = Asked(self.clock.time() + limit, timeout)
        self.asked.append(asked)
        return asked

    @precondition(lambda self: self.servers)
    @rule(index=st.integers(0, 4), timeout=TIMEOUTS)
    def broadcast_with_ack(self, index: int, timeout: float | None) -> None:
        asked = self._ask(timeout)
        self.pick(index).adapter.remote_broadcast_with_ack(["q"], EVERYONE, asked)

    @precondition(lambda self: self.servers)
    @rule(index=st.integers(0, 4), timeout=TIMEOUTS, fetch=st.booleans())
    def fetch_or_server_event(self, index: int, timeout: float | None, fetch: bool) -> None:
        adapter = self.pick(index).adapter
        asked = self._ask(timeout)

        async def start() -> list[Any]:  # in a coroutine, because futures need a running loop
            if fetch:
                return [adapter.remote_sockets(EVERYONE, timeout)]
            return [adapter.server_side_emit_with_ack(["q"], timeout)]

        asked.completion = self.loop.run_until_complete(start())[0]

    # -- messages and time

    @rule(messages=st.integers(1, 20))
    def deliver(self, messages: int) -> None:
        self.cluster.deliver(messages)

    @precondition(lambda self: self.cluster.queue)
    @rule(messages=st.integers(1, 3))
    def lose(self, messages: int) -> None:
        for _ in range(min(messages, len(self.cluster.queue))):
            self.cluster.queue.popleft()

    @precondition(lambda self: self.cluster.queue)
    @rule()
    def repeat(self) -> None:
        self.cluster.queue.append(self.cluster.queue[0])

    @precondition(lambda self: self.cluster.queue)
    @rule()
    def delay(self) -> None:
        self.cluster.queue.rotate(-1)

    @precondition(lambda self: self.servers)
    @rule(
        index=st.integers(0, 4),
        kind=st.integers(0, 15),
        data=st.dictionaries(
            st.sampled_from(["requestId", "packet", "opts", "sockets", "clientCount", "rooms"]),
            st.one_of(st.none(), st.integers(-1, 10**20), st.text(max_size=3), st.just([]),
                      st.just({}), st.just({"type": 2, "data": ["x"]})),
        ),
    )  # fmt: skip
    def receive_anything(self, index: int, kind: int, data: dict[str, Any]) -> None:
        message = Message(kind, data, "f" * 16, "/")
        try:
            encode_message(message)
        except ValueError:  # an integer that no server can send
            return
        self.pick(index).adapter.on_message(message)

    @precondition(lambda self: self.servers)
    @rule(index=st.integers(0, 4))
    def answer(self, index: int) -> None:
        server = self.pick(index)
        if server.unanswered:
            server.unanswered.pop(0)("answer")
        for socket in server.sockets.values():
            socket.answer()

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 3.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # -- invariants

    @invariant()
    def requests_end_in_time(self) -> None:
        now = self.clock.time()
        for asked in self.asked:
            assert asked.is_done or now < asked.deadline
            assert len(asked.ends) <= 1
            for missing in asked.ends:
                assert min(missing) >= 0

    @invariant()
    def only_open_requests_are_kept(self) -> None:
        still_open = sum(not asked.is_done for asked in self.asked)
        assert sum(len(server.adapter._requests) for server in self.servers) == still_open

    def teardown(self) -> None:
        self.clock.advance(30.0)
        assert all(asked.is_done for asked in self.asked)
        for server in self.servers:
            assert len(server.adapter._requests) == 0
            assert not server.adapter._relays
            assert not any(socket.pending for socket in server.sockets.values())
            server.adapter.close()
        self.loop.close()


TestCluster = ClusterMachine.TestCase
TestCluster.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)

"""Workloads: each one keeps its connections and runs repeatedly for a given time.

The workloads are closed loops, so that a server is always fully loaded. `experiments` combines the
workloads with servers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

from . import wire
from .peers import Server
from .polling_client import PollingClient
from .websocket_client import (
    ServerFailedError,
    WebSocketClient,
    close_clients,
    open_client,
    open_clients,
)

WARM_UP = 0.15  # seconds before each measurement
DRAIN_SECONDS = 20.0  # limit for the replies that are outstanding at the end
BURST = 64  # events per write of a client; only the last event requests an ack
CONCURRENT_CONNECTS = 64


@dataclass(frozen=True)
class Sample:
    """The result of one measurement; `p50_ms` and `p99_ms` are latencies."""

    messages: int
    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def cost(self) -> float:
        """CPU time of the server per message, in microseconds."""
        return self.cpu_seconds / self.messages * 1e6

    @property
    def rate(self) -> float:
        """Number of messages per second."""
        return self.messages / self.seconds


class Target(Protocol):
    """A server, or several servers that count as one."""

    port: int

    def cpu_seconds(self) -> float:
        """Return the CPU time so far."""


class Workload(Protocol):
    """A kind of load on one server."""

    async def prepare(self, server: Target) -> None:
        """Open the connections to the server."""

    async def measure(self, server: Target, seconds: float) -> Sample:
        """Run the workload for `seconds` and return the sample."""

    async def finish(self) -> None:
        """Close the connections to the server."""


@dataclass
class Tally:
    """Counters of a running workload."""

    is_running: bool = False
    messages: int = 0
    latencies: list[float] = field(default_factory=list)


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


async def _wait_for_messages(tally: Tally, seconds: float) -> None:
    """Wait for `seconds`, and longer until a slow server has answered a message."""
    counted = tally.messages
    for _ in range(1 + int(DRAIN_SECONDS / seconds)):
        await asyncio.sleep(seconds)
        if tally.messages > counted:
            return


def _summarize(tally: Tally, messages: int, seconds: float, cpu: float) -> Sample:
    if messages == 0:
        raise ServerFailedError("the server answered no message")
    ordered = sorted(tally.latencies)
    p50, p99 = _percentile(ordered, 0.5), _percentile(ordered, 0.99)
    return Sample(messages, seconds, cpu, p50 * 1e3, p99 * 1e3)


class ClosedLoop:
    """Workload whose clients send the next message when a reply arrives."""

    def __init__(
        self,
        connections: int,
        *,
        deflate: bool = False,
        headers: bytes = b"",
        msgpack: bool = False,
    ) -> None:
        self._connections = connections
        self._deflate = deflate
        self._headers = headers
        self._msgpack = msgpack
        self.clients: list[WebSocketClient] = []
        self.tally = Tally()
        self.outstanding = 0  # messages without a reply

    async def prepare(self, server: Target) -> None:
        """Open the connections to the server."""
        self.clients = await self.open(server)
        await asyncio.sleep(0.05)

    async def open(self, server: Target) -> list[WebSocketClient]:
        """Return new connections to the server."""
        return await open_clients(
            server.port,
            self._connections,
            deflate=self._deflate,
            headers=self._headers,
            msgpack=self._msgpack,
        )

    async def measure(self, server: Target, seconds: float) -> Sample:
        """Run the loops for `seconds` after a warm-up, then wait for the outstanding replies."""
        tally = self.tally
        tally.is_running = True
        self.begin()
        await asyncio.sleep(WARM_UP)
        tally.latencies.clear()
        counted, cpu, began = tally.messages, server.cpu_seconds(), perf_counter()
        await _wait_for_messages(tally, seconds)
        messages, cpu = tally.messages - counted, server.cpu_seconds() - cpu
        took = perf_counter() - began
        tally.is_running = False
        sample = _summarize(tally, messages, took, cpu)
        await self._drain()
        return sample

    async def _drain(self) -> None:
        deadline = perf_counter() + DRAIN_SECONDS
        while self.outstanding:
            for client in self.clients:
                client.check()
            if perf_counter() > deadline:
                raise ServerFailedError(f"{self.outstanding} replies did not arrive")
            await asyncio.sleep(0.005)

    async def finish(self) -> None:
        """Close the connections to the server."""
        await close_clients(self.clients)
        self.clients = []

    def begin(self) -> None:
        """Send the first messages of all clients."""
        raise NotImplementedError


class EventsWithAck(ClosedLoop):
    """`echo` with `in_flight` events per connection, on all or on `busy` connections."""

    def __init__(
        self,
        connections: int = 50,
        in_flight: int = 8,
        *,
        size: int = 64,
        make_frame: Callable[[int], bytes] | None = None,
        busy: int | None = None,
        deflate: bool = False,
        headers: bytes = b"",
        msgpack: bool = False,
    ) -> None:
        super().__init__(connections, deflate=deflate, headers=headers, msgpack=msgpack)
        data = wire.payload(size)
        if msgpack:
            make_frame = lambda ack_id: wire.msgpack_event_frame("echo", data, ack_id)  # noqa: E731
        encode = wire.deflated_frame if deflate else wire.frame
        make = make_frame or (lambda ack_id: encode(wire.event("echo", data, ack_id)))
        self._in_flight = in_flight
        self._busy_connections = busy
        frames = [make(100 + index) for index in range(in_flight)]
        # _bursts[first][count]: `count` frames in a row, beginning with frame `first`.
        self._bursts = [
            [b"".join((frames * 2)[first : first + count]) for count in range(in_flight + 1)]
            for first in range(in_flight)
        ]

    async def prepare(self, server: Target) -> None:
        """Open the connections and create the loops of the busy clients."""
        await super().prepare(server)
        self._starts = [
            self._make_loop(client) for client in self.clients[: self._busy_connections]
        ]

    def begin(self) -> None:
        """Send the first messages of the busy clients."""
        for start in self._starts:
            start()

    def _make_loop(self, client: WebSocketClient) -> Callable[[], None]:
        tally, in_flight, bursts = self.tally, self._in_flight, self._bursts
        write = client.tcp.write
        sent_at: deque[float] = deque()
        position = 0

        def start() -> None:
            send(in_flight, perf_counter())
            self.outstanding += in_flight

        def send(count: int, now: float) -> None:
            nonlocal position
            write(bursts[position][count])
            position = (position + count) % in_flight
            for _ in range(count):
                sent_at.append(now)

        def on_replies(count: int, now: float) -> None:
            tally.messages += count
            for _ in range(count):
                tally.latencies.append(now - sent_at.popleft())
            if tally.is_running:
                send(count, now)
            else:
                self.outstanding -= count

        client.on_replies = on_replies
        return start


class EventsWithoutAck(ClosedLoop):
    """`msg` in bursts; each burst ends with an `echo`, and its ack triggers the next burst."""

    def __init__(self, connections: int = 50, size: int = 64) -> None:
        super().__init__(connections)
        data = wire.payload(size)
        message, last = wire.event("msg", data), wire.event("echo", data, 100)
        self._burst = wire.frame(message) * (BURST - 1) + wire.frame(last)

    def begin(self) -> None:
        """Send the first burst of each client."""
        for client in self.clients:
            self._make_loop(client)()
            self.outstanding += 1

    def _make_loop(self, client: WebSocketClient) -> Callable[[], None]:
        tally, burst, write = self.tally, self._burst, client.tcp.write
        sent_at = 0.0

        def send() -> None:
            nonlocal sent_at
            sent_at = perf_counter()
            write(burst)

        def on_replies(count: int, now: float) -> None:
            tally.messages += BURST
            tally.latencies.append(now - sent_at)
            if tally.is_running:
                send()
            else:
                self.outstanding -= 1

        client.on_replies = on_replies
        return send


class Broadcasts(ClosedLoop):
    """`bcast` to all members; the next broadcast follows when all deliveries and the ack arrived.

    A message is one delivery. Its latency begins when the client sends `bcast`. A measurement
    contains whole broadcasts only, at least two.
    """

    def __init__(
        self, members: int, size: int = 64, *, event: bytes | None = None, headers: bytes = b""
    ) -> None:
        super().__init__(members, headers=headers)
        self._frame = wire.frame(event or wire.event("bcast", wire.payload(size), 100))
        self._sent_at = 0.0
        self._missing = 0
        self._turn = 0
        self._done: asyncio.Future[None] | None = None

    async def prepare(self, server: Target) -> None:
        """Open the connections to the server."""
        await super().prepare(server)
        for client in self.clients:
            client.on_replies = self._on_replies

    async def measure(self, server: Target, seconds: float) -> Sample:
        """Broadcast for `seconds` after a warm-up."""
        await self._broadcast_for(WARM_UP, min_broadcasts=1)
        tally = self.tally
        tally.latencies.clear()
        counted, cpu, began = tally.messages, server.cpu_seconds(), perf_counter()
        await self._broadcast_for(seconds, min_broadcasts=2)
        messages, cpu = tally.messages - counted, server.cpu_seconds() - cpu
        return _summarize(tally, messages, perf_counter() - began, cpu)

    async def _broadcast_for(self, seconds: float, min_broadcasts: int) -> None:
        end = perf_counter() + seconds
        sent = 0
        while sent < min_broadcasts or perf_counter() < end:
            sent += 1
            self._missing = len(self.clients) + 1
            self._done = asyncio.get_running_loop().create_future()
            self._sent_at = perf_counter()
            self.send()
            try:
                async with asyncio.timeout(DRAIN_SECONDS):
                    await self._done
            except TimeoutError:
                raise ServerFailedError(f"{self._missing} deliveries did not arrive") from None

    def send(self) -> None:
        """Request the next broadcast; the ack is a message too."""
        self._turn = (self._turn + 1) % len(self.clients)
        self.clients[self._turn].tcp.write(self._frame)

    def _on_replies(self, count: int, now: float) -> None:
        tally = self.tally
        tally.messages += count
        tally.latencies.append(now - self._sent_at)
        self._missing -= count
        if self._missing == 0 and self._done is not None and not self._done.done():
            self._done.set_result(None)


class PollingRounds:
    """Rounds of a POST with an `echo` and the poll that returns its ack; a round is one message."""

    def __init__(self, clients: int = 50, size: int = 64, headers: bytes = wire.PLAIN_HEADERS):
        self._count = clients
        self._body = wire.event("echo", wire.payload(size), 100)
        self._headers = headers
        self._clients: list[PollingClient] = []
        self._polls: list[asyncio.Future[bytes]] = []

    async def prepare(self, server: Target) -> None:
        """Open the connections; each client has a pending poll from then on."""
        self._clients = [PollingClient(server.port, self._headers) for _ in range(self._count)]
        await asyncio.gather(*(client.open() for client in self._clients))
        self._polls = [client.poll() for client in self._clients]

    async def measure(self, server: Target, seconds: float) -> Sample:
        """Run rounds on all clients for `seconds` after a warm-up."""
        tally = Tally(is_running=True)
        rounds = asyncio.gather(*(self._go_round(index, tally) for index in range(self._count)))
        await asyncio.sleep(WARM_UP)
        tally.latencies.clear()
        counted, cpu, began = tally.messages, server.cpu_seconds(), perf_counter()
        await _wait_for_messages(tally, seconds)
        messages, cpu = tally.messages - counted, server.cpu_seconds() - cpu
        took = perf_counter() - began
        tally.is_running = False
        async with asyncio.timeout(DRAIN_SECONDS):
            await rounds  # raises the error of a failed round
        return _summarize(tally, messages, took, cpu)

    async def _go_round(self, index: int, tally: Tally) -> None:
        client = self._clients[index]
        request = client.make_post(self._body)
        while tally.is_running:
            began = perf_counter()
            posted = client.posts.request(request)
            packets: list[bytes] = []
            while not any(packet.startswith(b"43") for packet in packets):
                packets += await self._receive_packets(index)
            await posted
            if b"2" in packets:
                await client.post(b"3")  # after the other POST, because clients post one at a time
            tally.messages += 1
            tally.latencies.append(perf_counter() - began)

    async def _receive_packets(self, index: int) -> list[bytes]:
        """Return the packets of the pending poll, and start the next poll."""
        body = await self._polls[index]
        self._polls[index] = self._clients[index].poll()
        return body.split(b"\x1e")

    async def finish(self) -> None:
        """Abort all connections and polls."""
        for poll in self._polls:
            poll.cancel()
        for client in self._clients:
            client.close()
        await asyncio.sleep(0.05)


class Connects:
    """Connects: a message is one connection that joins the namespace and closes cleanly."""

    def __init__(self, *, by_polling: bool = False, max_connects: int = 2000) -> None:
        self._by_polling = by_polling
        self._max_connects = max_connects

    async def prepare(self, server: Target) -> None:
        """Warm up the server with 64 connections."""
        await self._connect_many(server, 64, Tally())

    async def measure(self, server: Target, seconds: float) -> Sample:
        """Connect for `seconds`, but not more than about `max_connects` times."""
        tally = Tally()
        cpu, began = server.cpu_seconds(), perf_counter()
        while perf_counter() - began < seconds and tally.messages < self._max_connects:
            await self._connect_many(server, 3 * CONCURRENT_CONNECTS, tally)
        took = perf_counter() - began
        await asyncio.sleep(0.05)  # the server may still process the last disconnects
        return _summarize(tally, tally.messages, took, server.cpu_seconds() - cpu)

    async def _connect_many(self, server: Target, count: int, tally: Tally) -> None:
        connect = self._connect_by_polling if self._by_polling else self._connect
        remaining = iter(range(count))

        async def connect_repeatedly() -> None:
            for _ in remaining:
                began = perf_counter()
                client = await connect(server)
                tally.latencies.append(perf_counter() - began)
                tally.messages += 1
                await close_clients([client])

        await asyncio.gather(
            *(connect_repeatedly() for _ in range(min(CONCURRENT_CONNECTS, count)))
        )

    @staticmethod
    async def _connect(server: Target) -> WebSocketClient:
        return await open_client(server.port)

    @staticmethod
    async def _connect_by_polling(server: Target) -> WebSocketClient:
        client = PollingClient(server.port)
        await client.open()
        socket = await client.upgrade()
        client.close()
        return socket

    async def finish(self) -> None:
        """Do nothing, because no connection stays open."""


class Heartbeats(ClosedLoop):
    """Idle connections: a message is one ping of the server and the pong of its client."""

    def __init__(self, connections: int, interval: float) -> None:
        super().__init__(connections)
        self._interval = interval

    async def measure(self, server: Target, seconds: float) -> Sample:
        """Wait for whole intervals, at least two."""
        intervals = max(2, round(seconds / self._interval))
        counted, cpu, began = self._count_pings(), server.cpu_seconds(), perf_counter()
        await asyncio.sleep(intervals * self._interval)
        messages, cpu = self._count_pings() - counted, server.cpu_seconds() - cpu
        for client in self.clients:
            client.check()
        return _summarize(self.tally, messages, perf_counter() - began, cpu)

    def _count_pings(self) -> int:
        return sum(client.pings for client in self.clients)


async def measure_memory(server: Server, connections: int) -> float:
    """Return the memory that an idle connection uses on a newly started server, in bytes.

    The first 100 connections are not counted, because the server loads some code lazily with them.
    """
    first = await open_clients(server.port, 100)
    before = server.memory_bytes()
    clients = await open_clients(server.port, connections)
    grown = server.memory_bytes() - before
    for client in (*first, *clients):
        client.check()
        client.tcp.abort()
    return grown / connections

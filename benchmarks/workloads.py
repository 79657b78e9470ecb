"""What is measured: each work keeps its connections and is run for a time, again and again.

Knows: closed loops, so that a server has as much to do as it can do.
Does not know: which server it is, what is compared.
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
    ServerFailed,
    WebSocketClient,
    close_clients,
    open_client,
    open_clients,
)

WARM_UP = 0.15  # seconds before each measurement
DRAIN_SECONDS = 20.0  # for what is under way at its end
BURST = 64  # events that a client sends in one go, the last with an ack
AT_ONCE = 64  # clients that connect at a time


@dataclass(frozen=True)
class Sample:
    """One measurement."""

    messages: int
    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def cost(self) -> float:
        """Processor time of the server per message, in microseconds."""
        return self.cpu_seconds / self.messages * 1e6

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds


class Work(Protocol):
    """One kind of work, against one server."""

    async def prepare(self, server: Server) -> None:
        """Connect."""

    async def measure(self, server: Server, seconds: float) -> Sample:
        """Let the server work for that long."""

    async def finish(self) -> None:
        """Leave."""


@dataclass
class Tally:
    """What is counted while a work runs."""

    is_running: bool = False
    messages: int = 0
    latencies: list[float] = field(default_factory=list)


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def _summarise(tally: Tally, messages: int, seconds: float, cpu: float) -> Sample:
    if messages == 0:
        raise ServerFailed("nothing was answered")
    ordered = sorted(tally.latencies)
    p50, p99 = _percentile(ordered, 0.5), _percentile(ordered, 0.99)
    return Sample(messages, seconds, cpu, p50 * 1e3, p99 * 1e3)


class ClosedLoop:
    """A work whose clients send the next message when one is answered."""

    def __init__(self, connections: int, *, deflate: bool = False) -> None:
        self._connections = connections
        self._deflate = deflate
        self.clients: list[WebSocketClient] = []
        self.tally = Tally()
        self.busy = 0  # messages under way

    async def prepare(self, server: Server) -> None:
        """Connect."""
        self.clients = await open_clients(server.port, self._connections, deflate=self._deflate)
        await asyncio.sleep(0.05)

    async def measure(self, server: Server, seconds: float) -> Sample:
        """Let it run for that long, and wait for what is under way."""
        tally = self.tally
        tally.is_running = True
        self.begin()
        await asyncio.sleep(WARM_UP)
        tally.latencies.clear()
        counted, cpu, began = tally.messages, server.cpu_seconds(), perf_counter()
        await asyncio.sleep(seconds)
        messages, cpu = tally.messages - counted, server.cpu_seconds() - cpu
        took = perf_counter() - began
        tally.is_running = False
        sample = _summarise(tally, messages, took, cpu)
        await self._drain()
        return sample

    async def _drain(self) -> None:
        deadline = perf_counter() + DRAIN_SECONDS
        while self.busy:
            for client in self.clients:
                client.check()
            if perf_counter() > deadline:
                raise ServerFailed(f"{self.busy} answers did not come")
            await asyncio.sleep(0.005)

    async def finish(self) -> None:
        """Leave."""
        await close_clients(self.clients)
        self.clients = []

    def begin(self) -> None:
        """Send the first messages."""
        raise NotImplementedError


class EventsWithAck(ClosedLoop):
    """`echo`, a number of them in flight on each of some connections (`busy` of them, if given)."""

    def __init__(
        self,
        connections: int = 50,
        in_flight: int = 8,
        *,
        size: int = 64,
        make_frame: Callable[[int], bytes] | None = None,
        busy: int | None = None,
        deflate: bool = False,
    ) -> None:
        super().__init__(connections, deflate=deflate)
        data = wire.payload(size)
        encode = wire.deflated_frame if deflate else wire.frame
        make = make_frame or (lambda ack_id: encode(wire.event("echo", data, ack_id)))
        self._in_flight = in_flight
        self._busy_connections = busy
        frames = [make(100 + index) for index in range(in_flight)]
        # The next `count` frames, from each of them on.
        self._bursts = [
            [b"".join((frames * 2)[first : first + count]) for count in range(in_flight + 1)]
            for first in range(in_flight)
        ]

    async def prepare(self, server: Server) -> None:
        """Connect, and make the loop of each client that is to be busy."""
        await super().prepare(server)
        self._starts = [
            self._make_loop(client) for client in self.clients[: self._busy_connections]
        ]

    def begin(self) -> None:
        """Send the first messages."""
        for start in self._starts:
            start()

    def _make_loop(self, client: WebSocketClient) -> Callable[[], None]:
        tally, in_flight, bursts = self.tally, self._in_flight, self._bursts
        write = client.tcp.write
        sent_at: deque[float] = deque()
        position = 0

        def start() -> None:
            send(in_flight, perf_counter())
            self.busy += in_flight

        def send(count: int, now: float) -> None:
            nonlocal position
            write(bursts[position][count])
            position = (position + count) % in_flight
            for _ in range(count):
                sent_at.append(now)

        def answered(count: int, now: float) -> None:
            tally.messages += count
            for _ in range(count):
                tally.latencies.append(now - sent_at.popleft())
            if tally.is_running:
                send(count, now)
            else:
                self.busy -= count

        client.on_answers = answered
        return start


class EventsWithoutAck(ClosedLoop):
    """`msg` in bursts; the last of a burst is an `echo`, whose ack lets the next one go."""

    def __init__(self, connections: int = 50, size: int = 64) -> None:
        super().__init__(connections)
        data = wire.payload(size)
        message, last = wire.event("msg", data), wire.event("echo", data, 100)
        self._burst = wire.frame(message) * (BURST - 1) + wire.frame(last)

    def begin(self) -> None:
        """Send the first bursts."""
        for client in self.clients:
            self._make_loop(client)()
            self.busy += 1

    def _make_loop(self, client: WebSocketClient) -> Callable[[], None]:
        tally, burst, write = self.tally, self._burst, client.tcp.write
        sent_at = 0.0

        def send() -> None:
            nonlocal sent_at
            sent_at = perf_counter()
            write(burst)

        def answered(count: int, now: float) -> None:
            tally.messages += BURST
            tally.latencies.append(now - sent_at)
            if tally.is_running:
                send()
            else:
                self.busy -= 1

        client.on_answers = answered
        return send


class Broadcasts(ClosedLoop):
    """`bcast` to all members; the next one goes when all have it, and its ack has come.

    A message is a delivery; its latency is counted from the sending of `bcast`. Whole broadcasts
    are measured, two at least.
    """

    def __init__(self, members: int, size: int = 64) -> None:
        super().__init__(members)
        self._frame = wire.frame(wire.event("bcast", wire.payload(size), 100))
        self._sent_at = 0.0
        self._missing = 0
        self._turn = 0
        self._done: asyncio.Future[None] | None = None

    async def prepare(self, server: Server) -> None:
        """Connect."""
        await super().prepare(server)
        for client in self.clients:
            client.on_answers = self._answered

    async def measure(self, server: Server, seconds: float) -> Sample:
        """Broadcast for that long."""
        await self._broadcast_for(WARM_UP, least=1)
        tally = self.tally
        tally.latencies.clear()
        counted, cpu, began = tally.messages, server.cpu_seconds(), perf_counter()
        await self._broadcast_for(seconds, least=2)
        messages, cpu = tally.messages - counted, server.cpu_seconds() - cpu
        return _summarise(tally, messages, perf_counter() - began, cpu)

    async def _broadcast_for(self, seconds: float, least: int) -> None:
        end = perf_counter() + seconds
        sent = 0
        while sent < least or perf_counter() < end:
            sent += 1
            self._missing = len(self.clients) + 1
            self._done = asyncio.get_running_loop().create_future()
            self._turn = (self._turn + 1) % len(self.clients)
            self._sent_at = perf_counter()
            self.clients[self._turn].tcp.write(self._frame)
            try:
                async with asyncio.timeout(DRAIN_SECONDS):
                    await self._done
            except TimeoutError:
                raise ServerFailed(f"{self._missing} deliveries did not come") from None

    def _answered(self, count: int, now: float) -> None:
        tally = self.tally
        tally.messages += count
        tally.latencies.append(now - self._sent_at)
        self._missing -= count
        if self._missing == 0 and self._done is not None and not self._done.done():
            self._done.set_result(None)


class PollingRounds:
    """A POST with an `echo`, and the poll that brings its ack: one message is one such round."""

    def __init__(self, clients: int = 50, size: int = 64, headers: bytes = wire.PLAIN_HEADERS):
        self._count = clients
        self._body = wire.event("echo", wire.payload(size), 100)
        self._headers = headers
        self._clients: list[PollingClient] = []
        self._polls: list[asyncio.Future[bytes]] = []

    async def prepare(self, server: Server) -> None:
        """Connect; each client holds a poll from here on."""
        self._clients = [PollingClient(server.port, self._headers) for _ in range(self._count)]
        await asyncio.gather(*(client.open() for client in self._clients))
        self._polls = [client.poll() for client in self._clients]

    async def measure(self, server: Server, seconds: float) -> Sample:
        """Let all clients make rounds for that long."""
        tally = Tally(is_running=True)
        rounds = asyncio.gather(*(self._go_round(index, tally) for index in range(self._count)))
        await asyncio.sleep(WARM_UP)
        tally.latencies.clear()
        counted, cpu, began = tally.messages, server.cpu_seconds(), perf_counter()
        await asyncio.sleep(seconds)
        messages, cpu = tally.messages - counted, server.cpu_seconds() - cpu
        took = perf_counter() - began
        tally.is_running = False
        async with asyncio.timeout(DRAIN_SECONDS):
            await rounds  # raises what went wrong in one of them
        return _summarise(tally, messages, took, cpu)

    async def _go_round(self, index: int, tally: Tally) -> None:
        client = self._clients[index]
        request = client.make_post(self._body)
        while tally.is_running:
            began = perf_counter()
            posted = client.posts.request(request)
            heard: list[bytes] = []
            while not any(packet.startswith(b"43") for packet in heard):
                heard += await self._hear(index)
            await posted
            if b"2" in heard:
                await client.post(b"3")  # not before: one POST at a time
            tally.messages += 1
            tally.latencies.append(perf_counter() - began)

    async def _hear(self, index: int) -> list[bytes]:
        """Await what the poll brings, and begin the next."""
        body = await self._polls[index]
        self._polls[index] = self._clients[index].poll()
        return body.split(b"\x1e")

    async def finish(self) -> None:
        """Cut all connections."""
        for poll in self._polls:
            poll.cancel()
        for client in self._clients:
            client.close()
        await asyncio.sleep(0.05)


class Connects:
    """Connect, join the namespace, leave in good order: one message is all of that."""

    def __init__(self, *, by_polling: bool = False, most: int = 2000) -> None:
        self._by_polling = by_polling
        self._most = most

    async def prepare(self, server: Server) -> None:
        """Warm the server up."""
        await self._connect_many(server, 64, Tally())

    async def measure(self, server: Server, seconds: float) -> Sample:
        """Connect for that long, `most` times at the most."""
        tally = Tally()
        cpu, began = server.cpu_seconds(), perf_counter()
        while perf_counter() - began < seconds and tally.messages < self._most:
            await self._connect_many(server, 3 * AT_ONCE, tally)
        took = perf_counter() - began
        await asyncio.sleep(0.05)  # the last to leave are being dealt with
        return _summarise(tally, tally.messages, took, server.cpu_seconds() - cpu)

    async def _connect_many(self, server: Server, count: int, tally: Tally) -> None:
        connect = self._connect_by_polling if self._by_polling else self._connect
        left = iter(range(count))

        async def go_on() -> None:
            for _ in left:
                began = perf_counter()
                client = await connect(server)
                tally.latencies.append(perf_counter() - began)
                tally.messages += 1
                await close_clients([client])

        await asyncio.gather(*(go_on() for _ in range(min(AT_ONCE, count))))

    @staticmethod
    async def _connect(server: Server) -> WebSocketClient:
        return await open_client(server.port)

    @staticmethod
    async def _connect_by_polling(server: Server) -> WebSocketClient:
        client = PollingClient(server.port)
        await client.open()
        socket = await client.upgrade()
        client.close()
        return socket

    async def finish(self) -> None:
        """Nothing is left."""


async def measure_memory(server: Server, connections: int) -> float:
    """Return what an idle connection holds of the memory of a server just started, in bytes.

    The first 100 are not counted: with them comes what is loaded once.
    """
    first = await open_clients(server.port, 100)
    before = server.memory_bytes()
    clients = await open_clients(server.port, connections)
    grown = server.memory_bytes() - before
    for client in (*first, *clients):
        client.check()
        client.tcp.abort()
    return grown / connections

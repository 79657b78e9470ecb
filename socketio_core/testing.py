"""A test server on a virtual clock, and test clients without network connections.

    async with TestServer(io) as server:
        alice = await server.connect("/board", auth={"token": "t"})
        answer = await alice.emit_with_ack("task:move", {"project": 7})
        await server.advance(45)                      # runs heartbeats and deadlines

Every packet passes through the codec of the server in both directions. TCP, HTTP and WebSocket
frames are not involved.
"""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import Callable, Iterator
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from engineio_core.codec.encoded_packet import PING_PACKET, EncodedPacket
from engineio_core.codec.packet import MESSAGE_PREFIX
from engineio_core.errors import CloseReason
from engineio_core.http.message import HttpRequest
from engineio_core.iteration import Iteration
from engineio_core.session import Session, SessionContext
from socketio_core.codec.json_codec import Packet, PacketType
from socketio_core.codec.packet import Decoded, Decoder
from socketio_core.codec.revision_4 import socket_id
from socketio_core.errors import AckTimeoutError, ConnectError, DisconnectedError

if TYPE_CHECKING:
    from socketio_core.server import SocketServer

# The first bytes of event packets of the default parser
EVENTS: Final = (MESSAGE_PREFIX + b"2", MESSAGE_PREFIX + b"5")
PATIENCE: Final = 60.0  # seconds of real time that a test waits for an answer


class VirtualClock:
    """A clock that moves only in `advance`, which runs the due timers in order."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._order = count()
        self._timers: list[tuple[float, int, _Timer]] = []

    def time(self) -> float:
        """Return the current time in seconds."""
        return self._now

    def call_soon(self, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        """Schedule a callback for the next iteration of the event loop."""
        return asyncio.get_running_loop().call_soon(callback, *args)

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> _Timer:
        """Schedule a callback `delay` seconds from now."""
        return self.call_at(self._now + delay, callback, *args)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> _Timer:
        """Schedule a callback for the time `when`."""
        timer = _Timer(when, callback, args)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    async def advance(self, seconds: float) -> None:
        """Advance the clock, and run the timers that are due meanwhile."""
        end = self._now + seconds
        await settle()
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            timer.fire()
            await settle()
        self._now = end


class _Timer:
    """A scheduled callback that can be canceled."""

    __slots__ = ("_args", "_callback", "_when")

    def __init__(self, when: float, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._when = when
        self._callback: Callable[..., object] | None = callback
        self._args = args

    def when(self) -> float:
        """Return the time at which the timer is due."""
        return self._when

    def cancel(self) -> None:
        """Cancel the timer; later calls have no effect."""
        self._callback = None

    def fire(self) -> None:
        """Run the callback unless the timer was canceled."""
        if self._callback is not None:
            self._callback(*self._args)


async def settle() -> None:
    """Run 20 iterations of the event loop, which is enough for tasks that do not sleep."""
    for _ in range(20):
        await asyncio.sleep(0)


class TestServer:
    """A `SocketServer` on a virtual clock; the context manager shuts it down."""

    __test__ = False  # pytest must not collect the class

    def __init__(self, io: SocketServer, *, clock: VirtualClock | None = None) -> None:
        """Serve on a clock of its own, or on one that several servers share."""
        if isinstance(io, type) or not hasattr(io, "use_clock"):
            raise TypeError(
                f"TestServer must receive a SocketServer, got {io!r}: write TestServer(io)"
            )
        self.io = io
        self.clock = clock or VirtualClock()
        io.use_clock(self.clock)

    async def __aenter__(self) -> TestServer:
        await self.io.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        closing = asyncio.ensure_future(self.io.shutdown())
        while not closing.done():
            await self.advance(1)  # the grace period of pending handlers
        await closing
        await settle()

    async def advance(self, seconds: float) -> None:
        """Advance the clock of the server by a number of seconds."""
        await self.clock.advance(seconds)

    async def connect(
        self,
        namespace: str = "/",
        *,
        auth: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        query: str = "",
        eio3: bool = False,
        on_connection: TestConnection | None = None,
        recovering: TestClient | None = None,
    ) -> TestClient:
        """Connect a client to a namespace. Raises ConnectError if the server refuses it.

        With `on_connection`, the client uses the connection of another client; with
        `recovering`, it resumes the session of a client whose connection was cut. With `eio3`, it
        is a client of socket.io-client 1 or 2, which sends `auth` as the query of a namespace.
        """
        if not namespace.startswith("/"):
            raise ValueError(f'the namespace must start with "/", got {namespace!r}')
        if auth is not None and not isinstance(auth, dict):
            raise TypeError(f"auth must be a dict, got {auth!r}: write auth={{'token': ...}}")
        connection = on_connection or self.open_connection(headers=headers, query=query, eio3=eio3)
        if recovering is not None:
            namespace = recovering.namespace
            auth = {**recovering._recovery_auth(), **(auth or {})}
        client = TestClient(connection, namespace)
        if recovering is not None:
            client.pid, client.last_offset = recovering.pid, recovering.last_offset
        connection.clients[namespace] = client
        await client.join(auth)
        return client

    def open_connection(
        self, *, headers: dict[str, str] | None = None, query: str = "", eio3: bool = False
    ) -> TestConnection:
        """Open a session without joining a namespace; with `eio3`, the server joins it to "/"."""
        if not isinstance(query, str):
            raise TypeError(f"query must be a string, got {query!r}: use urllib.parse.urlencode")
        if eio3 and not self.io.engine.options.allow_eio3:
            raise ValueError("eio3=True needs a server with allow_eio3=True")
        path = self.io.engine.options.path.rstrip("/")
        target = f"{path}/?EIO={3 if eio3 else 4}&transport=websocket{'&' + query if query else ''}"
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        request = HttpRequest("GET", target, lowered, remote_address="127.0.0.1")
        return TestConnection(self.io, request)


class _TestTransport:
    """The transport of a session, which passes packets to the client side."""

    name = "websocket"

    def __init__(self, connection: TestConnection, decoder: Decoder, iteration: Iteration) -> None:
        self.writable = True
        self._iteration = iteration
        self._sent_in = -1
        self._connection = connection
        self._decoder = decoder

    def send(self, packet: EncodedPacket) -> None:
        """Receive a packet in place of the client."""
        # Not for replies: the test continues in the iteration in which a reply arrives.
        if packet.payload.startswith(EVENTS):
            self._sent_in = self._iteration.number
            if not self._iteration.is_noted:
                self._iteration.note()
        if packet.is_binary:
            self._connection._receive(self._decoder.receive_binary(packet.payload))
            return
        if packet.payload == PING_PACKET.payload:
            if self._connection.answers_pings:
                asyncio.get_running_loop().call_soon(self._connection.session._receive_text, b"3")
        elif packet.payload.startswith(MESSAGE_PREFIX):
            self._connection._receive(self._decoder.receive_text(packet.payload))

    def send_bare(self, packet: bytes) -> None:
        """Receive a text packet in place of the client."""
        self.send(EncodedPacket(packet))

    def wake(self) -> None:
        """Do nothing: `resume` fetches queued packets."""

    def is_idle(self) -> bool:
        """Return whether the connection takes packets."""
        return self.writable

    def has_just_sent(self) -> bool:
        """Return whether an event was sent in this iteration of the event loop."""
        return self._sent_in == self._iteration.number

    def buffered_amount(self) -> int:
        """Return 0: this transport has no buffer."""
        return 0

    def partial_amount(self) -> int:
        """Return 0: messages arrive whole."""
        return 0

    def close(self) -> bool:
        """End the connection; return True, because no packets are left to fetch."""
        self._connection._end()
        return True

    def discard(self) -> None:
        """End the connection immediately."""
        self._connection._end()

    def pause_reading(self) -> None:
        """Do nothing: the test controls what it sends."""

    def resume_reading(self) -> None:
        """Do nothing: the test controls what it sends."""


class TestConnection:
    """The client side of one session. It answers pings while `answers_pings` is true."""

    __test__ = False

    def __init__(self, io: SocketServer, request: HttpRequest) -> None:
        self.clients: dict[str, TestClient] = {}
        self.answers_pings = True
        self.is_closed = False
        self._parser = io.options.parser
        self._is_old = request.query.get("EIO") != "4"
        # The answer to the CONNECT to "/" that an old client does not send
        self._early: list[Packet] = []
        self.session: Session = io.engine._open_session(
            request, self._make_transport, protocol=3 if self._is_old else 4
        )

    def _make_transport(self, context: SessionContext) -> _TestTransport:
        self._transport = _TestTransport(self, self._parser.decoder(), context.iteration)
        return self._transport

    def _receive(self, packet: Decoded | None) -> None:
        if packet is None:
            return
        if packet[1] in self.clients:
            self.clients[packet[1]]._receive(Packet(*packet))
        elif self._is_old and packet[1] == "/":
            self._early.append(Packet(*packet))

    def _join(self, namespace: str, auth: dict[str, Any] | None) -> None:
        """Send a CONNECT; to "/" a client of an old revision sends none."""
        if not self._is_old:
            self.send_packet(Packet(PacketType.CONNECT, namespace, auth))
        elif namespace != "/":
            name = f"{namespace}?{urlencode(auth)}" if auth else namespace
            if self._parser.name == "msgpack":
                self.send_text(json.dumps({"type": 0, "nsp": name}))
            else:
                self.send_text(f"0{name},")
        elif auth:
            raise ValueError('a client with eio3=True sends no auth to "/": use query=')
        early, self._early = self._early, []
        for packet in early:
            self._receive(packet)

    def _end(self) -> None:
        self.is_closed = True
        for client in self.clients.values():
            client._lost()

    # -- called by tests

    def send_text(self, text: str) -> None:
        """Send a message unchanged, valid or not."""
        self.session._receive_text(MESSAGE_PREFIX + text.encode())

    def send_packet(self, packet: Packet) -> None:
        """Send a packet in the encoding of the server's parser."""
        for encoded in self._parser.encode(packet):
            if encoded.is_binary:
                self.session._receive_binary(encoded.payload)
            else:
                self.session._receive_text(encoded.payload)

    def pause(self) -> None:
        """Stop receiving: packets wait in the outbox of the server."""
        self._transport.writable = False

    def resume(self) -> None:
        """Receive packets again, starting with the waiting packets."""
        self._transport.writable = True
        self.session._transport_writable()

    def cut(self) -> None:
        """Lose the connection, as if TCP had ended."""
        self.session._transport_closed(CloseReason.TRANSPORT_CLOSE, "the test cut the connection")
        self._end()


class TestClient:
    """One client in one namespace.

    `received` contains the events that `receive_event` has not returned, as `(name, args)`.
    `auto_ack`, if set, answers events that request an ack: `(name, args) -> value`.
    """

    __test__ = False

    def __init__(self, connection: TestConnection, namespace: str) -> None:
        self.connection = connection
        self.namespace = namespace
        self.id = ""
        self.pid: str | None = None
        self.last_offset: str | None = None
        self.connected = False
        self.received: list[tuple[str, list[Any]]] = []
        self.auto_ack: Callable[[str, list[Any]], Any] | None = None
        self.unanswered: list[tuple[str, list[Any], int]] = []
        self._ack_ids = count()
        self._acks: dict[int, asyncio.Future[list[Any]]] = {}
        self._changed = asyncio.Event()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def join(self, auth: dict[str, Any] | None) -> None:
        """Send CONNECT and wait for the answer. Raises ConnectError or DisconnectedError."""
        if self.connection.is_closed:
            raise DisconnectedError
        self.connection._join(self.namespace, auth)
        async with asyncio.timeout(PATIENCE):
            await self._ready

    # -- incoming packets: called by the connection

    def _receive(self, packet: Packet) -> None:
        """Process a packet from the server."""
        kind, _, data, ack_id = packet
        if kind is PacketType.CONNECT:
            if self.connection._is_old:
                self.id = socket_id(self.namespace, self.connection.session.sid)
            else:
                self.id, self.pid = data["sid"], data.get("pid")
            self.connected = True
            self._settle(None)
        elif kind is PacketType.CONNECT_ERROR:
            self._settle(_read_refusal(data))
        elif kind is PacketType.DISCONNECT:
            self._lost()
        elif kind is PacketType.ACK:
            waiting = self._acks.pop(ack_id or 0, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(data)
        else:
            self._receive_event(data[0], data[1:], ack_id)
        self._changed.set()

    def _receive_event(self, name: str, args: list[Any], ack_id: int | None) -> None:
        last = args[-1] if args else name
        if ack_id is None and self.pid is not None and isinstance(last, str):
            # Like the official client: with recovery, any string at the end is the offset.
            self.last_offset = last
        self.received.append((name, args))
        if ack_id is None:
            return
        if self.auto_ack is None:
            self.unanswered.append((name, args, ack_id))
        else:
            # Later: a real client does not answer while the server still sends.
            answer = self.auto_ack(name, args)
            asyncio.get_running_loop().call_soon(self.answer, ack_id, answer)

    def _lost(self) -> None:
        """End the client: the server or the connection is gone."""
        self.connected = False
        self._settle(DisconnectedError())
        for waiting in self._acks.values():
            if not waiting.done():
                waiting.set_exception(DisconnectedError())
        self._acks.clear()
        self._changed.set()

    def _settle(self, error: Exception | None) -> None:
        if self._ready.done():
            return
        if error is None:
            self._ready.set_result(None)
        else:
            self._ready.set_exception(error)

    # -- called by tests

    def emit(self, event: str, *args: Any) -> None:
        """Send an event without requesting an ack."""
        self.connection.send_packet(Packet(PacketType.EVENT, self.namespace, [event, *args]))

    async def emit_with_ack(self, event: str, *args: Any) -> Any:
        """Send an event and return the first argument of its ack.

        Raises AckTimeoutError, or DisconnectedError if the client leaves first.
        """
        if not self.connected:
            raise DisconnectedError
        ack_id = next(self._ack_ids)
        waiting = self._acks[ack_id] = asyncio.get_running_loop().create_future()
        data = [event, *args]
        self.connection.send_packet(Packet(PacketType.EVENT, self.namespace, data, ack_id))
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await waiting
        except TimeoutError:
            raise AckTimeoutError(f"no ack for {event!r}") from None
        return answer[0] if answer else None

    def answer(self, ack_id: int, *args: Any) -> None:
        """Answer an event that requested an ack."""
        self.connection.send_packet(Packet(PacketType.ACK, self.namespace, list(args), ack_id))

    async def receive_event(self, name: str) -> list[Any]:
        """Return the arguments of the next event of a name; events of other names remain.

        Raises TimeoutError, which lists the events that arrived instead.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    for index, (each, args) in enumerate(self.received):
                        if each == name:
                            del self.received[index]
                            return args
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            others = ", ".join(repr(each) for each, _ in self.received) or "none"
            raise TimeoutError(
                f"event {name!r} did not arrive within {PATIENCE:g} s; other events: {others}"
            ) from None

    def events(self, name: str) -> Iterator[list[Any]]:
        """Return the arguments of all events of a name that arrived so far."""
        return (args for each, args in self.received if each == name)

    def _recovery_auth(self) -> dict[str, Any]:
        """Return the recovery data that a returning client adds to its auth."""
        offset = {} if self.last_offset is None else {"offset": self.last_offset}
        return {"pid": self.pid, **offset}

    def disconnect(self) -> None:
        """Leave the namespace, as the client does with `socket.disconnect()`."""
        self.connection.send_packet(Packet(PacketType.DISCONNECT, self.namespace))
        self._lost()


def _read_refusal(data: Any) -> ConnectError:
    """Return the error of a refused CONNECT; an old revision has its data or its message only."""
    if isinstance(data, dict) and isinstance(data.get("message"), str):
        return ConnectError(data["message"], data.get("data"))
    return ConnectError(data) if isinstance(data, str) else ConnectError("refused", data)

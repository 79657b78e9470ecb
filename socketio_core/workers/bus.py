"""The connections between the workers of a server, and the cluster messages that they carry.

Each worker connects to every other worker and sends over its own connections only: the end of an
incoming connection is the end of that worker, after its last message.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, final

import msgspec

from socketio_core.adapters.cluster.message import (
    Message,
    MessageError,
    decode_message,
    encode_message,
)
from socketio_core.adapters.cluster.transport import TransportListener
from socketio_core.workers.environment import WorkerEnvironment
from socketio_core.workers.frames import FrameLink, encode_frame

logger = logging.getLogger("socketio_core")

MAX_UNSENT: Final = 64 * 1024 * 1024
"""Bytes that wait for one other worker; above it messages are dropped and counted."""


class Hello(msgspec.Struct, array_like=True):
    """The first message of a connection: the sender."""

    number: int
    uid: str


_encode_hello = msgspec.msgpack.Encoder().encode
_decode_hello = msgspec.msgpack.Decoder(Hello).decode


@final
class Bus:
    """The connections of one worker to all others.

    A namespace has one listener, identified by the number of its server in this process and its
    name.
    """

    def __init__(self, environment: WorkerEnvironment) -> None:
        self.uid = environment.uid
        self.since = time.time()
        self.published = 0
        self.dropped = 0
        self._environment = environment
        self._listeners: dict[tuple[int, str], TransportListener] = {}
        self._wanted: set[int] = set()
        self._outgoing: dict[int, FrameLink] = {}  # by the number of the receiver
        self._incoming: dict[str, tuple[int, FrameLink]] = {}  # by the uid of the sender
        self._connecting: dict[int, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._changed: asyncio.Event = asyncio.Event()

    # -- connections

    async def open(self) -> None:
        """Accept the connections of other workers. Raises OSError."""
        path = self._environment.path("bus")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # of a process that was killed
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Incoming(self).link, path)

    def set_peers(self, numbers: set[int]) -> None:
        """Connect to these workers; connections to others end by themselves."""
        self._wanted = numbers - {self._environment.number}
        for number in self._wanted - set(self._outgoing) - set(self._connecting):
            task = asyncio.get_running_loop().create_task(self._connect(number))
            self._connecting[number] = task

    async def wait_linked(self, timeout: float) -> bool:
        """Wait until all peers are connected in both directions; return whether they are."""
        try:
            async with asyncio.timeout(timeout):
                while not self._is_linked():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _is_linked(self) -> bool:
        senders = {number for number, _ in self._incoming.values()}
        return self._wanted <= set(self._outgoing) and self._wanted <= senders

    async def _connect(self, number: int) -> None:
        link = FrameLink(_ignore, lambda: self._outgoing_lost(number, link))
        try:
            path = self._environment.path("bus", number)
            await asyncio.get_running_loop().create_unix_connection(lambda: link, path)
        except OSError as error:
            # It has just ended; the supervisor will report it.
            logger.info("cannot connect to worker %d: %s", number, error)
            return
        finally:
            del self._connecting[number]
        hello = Hello(self._environment.number, self.uid)
        link.send(encode_frame(_encode_hello(hello)))
        self._outgoing[number] = link
        self._changed.set()
        for listener in list(self._listeners.values()):
            listener.on_connected()

    def _outgoing_lost(self, number: int, link: FrameLink) -> None:
        if self._outgoing.get(number) is link:
            del self._outgoing[number]

    def _incoming_opened(self, hello: Hello, link: FrameLink) -> None:
        self._incoming[hello.uid] = (hello.number, link)
        self._changed.set()

    def _incoming_lost(self, uid: str) -> None:
        self._incoming.pop(uid, None)
        for listener in list(self._listeners.values()):
            listener.on_peer_left(uid)

    async def close(self) -> None:
        """Close all connections after their last messages."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._environment.path("bus"))
        for task in list(self._connecting.values()):
            task.cancel()
        for link in [*self._outgoing.values(), *(link for _, link in self._incoming.values())]:
            link.close()
        await asyncio.sleep(0)

    @property
    def peers(self) -> int:
        """The number of other workers that receive messages."""
        return len(self._outgoing)

    @property
    def unsent(self) -> int:
        """The number of bytes that wait for other workers."""
        return sum(link.unsent for link in self._outgoing.values())

    # -- messages

    def register(self, server: int, namespace: str, listener: TransportListener) -> None:
        """Deliver the messages of a namespace to a listener."""
        self._listeners[server, namespace] = listener
        if self._outgoing:
            asyncio.get_running_loop().call_soon(listener.on_connected)

    def unregister(self, server: int, namespace: str) -> None:
        """Deliver no more messages of a namespace."""
        self._listeners.pop((server, namespace), None)

    def publish(self, server: int, message: Message) -> None:
        """Send a message to all other workers.

        Raises TypeError or ValueError for a value that cannot be sent.
        """
        if not self._outgoing:
            return
        frame = encode_frame(bytes((server,)), encode_message(message))
        for link in list(self._outgoing.values()):
            self._send(link, frame)

    def respond(self, server: int, uid: str, message: Message) -> None:
        """Send a message to one other worker. Raises as `publish`."""
        sender = self._incoming.get(uid)
        link = self._outgoing.get(sender[0]) if sender is not None else None
        if link is not None:
            self._send(link, encode_frame(bytes((server,)), encode_message(message)))

    def _send(self, link: FrameLink, frame: bytes) -> None:
        if link.unsent > MAX_UNSENT:
            if not self.dropped:
                logger.error(
                    "a worker does not read: messages above %d bytes are dropped", MAX_UNSENT
                )
            self.dropped += 1
            return
        self.published += 1
        link.send(frame)

    def _received(self, payload: bytes) -> None:
        server = payload[0]
        try:
            message = decode_message(payload[1:])
        except MessageError as error:
            for listener in self._listeners.values():
                listener.on_invalid(error)
                return
            return
        found = self._listeners.get((server, message.nsp))
        if found is not None:
            found.on_message(message)


@final
class _Incoming:
    """One connection of another worker."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._uid: str | None = None
        self.link = FrameLink(self._received, self._lost)

    def _received(self, payload: bytes) -> None:
        if self._uid is None:
            hello = _decode_hello(payload)
            self._uid = hello.uid
            self._bus._incoming_opened(hello, self.link)
        else:
            self._bus._received(payload)

    def _lost(self) -> None:
        if self._uid is not None:
            self._bus._incoming_lost(self._uid)


@final
class BusTransport:
    """The bus as the transport of one namespace."""

    counts_servers = False

    def __init__(self, bus: Bus, server: int, namespace: str) -> None:
        self._bus = bus
        self._server = server
        self._namespace = namespace
        self.publish: Callable[[Message], None] = partial(bus.publish, server)
        self.publish_response: Callable[[str, Message], None] = partial(bus.respond, server)

    def open(self, listener: TransportListener) -> None:
        """Deliver the messages of the namespace to the listener."""
        self._bus.register(self._server, self._namespace, listener)

    def count_servers(self, on_count: Callable[[int | None], None]) -> None:
        """Report the number of connected workers, this one included."""
        on_count(1 + self._bus.peers)

    def close(self) -> None:
        """Deliver no more messages."""
        self._bus.unregister(self._server, self._namespace)


def _ignore(message: Any) -> None:
    """Drop a message: other workers send over their own connections."""

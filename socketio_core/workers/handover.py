"""Passes open connections between the processes of a server (SCM_RIGHTS over Unix datagrams).

A message holds the descriptor of the connection, the address of its client, and the bytes that are
read and not yet answered. Large bytes travel in a second descriptor, of a file in memory, because a
datagram is limited by the socket buffers.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import errno
import logging
import os
import socket
import tempfile
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias, final

import msgspec

from engineio_core.http.exchange import Origin

logger = logging.getLogger("socketio_core")

MAX_INLINE: Final = 32 * 1024
"""Bytes that a datagram holds; more travel in a file."""
MAX_MESSAGE: Final = 2 * MAX_INLINE
MAX_QUEUE: Final = 1024
"""Connections that wait for one other process; further ones are closed."""
BATCH: Final = 16
"""Connections that are received in one iteration of the event loop."""
_DESCRIPTOR_SIZE: Final = array.array("i").itemsize
# The receiver has ended, or never existed
_DEAD: Final = frozenset({
    errno.ECONNREFUSED, errno.ENOENT, errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN,
})  # fmt: skip
_FULL: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS})


class _Message(msgspec.Struct, array_like=True):
    origin: Origin | None
    data: bytes
    has_file: bool
    family: int


class Parcel(NamedTuple):
    """A connection on its way, with its unanswered bytes; `origin` is None if none are read."""

    connection: socket.socket
    data: bytes
    origin: Origin | None


Receive: TypeAlias = Callable[[Parcel], None]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Message).decode


@final
class HandoverReceiver:
    """The Unix socket on which a process receives connections."""

    def __init__(self, path: str, receive: Receive) -> None:
        self._receive = receive
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # of a process that was killed
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(path)
        self._path = path

    def start(self) -> None:
        """Receive connections in the running event loop."""
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def _readable(self) -> None:
        for _ in range(BATCH):
            try:
                parcel = receive_parcel(self._socket)
            except BlockingIOError:
                return
            except (OSError, msgspec.DecodeError):
                logger.exception("a connection of another worker was lost")
                return
            self._receive(parcel)

    def close(self) -> None:
        """Refuse further connections; senders notice it at their next message."""
        asyncio.get_running_loop().remove_reader(self._socket)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        # The connections that are already on their way
        with contextlib.suppress(OSError, msgspec.DecodeError):
            while True:
                self._receive(receive_parcel(self._socket))
        self._socket.close()


@final
class HandoverSender:
    """The connection to one other process; `failed(parcel)` gets parcels that it cannot take."""

    def __init__(self, path: str, failed: Receive) -> None:
        self._path = path
        self._failed = failed
        self._queue: deque[Parcel] = deque()
        self._socket: socket.socket | None = None
        self._is_waiting = False

    def send(self, parcel: Parcel) -> None:
        """Send a connection, and close this process's descriptor of it."""
        if len(self._queue) >= MAX_QUEUE:
            logger.error("%d connections wait for one worker: closing one", MAX_QUEUE)
            parcel.connection.close()
            return
        self._queue.append(parcel)
        if not self._is_waiting:
            self._send_queued()

    def _send_queued(self) -> None:
        while self._queue:
            parcel = self._queue[0]
            try:
                if self._socket is None:
                    self._socket = _connect(self._path)
                send_parcel(self._socket, parcel)
            except OSError as error:
                if error.errno in _FULL and self._socket is not None:
                    self._wait()
                    return
                if error.errno not in _DEAD:
                    logger.exception("a connection could not be handed over")
                self._disconnect()
                waiting, self._queue = self._queue, deque()
                for each in waiting:
                    self._failed(each)
                return
            self._queue.popleft()
            parcel.connection.close()
        self._stop_waiting()

    def _wait(self) -> None:
        if not self._is_waiting and self._socket is not None:
            self._is_waiting = True
            asyncio.get_running_loop().add_writer(self._socket, self._send_queued)

    def _stop_waiting(self) -> None:
        if self._is_waiting and self._socket is not None:
            self._is_waiting = False
            asyncio.get_running_loop().remove_writer(self._socket)

    def _disconnect(self) -> None:
        self._stop_waiting()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        """Close the connection to the other process, and the waiting connections of clients."""
        self._disconnect()
        for parcel in self._queue:
            parcel.connection.close()
        self._queue.clear()


def _connect(path: str) -> socket.socket:
    """Return a socket whose messages go to a path. Raises OSError if no process receives them."""
    # Connected, because the event loop can wait for room only on a connected datagram socket.
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sender.setblocking(False)
        sender.connect(path)
    except OSError:
        sender.close()
        raise
    return sender


def send_parcel(sender: socket.socket, parcel: Parcel) -> None:
    """Send one connection. Raises OSError."""
    connection, data, origin = parcel
    if len(data) <= MAX_INLINE:
        _send(sender, _Message(origin, data, False, connection.family), connection.fileno())
        return
    with _memory_file() as file:
        file.write(data)
        file.flush()
        message = _Message(origin, b"", True, connection.family)
        _send(sender, message, connection.fileno(), file.fileno())


def _send(sender: socket.socket, message: _Message, *descriptors: int) -> None:
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
    sender.sendmsg([_encode(message)], [rights])


def _memory_file() -> tempfile._TemporaryFileWrapper[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("handover"), "w+b")  # type: ignore[return-value]
    return tempfile.TemporaryFile()  # type: ignore[return-value]


def receive_parcel(receiver: socket.socket) -> Parcel:
    """Receive one connection. Raises BlockingIOError if there is none, and OSError."""
    content, ancillary, _, _ = receiver.recvmsg(
        MAX_MESSAGE, socket.CMSG_SPACE(2 * _DESCRIPTOR_SIZE)
    )
    descriptors = array.array("i")
    for level, kind, rights in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(rights[: len(rights) - len(rights) % _DESCRIPTOR_SIZE])
    if not descriptors:
        # The kernel drops descriptors above the limit of open files.
        raise OSError(errno.EMFILE, "a connection arrived without its descriptor")
    try:
        message = _decode(content)
        data = message.data
        if message.has_file:
            if len(descriptors) < 2:
                raise OSError(errno.EMFILE, "a connection arrived without its bytes")
            data = os.pread(descriptors[1], os.fstat(descriptors[1]).st_size, 0)
        # With the family, so that the constructor need not read it from the kernel.
        connection = socket.socket(message.family, socket.SOCK_STREAM, 0, descriptors.pop(0))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    connection.setblocking(False)
    return Parcel(connection, data, message.origin)

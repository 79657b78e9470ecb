"""A proxy in threads that stops to forward, is slow, or sends other bytes than its server.

It stands for a network that is cut, and for a server that hangs or fails.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: A port of the loopback interface, or the path of a Unix socket.
Address = int | str
_PIECE = 1 << 16
_POLL_SECONDS = 0.05


class StallingProxy:
    """A proxy for TCP or Unix sockets that keeps connections open while nothing arrives."""

    def __init__(self, target: Address, listener: socket.socket) -> None:
        self._target = target
        self._listener = listener
        self._is_ended = False
        self._flows = threading.Event()
        self._flows.set()
        self._generation = 0
        self._delay = 0.0
        self._piece = _PIECE
        self._answer: bytes | None = None
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def stall(self) -> None:
        """Forward nothing until `resume`; connections are accepted meanwhile."""
        self._flows.clear()

    def resume(self) -> None:
        """Forward again, first the bytes that arrived during the stall."""
        self._flows.set()

    def abandon(self) -> None:
        """Never forward bytes of the present connections again, and keep both of their ends open.

        New connections are forwarded.
        """
        self._generation += 1
        self._flows.set()

    def slow_down(self, piece: int, delay: float) -> None:
        """Forward at most `piece` bytes at a time, with a pause of `delay` seconds after each."""
        self._piece, self._delay = piece, delay

    def answer_with(self, data: bytes | None) -> None:
        """Send these bytes in place of each answer of the server, until a call with None."""
        self._answer = data

    def close(self) -> None:
        """Close all connections, and end the threads."""
        self._is_ended = True
        self._flows.set()
        for each in self._threads:
            each.join()
        for end in (self._listener, *self._sockets):
            end.close()

    def _accept(self) -> None:
        while not self._is_ended:
            if not _is_readable(self._listener):
                continue
            client, _ = self._listener.accept()
            server = connect(self._target)
            self._sockets += (client, server)
            for source, target, is_request in ((client, server, True), (server, client, False)):
                thread = threading.Thread(
                    target=self._forward,
                    args=(source, target, self._generation),
                    kwargs={"is_request": is_request},
                    daemon=True,
                )
                self._threads.append(thread)
                thread.start()

    def _forward(
        self, source: socket.socket, target: socket.socket, generation: int, *, is_request: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while not self._is_ended:
                if not _is_readable(source):
                    continue
                data = source.recv(self._piece)
                self._flows.wait()
                if generation != self._generation:
                    return
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                if self._answer is not None and not is_request:
                    data = self._answer
                target.sendall(data)
                if self._delay:
                    time.sleep(self._delay)


@contextmanager
def stalling_proxy(target: Address, listen: Address = 0) -> Iterator[tuple[StallingProxy, Address]]:
    """Run a proxy, and yield it with its address; port 0 is chosen by the system."""
    if isinstance(listen, int):
        listener = socket.create_server(("127.0.0.1", listen))
        listen = int(listener.getsockname()[1])
    else:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(listen)
        listener.listen()
    proxy = StallingProxy(target, listener)
    try:
        yield proxy, listen
    finally:
        proxy.close()


def connect(address: Address) -> socket.socket:
    """Connect to an address."""
    if isinstance(address, int):
        return socket.create_connection(("127.0.0.1", address))
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(address)
    return client


def _is_readable(source: socket.socket) -> bool:
    return bool(select.select([source], [], [], _POLL_SECONDS)[0])

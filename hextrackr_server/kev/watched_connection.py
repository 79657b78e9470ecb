"""HTTP connections of urllib that end at a deadline, also while they receive data slowly.

The timeout of a socket starts again with each byte: a source that sends its headers byte by byte
would hold the thread without end. A timer shuts the TCP connections of an attempt down instead.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Attempt:
    """The connections of one attempt; `is_over` is true after its deadline."""

    def __init__(self, seconds: float) -> None:
        self._mutex = threading.Lock()
        self._connections: list[socket.socket] = []
        self.is_over = False
        self._timer = threading.Timer(seconds, self.end)
        self._timer.daemon = True
        self._timer.start()

    def add(self, connection: socket.socket) -> None:
        """Watch a TCP connection."""
        with self._mutex:
            # A copy: TLS takes the descriptor from the object of the TCP connection.
            self._connections.append(connection.dup())
        if self.is_over:
            self.end()

    def close(self) -> None:
        """Stop the timer, and release the connections."""
        self._timer.cancel()
        with self._mutex:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def end(self) -> None:
        """End the connections now; reading from them fails."""
        self.is_over = True
        with self._mutex:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class Watch:
    """The present attempt, for the connections that urllib opens."""

    def __init__(self) -> None:
        self._attempt: Attempt | None = None

    @contextmanager
    def attempt(self, seconds: float) -> Iterator[Attempt]:
        """Return an attempt whose connections end after `seconds`."""
        self._attempt = attempt = Attempt(seconds)
        try:
            yield attempt
        finally:
            self._attempt = None
            attempt.close()

    def end(self) -> None:
        """End the connections of the present attempt, if there is one."""
        attempt = self._attempt
        if attempt is not None:
            attempt.end()

    def add(self, connection: socket.socket) -> None:
        """Watch a connection that belongs to the present attempt."""
        if self._attempt is not None:
            self._attempt.add(connection)


class _WatchedConnection(http.client.HTTPConnection):
    """A connection that is watched before its first byte."""

    watch: Watch

    def connect(self) -> None:
        super().connect()
        self.watch.add(self.sock)


class _WatchedTlsConnection(http.client.HTTPSConnection, _WatchedConnection):
    """The same with TLS: `HTTPSConnection` connects by TCP through the next class."""


class WatchedHttp(urllib.request.HTTPHandler):
    """A handler of http:// URLs that opens watched connections."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Send a request over a watched connection."""
        return self.do_open(self._connection, req)

    def _connection(self, host: str, **options: Any) -> http.client.HTTPConnection:
        connection = _WatchedConnection(host, **options)
        connection.watch = self._watch
        return connection


class WatchedHttps(urllib.request.HTTPSHandler):
    """A handler of https:// URLs that opens watched connections."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Send a request over a watched connection with TLS."""
        return self.do_open(self._connection, req)

    def _connection(self, host: str, **options: Any) -> http.client.HTTPConnection:
        connection = _WatchedTlsConnection(host, **options)
        connection.watch = self._watch
        return connection

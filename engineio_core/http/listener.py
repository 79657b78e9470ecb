"""Where connections come from: TCP, Unix sockets, an inherited descriptor, with TLS or without.

Knows: asyncio's servers, certificates and their reload, signals, where uvloop is started.
Does not know: what is spoken on a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import ssl
import stat
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import uvloop

logger = logging.getLogger("engineio_core")

BACKLOG: Final = 2048

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """A certificate chain and its key, as PEM files; TLS 1.2 at least.

    Raises at construction if a file can't be read.
    """

    certificate: str | Path
    key: str | Path | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        for name, path in (("certificate", self.certificate), ("key", self.key)):
            if path is not None and not os.access(path, os.R_OK):
                raise ValueError(f"the TLS {name} {str(path)!r} can't be read")

    def make_context(self) -> ssl.SSLContext:
        """Return a context for servers. Raises ssl.SSLError for files that are no certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load(context)
        return context

    def load(self, context: ssl.SSLContext) -> None:
        """Load the files again: new connections see what they hold now."""
        context.load_cert_chain(self.certificate, self.key, self.password)


class Listener:
    """One or more listening sockets, until `close`.

    `port` is that of the first: what port 0 has become; 0 for a Unix socket.
    """

    def __init__(
        self, server: asyncio.Server, tls: Tls | None, context: ssl.SSLContext | None
    ) -> None:
        self._server = server
        self._tls = tls
        self._context = context
        address = server.sockets[0].getsockname()
        self.port = int(address[1]) if isinstance(address, tuple) else 0

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets."""
        return tuple(self._server.sockets)

    def reload_tls(self) -> None:
        """Read certificate and key again; connections that exist keep theirs.

        Files that are no good are logged, and the old ones stay in use.
        """
        if self._tls is None or self._context is None:
            return
        try:
            self._tls.make_context()  # both files are checked before either is used
            self._tls.load(self._context)
            logger.info("the TLS certificate was loaded again")
        except (OSError, ssl.SSLError) as error:
            logger.error("the TLS certificate was not loaded again: %s", error)

    def close(self) -> None:
        """Take no more connections; those that exist go on."""
        self._server.close()


async def open_listener(
    factory: Callable[[], asyncio.BaseProtocol],
    host: str | None = "127.0.0.1",
    port: int = 0,
    *,
    unix_path: str | Path | None = None,
    descriptor: int | None = None,
    tls: Tls | None = None,
    handshake_timeout: float | None = None,
) -> Listener:
    """Listen on a host and port (IPv4, IPv6, a name; None: all), or on one of the others.

    `unix_path`: a socket file; a stale one is replaced. `descriptor`: an inherited listening
    socket, such as systemd hands over. A TLS handshake may take `handshake_timeout` seconds (60
    by default). Raises OSError if the address can't be had.
    """
    loop = asyncio.get_running_loop()
    context = tls.make_context() if tls is not None else None
    timeout = handshake_timeout if tls is not None else None
    if descriptor is not None:
        inherited = socket.socket(fileno=descriptor)
        inherited.setblocking(False)
        server = await loop.create_server(
            factory, sock=inherited, ssl=context, ssl_handshake_timeout=timeout, backlog=BACKLOG
        )
    elif unix_path is not None:
        _remove_stale_socket(unix_path)
        server = await loop.create_unix_server(
            factory, str(unix_path), ssl=context, ssl_handshake_timeout=timeout, backlog=BACKLOG
        )
    else:
        server = await loop.create_server(
            factory, host, port, ssl=context, ssl_handshake_timeout=timeout, backlog=BACKLOG
        )
    return Listener(server, tls, context)


def _remove_stale_socket(path: str | Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                try:
                    probe.connect(str(path))
                except ConnectionRefusedError:
                    os.unlink(path)
                else:
                    # asyncio would silently take the path away from whoever serves it.
                    raise OSError(errno.EADDRINUSE, "another server listens there", str(path))


async def wait_for_signal(on_hangup: Callable[[], None]) -> str:
    """Wait for SIGINT or SIGTERM and return its name; SIGHUP calls `on_hangup`."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[str] = loop.create_future()

    def stop(name: str) -> None:
        if not stopped.done():
            stopped.set_result(name)

    ends = (signal.SIGINT, signal.SIGTERM)
    for number in ends:
        loop.add_signal_handler(number, stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    try:
        return await stopped
    finally:
        for number in (*ends, signal.SIGHUP):
            loop.remove_signal_handler(number)


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end on uvloop."""
    return uvloop.run(main)

"""Listening sockets: TCP, Unix sockets and inherited descriptors, with or without TLS.

This module also owns TLS files and their reload, and the start of uvloop; `signals` stops it.
The bytes of a connection belong to `http/connection`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from ssl import (
    PROTOCOL_TLS_CLIENT,
    Purpose,
    SSLContext,
    SSLError,
    TLSVersion,
    create_default_context,
)
from typing import Any, Final, TypeVar, final

import uvloop

from engineio_core.field_docs import document_fields
from engineio_core.http.certificate_files import load_certificate
from engineio_core.option_names import check_keywords

logger = logging.getLogger("engineio_core")

BACKLOG: Final = 65_535
#: Connections that a selector event loop of asyncio accepts in one turn. Without descriptors, the
#: loop repeats a failed accept() as often, logs each failure and then waits a second (CPython 3.11
#: to 3.13, `_accept_connection`): with 2048, other clients wait for more than a second.
ACCEPTS_PER_TURN: Final = 16

Result = TypeVar("Result")


@document_fields
@check_keywords()
@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """PEM files of a certificate chain and its key; TLS 1.2 or later.

    The server can read the files again while it runs: `Engine.reload_tls`, or SIGHUP with `run`.
    Raises ValueError if a file is not readable.
    """

    certificate: str | Path
    """Path of the certificate chain."""

    key: str | Path | None = None
    """Path of the private key; None if the certificate file contains the key."""

    password: str | None = None
    """Password of an encrypted private key."""

    def __post_init__(self) -> None:
        for name, path in (("certificate", self.certificate), ("key", self.key)):
            if path is None and name == "key":
                continue
            if not isinstance(path, str | Path) or not os.access(path, os.R_OK):
                raise ValueError(f"the TLS {name} must be a readable PEM file, got {str(path)!r}")

    def make_context(self) -> SSLContext:
        """Return an SSL context for servers. Raises SSLError or OSError for an invalid file."""
        context = create_default_context(Purpose.CLIENT_AUTH)
        context.minimum_version = TLSVersion.TLSv1_2
        self.load(context)
        return context

    def load(self, context: SSLContext) -> None:
        """Load the current files into a context that new connections use.

        Raises SSLError or OSError for an invalid file.
        """
        load_certificate(context, self.certificate, self.key, self.password)


@final
class Listener:
    """One or more listening sockets of the same server.

    `port` is the port of the first socket (the chosen port for port 0), or 0 for a Unix socket.
    """

    def __init__(self, server: asyncio.Server, tls: Tls | None, context: SSLContext | None) -> None:
        self._server = server
        self._tls = tls
        self.context = context
        """The SSL context of new connections; None without TLS."""
        address = server.sockets[0].getsockname()
        self.port = int(address[1]) if isinstance(address, tuple) else 0

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets, one for each resolved address."""
        return tuple(self._server.sockets)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses as URLs: `http://127.0.0.1:8080`, `unix:/run/app.sock`."""
        scheme = "http" if self.context is None else "https"
        return tuple(_format_address(each.getsockname(), scheme) for each in self.sockets)

    def reload_tls(self) -> bool:
        """Read certificate and key again for new connections; return whether there are such files.

        The previous files stay in use if the new ones are invalid; the error is logged. A listener
        with an SSLContext of the caller, or without TLS, does nothing.
        """
        if self._tls is None or self.context is None:
            return False
        try:
            self._tls.make_context()  # check both files before either is used
            self._tls.load(self.context)
            logger.info("TLS certificate reloaded")
        except (OSError, SSLError) as error:
            logger.error("TLS certificate not reloaded, the previous one stays in use: %s", error)
        return True

    def close(self) -> None:
        """Stop accepting connections; existing connections continue."""
        self._server.close()


async def open_listener(
    factory: Callable[[], asyncio.BaseProtocol],
    host: str | None = "127.0.0.1",
    port: int = 0,
    *,
    path: str | Path | None = None,
    fd: int | None = None,
    ssl: SSLContext | Tls | None = None,
    handshake_timeout: float | None = None,
) -> Listener:
    """Listen on `host` and `port`, on a Unix socket, or on an inherited socket.

    `host` is an IPv4 or IPv6 address, a name, or None for all addresses. `path` is the file of a
    Unix socket; a stale file is replaced. `fd` is the descriptor of a listening socket, for
    example of systemd. `handshake_timeout` limits a TLS handshake, in seconds (asyncio's default
    is 60).

    Raises TypeError or ValueError for invalid parameters, and OSError with the address and the
    remedy if the address is not available.
    """
    check_address(host, port)
    _check_socket(path, fd)
    if ssl is not None and not isinstance(ssl, SSLContext | Tls):
        raise TypeError(
            f"ssl must be an ssl.SSLContext, Tls(certificate=..., key=...) or None, got {ssl!r}"
        )
    if isinstance(ssl, SSLContext) and ssl.protocol == PROTOCOL_TLS_CLIENT:
        raise ValueError(
            "ssl must be a context for servers, got one for clients: "
            "use ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)"
        )
    loop = asyncio.get_running_loop()
    is_selector = isinstance(loop, asyncio.SelectorEventLoop)
    backlog = ACCEPTS_PER_TURN if is_selector else BACKLOG
    context = ssl.make_context() if isinstance(ssl, Tls) else ssl
    timeout = handshake_timeout if context is not None else None
    try:
        if fd is not None:
            inherited = socket.socket(fileno=fd)
            inherited.setblocking(False)
            server = await loop.create_server(
                factory, sock=inherited, ssl=context, ssl_handshake_timeout=timeout, backlog=backlog
            )
        elif path is not None:
            remove_stale_socket(path)
            server = await loop.create_unix_server(
                factory, str(path), ssl=context, ssl_handshake_timeout=timeout, backlog=backlog
            )
        else:
            server = await loop.create_server(
                factory, host, port, ssl=context, ssl_handshake_timeout=timeout, backlog=backlog
            )
    except OSError as error:
        raise explain_address(error, host, port, path, fd) from error
    if is_selector:
        for each in server.sockets:
            # asyncio uses one number for both. The last call of listen() is valid.
            with socket.socket(fileno=os.dup(each.fileno())) as duplicate:
                duplicate.listen(BACKLOG)
    return Listener(server, ssl if isinstance(ssl, Tls) else None, context)


def check_address(host: Any, port: Any) -> None:
    """Raise TypeError or ValueError for an invalid host or port."""
    if host is not None and not isinstance(host, str):
        raise TypeError(
            f"host must be a string or None, got {host!r}: pass a port as port={host!r}"
        )
    if host is not None and host.isdecimal():
        raise ValueError(f"host must be an address or a name, got {host!r}: write port={host}")
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port must be an integer from 0 to 65535, got {port!r}")
    if not 0 <= port <= 65535:
        raise ValueError(f"port must be an integer from 0 to 65535, got {port!r}")


def _check_socket(path: Any, fd: Any) -> None:
    if path is not None and not isinstance(path, str | Path):
        raise TypeError(f"path must be the file of a Unix socket, got {path!r}")
    if fd is not None and (isinstance(fd, bool) or not isinstance(fd, int)):
        raise TypeError(f"fd must be the descriptor (an integer) of a socket, got {fd!r}")
    if path is not None and fd is not None:
        raise TypeError("path and fd exclude each other: call listen() once for each")


def explain_address(
    error: OSError, host: str | None, port: int, path: str | Path | None, fd: int | None
) -> OSError:
    """Return the same error with a text that names the address and the remedy."""
    if fd is not None:
        where = f"file descriptor {fd}"
    elif path is not None:
        where = f"unix:{path}"
    else:
        where = f"{host or '*'}:{port}"
    match error.errno:
        case errno.EADDRINUSE if path is not None:
            why = "address already in use: stop the other server or choose another path"
        case errno.EADDRINUSE:
            why = "address already in use: stop the other server or choose another port"
        case errno.EADDRNOTAVAIL | None:  # asyncio from 3.13 raises an OSError without errno
            why = "this machine does not have the address: choose another host"
        case errno.EACCES | errno.EPERM if path is None and fd is None:
            why = "permission denied: choose a port above 1023"
        case _ if isinstance(error, socket.gaierror):
            why = f"unknown host ({error.strerror}): choose another host"
        case _:
            why = error.strerror or str(error)
    if isinstance(error, socket.gaierror):
        return socket.gaierror(error.errno, f"cannot listen on {where}: {why}")
    number = errno.EADDRNOTAVAIL if error.errno is None else error.errno
    return OSError(number, f"cannot listen on {where}: {why}")


def _format_address(address: Any, scheme: str) -> str:
    if not isinstance(address, tuple):
        return f"unix:{address}"
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"{scheme}://{host}:{address[1]}"


def remove_stale_socket(path: str | Path) -> None:
    """Remove the socket file of a server that has ended. Raises OSError if a server listens."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                try:
                    probe.connect(str(path))
                except ConnectionRefusedError:
                    os.unlink(path)
                else:
                    # asyncio would silently replace the socket file of the other server.
                    raise OSError(errno.EADDRINUSE, "another server listens there", str(path))


def run(serve: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run `serve()` to its end on uvloop.

    Raises RuntimeError inside a running event loop and outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "run() must be called in the main thread, because it handles signals: "
            "in another thread run a coroutine that awaits listen()"
        )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return uvloop.run(serve())
    raise RuntimeError(
        "run() must not be called inside a running event loop: await listen() instead"
    )

"""The UDP sockets that accept WebTransport sessions, their certificate, and their end.

One connection belongs to `connection`. aioquic implements QUIC, TLS and HTTP/3.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from time import monotonic
from typing import Any, Final, final

from aioquic.asyncio.server import QuicServer
from aioquic.h3.connection import H3_ALPN
from aioquic.quic.configuration import QuicConfiguration

from engineio_core.http.listener import Tls, explain_address
from engineio_core.webtransport.connection import WebTransportConnection
from engineio_core.webtransport.opening import OpeningEngine

logger = logging.getLogger("engineio_core")

# Connections that may exist in addition to those of `max_sessions`
_SPARE_CONNECTIONS: Final = 1000
# Chromium requires datagrams, although Engine.IO uses none.
_DATAGRAM_SIZE: Final = 65536
_LONG_HEADER: Final = 0x80
_CLOSING_INTERVAL: Final = 0.005


@final
class _Server(QuicServer):
    """The datagram protocol of the socket: it limits the number of connections."""

    def __init__(self, listener: WebTransportListener, configuration: QuicConfiguration) -> None:
        super().__init__(
            configuration=configuration,
            create_protocol=partial(WebTransportConnection, owner=listener),
            retry=True,
        )
        self._listener = listener

    def configure(self, configuration: QuicConfiguration) -> None:
        """Use another configuration for new connections."""
        self._configuration = configuration

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        """Process a datagram; drop it if it would open one connection too many."""
        try:
            if isinstance(data, bytes) and self._accepts(data):
                super().datagram_received(data, addr)
        except Exception:
            logger.exception("a datagram of %s failed", addr[0])

    def _accepts(self, data: bytes) -> bool:
        if not data or data[0] < _LONG_HEADER or self._listener.has_room():
            return True
        # RFC 9000, section 17.2: the length of the destination connection ID is byte 5.
        return len(data) > 6 and data[6 : 6 + data[5]] in self._protocols

    def error_received(self, exc: Exception) -> None:
        """Ignore errors of single datagrams, such as an unreachable client."""


@final
class WebTransportListener:
    """The UDP sockets of a server, one for each resolved address."""

    def __init__(self, engine: OpeningEngine, tls: Tls) -> None:
        self.engine = engine
        self.connections: set[WebTransportConnection] = set()
        self.is_closing = False
        self.port = 0
        """The port of all sockets: the chosen port for port 0."""
        self.addresses: tuple[str, ...] = ()
        """The addresses for the log: `https://127.0.0.1:8443 (WebTransport)`."""
        self._tls = tls
        self._endpoints: list[tuple[asyncio.DatagramTransport, _Server]] = []

    async def open(self, host: str | None, port: int) -> None:
        """Bind a socket for each resolved address. Raises OSError, ValueError."""
        configuration = self._configure()
        loop = asyncio.get_running_loop()
        names: list[str] = []
        try:
            for bound in await self._bind(host, port):
                transport, server = await loop.create_datagram_endpoint(
                    lambda: _Server(self, configuration), sock=bound
                )
                self._endpoints.append((transport, server))
                address = bound.getsockname()[0]
                names.append(f"[{address}]" if ":" in address else address)
        except OSError as error:
            raise explain_address(error, host, port, None, None) from error
        self.addresses = tuple(f"https://{name}:{self.port} (WebTransport)" for name in names)

    async def _bind(self, host: str | None, port: int) -> list[socket.socket]:
        """Return a socket for each address of a host, all with the same port."""
        infos = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )
        sockets: list[socket.socket] = []
        try:
            for family, _, _, _, address in dict.fromkeys(infos):
                try:
                    bound = socket.socket(family, socket.SOCK_DGRAM)
                except OSError:  # the machine has no IPv6, for example
                    continue
                sockets.append(bound)
                if family == socket.AF_INET6:
                    bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                bound.setblocking(False)
                bound.bind((address[0], self.port or port, *address[2:]))
                self.port = int(bound.getsockname()[1])
        except OSError:
            for each in sockets:
                each.close()
            raise
        return sockets

    def has_room(self) -> bool:
        """Return whether another connection may begin."""
        limit = self.engine.options.max_sessions + _SPARE_CONNECTIONS
        return not self.is_closing and len(self.connections) < limit

    def reload_tls(self) -> None:
        """Read certificate and key again for new connections.

        The previous files stay in use if the new ones are invalid; the error is logged.
        """
        try:
            configuration = self._configure()
            for _, server in self._endpoints:
                server.configure(configuration)
            logger.info("TLS certificate of WebTransport reloaded")
        except ValueError as error:
            logger.error("TLS certificate not reloaded, the previous one stays in use: %s", error)

    def close(self) -> None:
        """Accept no further sessions; existing sessions continue until the engine shuts down."""
        self.is_closing = True

    async def end(self, seconds: float) -> None:
        """Close the sockets, after up to `seconds` in which clients read their last bytes."""
        self.is_closing = True
        for connection in list(self.connections):
            for stream in list(connection.sessions.values()):
                stream.abandon()
        stop = monotonic() + seconds
        # The end of the connection would overtake capsules whose datagrams were lost.
        while (  # noqa: ASYNC110 - see `_end_connections` of the server
            not all(each.is_settled() for each in self.connections) and monotonic() < stop
        ):
            await asyncio.sleep(_CLOSING_INTERVAL)
        for connection in list(self.connections):
            connection.stop()
        await asyncio.sleep(0)
        endpoints, self._endpoints = self._endpoints, []
        for transport, _ in endpoints:
            transport.close()
        await asyncio.sleep(0)

    def _configure(self) -> QuicConfiguration:
        """Return the configuration of new connections. Raises ValueError for invalid files."""
        options = self.engine.options
        configuration = QuicConfiguration(
            alpn_protocols=H3_ALPN,
            is_client=False,
            max_stream_data=2 * options.max_header_size,
            max_datagram_frame_size=_DATAGRAM_SIZE,
            # Pings keep a connection alive.
            idle_timeout=max(60.0, options.ping_interval + options.ping_timeout + 5),
        )
        tls = self._tls
        try:
            configuration.load_cert_chain(tls.certificate, tls.key, tls.password)
            if configuration.private_key is None:
                raise ValueError("the file does not contain a private key in PKCS #8")
        except Exception as error:
            key = tls.key or tls.certificate
            raise ValueError(
                f"certificate {str(tls.certificate)!r} and key {str(key)!r} must be PEM files that "
                f"belong together: {error}"
            ) from error
        return configuration


async def open_webtransport(
    engine: OpeningEngine, host: str | None, port: int, tls: Tls
) -> WebTransportListener:
    """Listen for WebTransport on a UDP port. Raises OSError, ValueError."""
    listener = WebTransportListener(engine, tls)
    await listener.open(host, port)
    return listener

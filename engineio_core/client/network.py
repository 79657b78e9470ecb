"""Opens TCP connections to servers: directly or through a proxy, with TLS if required.

The protocols of the connections are in `http_channel` and `websocket`. `proxy` finds the proxy,
`socks` performs the SOCKS handshake.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import h11

from engineio_core.client.address import Address
from engineio_core.client.errors import TransportError
from engineio_core.client.options import ClientTls, EngineClientOptions
from engineio_core.client.proxy import HttpProxy, find_proxy
from engineio_core.client.socks import SocksProxy, open_socket

MAX_TUNNEL_RESPONSE = 64 * 1024

Result = TypeVar("Result")


class Network(Protocol):
    """Opens connections; tests replace it by connections in memory."""

    forward_proxy: HttpProxy | None
    """The proxy that forwards plain HTTP requests, whose targets must be absolute."""

    async def connect(self, factory: Callable[[], Any], *, is_tunnel: bool) -> Any:
        """Connect, and return the protocol that `factory` creates.

        `is_tunnel` selects a connection for another protocol than HTTP. Raises OSError or
        TransportError.
        """


class TcpNetwork:
    """The network of one server address, with its proxy and TLS context."""

    def __init__(self, address: Address, options: EngineClientOptions) -> None:
        """Read the certificates, and find the proxy.

        Raises SSLError for an invalid file, and the errors of `find_proxy`.
        """
        self._address = address
        self._timeout = options.timeout
        self._proxy = proxy = find_proxy(address, options)
        self._context: ssl.SSLContext | None = None
        self._server_name = address.host
        if address.is_secure:
            tls = options.tls if options.tls is not None else ClientTls()
            if isinstance(tls, ClientTls):
                self._server_name = tls.server_name or address.host
                tls = tls.make_context()
            self._context = tls
        self.forward_proxy: HttpProxy | None = None
        if isinstance(proxy, HttpProxy) and not address.is_secure:
            self.forward_proxy = proxy

    async def connect(self, factory: Callable[[], Any], *, is_tunnel: bool) -> Any:
        """Connect, and return the protocol that `factory` creates.

        An HTTP proxy forwards requests of plain HTTP, and tunnels everything else. Raises OSError
        or TransportError.
        """
        loop = asyncio.get_running_loop()
        proxy, context, address = self._proxy, self._context, self._address
        server_name = self._server_name if context is not None else None
        if proxy is None:
            _, protocol = await loop.create_connection(
                factory, address.host, address.port, ssl=context, server_hostname=server_name
            )
            return protocol
        if isinstance(proxy, SocksProxy):
            opening = open_socket(proxy, address.host, address.port, self._timeout)
            opened = await _reach(proxy, opening)
            _, protocol = await loop.create_connection(
                factory, sock=opened, ssl=context, server_hostname=server_name
            )
            return protocol
        if context is None and not is_tunnel:
            opening_tcp = loop.create_connection(factory, proxy.host, proxy.port)
            _, protocol = await _reach(proxy, opening_tcp)
            return protocol
        return await self._connect_through(proxy, factory)

    async def _connect_through(self, proxy: HttpProxy, factory: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()
        address = self._address
        host = f"[{address.host}]" if ":" in address.host else address.host
        opening = loop.create_connection(
            lambda: _Tunnel(f"{host}:{address.port}", proxy.authorization), proxy.host, proxy.port
        )
        transport, tunnel = await _reach(proxy, opening)
        try:
            await tunnel.opened
            protocol = factory()
            used: asyncio.BaseTransport | None = transport
            if self._context is not None:
                used = await loop.start_tls(
                    transport, protocol, self._context, server_hostname=self._server_name
                )
            else:
                transport.set_protocol(protocol)
        except BaseException:
            transport.abort()
            raise
        if used is None:
            raise ConnectionError("the proxy closed the connection during the TLS handshake")
        protocol.connection_made(used)
        return protocol


async def _reach(proxy: HttpProxy | SocksProxy, opening: Awaitable[Result]) -> Result:
    """Return the connection to a proxy. Raises ConnectionError, which names the proxy."""
    try:
        return await opening
    except OSError as error:
        raise ConnectionError(
            f"the connection to the proxy {proxy.host}:{proxy.port} failed: {error}"
        ) from error


class _Tunnel(asyncio.Protocol):
    """The CONNECT request to a proxy (RFC 9110, section 9.3.6)."""

    def __init__(self, target: str, authorization: str | None) -> None:
        headers = [("Host", target)]
        if authorization is not None:
            headers.append(("Proxy-Authorization", authorization))
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_TUNNEL_RESPONSE)
        self._request = h11.Request(method="CONNECT", target=target, headers=headers)
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        transport.write(self._http.send(self._request))
        transport.write(self._http.send(h11.EndOfMessage()))

    def data_received(self, data: bytes) -> None:
        if self.opened.done():
            return
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            self._fail(TransportError(f"the proxy sent an invalid response: {error}"))
            return
        if isinstance(event, h11.Response):
            if 200 <= event.status_code < 300:
                self.opened.set_result(None)
            else:
                self._fail(
                    TransportError(
                        f"the proxy refused the connection with status {event.status_code}",
                        status=event.status_code,
                    )
                )

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or ConnectionResetError("the proxy closed the connection"))

    def _fail(self, error: Exception) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)

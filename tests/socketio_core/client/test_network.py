"""Connections of the client on the loopback interface: TLS, client certificates and proxies."""

from __future__ import annotations

import asyncio
import base64
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engineio_core.client.errors import TransportError
from socketio_core import Socket, SocketServer
from socketio_core.client import AsyncClient, ClientTls, ConnectionFailedError
from tests.helpers.socks_server import SocksServer
from tests.helpers.stream_server import stream_server

TLS = Path(__file__).parents[2] / "helpers" / "tls"
FIRST, SECOND = TLS / "first.pem", TLS / "second.pem"
LIMIT = 300.0
TRANSPORTS = (["polling"], ["websocket"], ["polling", "websocket"])
each_transport = pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)


@pytest.fixture(autouse=True)
def no_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@asynccontextmanager
async def echo_server(context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve a namespace that echoes; yield the port."""
    io = SocketServer()
    io.on("echo", lambda socket, *args: args)

    @io.on("certificate")
    def certificate(socket: Socket) -> str:
        return socket.handshake.headers["host"]

    listener = await io.listen("127.0.0.1", 0, ssl=context)
    try:
        yield listener.port
    finally:
        await io.shutdown()


def server_context(*, client_ca: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(FIRST, TLS / "first.key.pem")
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def echo(url: str, **options: Any) -> str | None:
    """Connect, exchange an event, and return the transport."""
    async with asyncio.timeout(LIMIT), AsyncClient(url, **options) as client:
        for size in (1, 300_000):
            assert await client.call("echo", "x" * size) == "x" * size
        return client.transport


async def failure(url: str, **options: Any) -> BaseException:
    """Return the error of the network for a connection that fails."""
    client = AsyncClient(url, **options)
    async with asyncio.timeout(LIMIT):
        with pytest.raises(ConnectionFailedError) as caught:
            await client.connect()
        await client.close()
    assert caught.value.__cause__ is not None
    return caught.value.__cause__


class HttpProxy:
    """A proxy for CONNECT and for plain HTTP requests, which records the first lines."""

    def __init__(self, *, authorization: str | None = None, refusal: bytes | None = None) -> None:
        self.lines: list[str] = []
        self._authorization = authorization
        self._refusal = refusal

    def run(self) -> AbstractAsyncContextManager[int]:
        return stream_server(self._serve)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *fields = head.split("\r\n")
        self.lines.append(first)
        headers = dict(field.lower().split(": ", 1) for field in fields if field)
        if self._refusal is not None:
            writer.write(self._refusal)
            await writer.drain()
            return
        if self._authorization is not None:
            expected = base64.b64encode(self._authorization.encode()).decode().lower()
            assert headers["proxy-authorization"] == f"basic {expected}"
        method, target, _ = first.split(" ")
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            up_reader, up_writer = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            host, _, port = target.removeprefix("http://").partition("/")[0].rpartition(":")
            up_reader, up_writer = await asyncio.open_connection(host, int(port))
            path = "/" + target.removeprefix("http://").partition("/")[2]
            up_writer.write(head.replace(target, path, 1).encode("latin-1"))
        try:
            await asyncio.gather(pipe(reader, up_writer), pipe(up_reader, writer))
        finally:
            up_writer.close()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        if data.startswith((b"GET http://", b"POST http://")):  # a further request of a connection
            method, _, rest = data.partition(b" ")
            target, _, rest = rest.partition(b" ")
            data = method + b" /" + target.split(b"/", 3)[3] + b" " + rest
        writer.write(data)
        await writer.drain()
    writer.close()


# -- TLS


@each_transport
async def test_tls_server_is_verified_by_the_given_authority(transports: list[str]) -> None:
    async with echo_server(server_context()) as port:
        url = f"https://127.0.0.1:{port}"
        assert await echo(url, tls=ClientTls(ca=FIRST), transports=transports) is not None
        context = ssl.create_default_context(cafile=FIRST)
        assert await echo(url, tls=context, transports=transports) is not None
        assert await echo(url, tls=ClientTls(verify=False), transports=transports) is not None
        for tls in (None, ClientTls(ca=SECOND)):
            error = await failure(url, tls=tls, transports=transports)
            assert isinstance(error, ssl.SSLCertVerificationError)


async def test_server_name_of_the_certificate_is_checked() -> None:
    async with echo_server(server_context()) as port:
        url = f"https://127.0.0.1:{port}"
        tls = ClientTls(ca=FIRST, server_name="localhost")
        assert await echo(url, tls=tls) is not None
        error = await failure(url, tls=ClientTls(ca=FIRST, server_name="other.example"))
        assert isinstance(error, ssl.SSLCertVerificationError)


@each_transport
async def test_client_certificate_is_sent(transports: list[str]) -> None:
    async with echo_server(server_context(client_ca=SECOND)) as port:
        url = f"https://127.0.0.1:{port}"
        tls = ClientTls(ca=FIRST, certificate=SECOND, key=TLS / "second.key.pem")
        assert await echo(url, tls=tls, transports=transports) is not None
        error = await failure(url, tls=ClientTls(ca=FIRST), transports=transports)
        assert isinstance(error, OSError | TransportError)


async def test_plain_server_refuses_tls() -> None:
    async with echo_server() as port:
        error = await failure(f"https://127.0.0.1:{port}", tls=ClientTls(verify=False))
        assert isinstance(error, OSError)


# -- proxies


@each_transport
@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
async def test_connection_passes_through_the_proxy(transports: list[str], is_secure: bool) -> None:
    proxy = HttpProxy(authorization="user:p@ss")
    context = server_context() if is_secure else None
    async with echo_server(context) as port, proxy.run() as proxy_port:
        url = f"{'https' if is_secure else 'http'}://127.0.0.1:{port}"
        name = await echo(
            url,
            proxy=f"http://user:p%40ss@127.0.0.1:{proxy_port}",
            tls=ClientTls(ca=FIRST),
            transports=transports,
        )
        assert name is not None
    tunnel = f"CONNECT 127.0.0.1:{port} HTTP/1.1"
    plain = f"GET http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling HTTP/1.1"
    assert proxy.lines
    if is_secure or transports == ["websocket"]:
        assert set(proxy.lines) == {tunnel}
    else:
        assert proxy.lines[0] == plain
        assert (tunnel in proxy.lines) == ("websocket" in transports)


async def test_proxy_of_the_environment_is_used_unless_it_is_excluded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = HttpProxy()
    async with echo_server() as port, proxy.run() as proxy_port:
        url = f"http://127.0.0.1:{port}"
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy_port}")
        await echo(url)
        assert proxy.lines
        proxy.lines.clear()
        await echo(url, trust_env=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        await echo(url)
        assert proxy.lines == []
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.delenv("HTTP_PROXY")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy_port}")
        await echo(url)
        assert proxy.lines
        monkeypatch.setenv("ALL_PROXY", "ftp://127.0.0.1:1")
        with pytest.raises(ValueError, match="the proxy of the environment"):
            await AsyncClient(url).connect()


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (b"HTTP/1.1 407 Authentication required\r\nContent-Length: 0\r\n\r\n", "status 407"),
        (b"nonsense\r\n\r\n", "invalid response"),
        (b"", "the proxy closed the connection"),
    ],
)
async def test_refusal_of_the_proxy_is_reported(refusal: bytes, words: str) -> None:
    proxy = HttpProxy(refusal=refusal)
    async with proxy.run() as port:
        error = await failure(
            "http://127.0.0.1:9", proxy=f"http://127.0.0.1:{port}", transports=["websocket"]
        )
        assert words in str(error)


@each_transport
@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
async def test_connection_passes_through_the_socks_proxy(
    transports: list[str], is_secure: bool
) -> None:
    proxy = SocksServer(login="user:p@ss")
    context = server_context() if is_secure else None
    async with echo_server(context) as port, proxy.run() as proxy_port:
        name = await echo(
            f"{'https' if is_secure else 'http'}://127.0.0.1:{port}",
            proxy=f"socks5://user:p%40ss@127.0.0.1:{proxy_port}",
            tls=ClientTls(ca=FIRST),
            transports=transports,
        )
        assert name == transports[-1] or transports == ["polling", "websocket"]
    assert set(proxy.requests) == {f"5 address 127.0.0.1:{port}"}


@pytest.mark.parametrize(
    ("scheme", "request_line"),
    [
        ("socks5", "5 address 127.0.0.1"),
        ("socks5h", "5 name localhost"),
        ("socks4", "4 address 127.0.0.1"),
        ("socks4a", "4 name localhost"),
    ],
)
async def test_scheme_of_the_socks_proxy_selects_version_and_name_resolution(
    scheme: str, request_line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = SocksServer()
    async with echo_server() as port, proxy.run() as proxy_port:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy_port}")
        await echo(f"http://localhost:{port}")
    addresses = {line.replace("::1", "127.0.0.1") for line in proxy.requests}
    assert addresses == {f"{request_line}:{port}"}


@pytest.mark.parametrize(
    ("options", "user", "words"),
    [
        ({"reply": b"\x05\x02\x00\x01" + bytes(6)}, "", "not allowed"),
        ({"reply": b"\x05\x05\x00\x01" + bytes(6)}, "", "refused by destination"),
        ({"reply": b"HTTP/1.1 400 Bad request"}, "", "the SOCKS proxy refused the connection"),
        ({"reply": b""}, "", "the SOCKS proxy refused the connection"),
        ({"login": "user:password"}, "", "authentication method"),
        ({"login": "user:password"}, "user:wrong@", "authentication failure"),
        ({"login": "user:password"}, "user:p%C3%A4ss@", "cannot be encoded"),
    ],
    ids=["denied", "closed-port", "http", "end", "no-login", "wrong-login", "umlaut"],
)
async def test_refusal_of_the_socks_proxy_is_reported(
    options: dict[str, Any], user: str, words: str
) -> None:
    async with SocksServer(**options).run() as port:
        error = await failure("http://127.0.0.1:9", proxy=f"socks5://{user}127.0.0.1:{port}")
    assert isinstance(error, TransportError)
    assert words in str(error)


@each_transport
@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_absent_proxy_is_named(scheme: str, transports: list[str]) -> None:
    async with SocksServer().run() as port:
        pass
    error = await failure(
        "http://127.0.0.1:9", proxy=f"{scheme}://127.0.0.1:{port}", transports=transports
    )
    assert isinstance(error, ConnectionError)
    assert f"the connection to the proxy 127.0.0.1:{port} failed: " in str(error)


async def test_silent_socks_proxy_ends_the_attempt_with_the_timeout() -> None:
    async with SocksServer(is_silent=True).run() as port:
        error = await failure("http://127.0.0.1:9", proxy=f"socks5://127.0.0.1:{port}", timeout=0.2)
    assert isinstance(error, OSError | TransportError)


@pytest.mark.parametrize("source", ["option", "environment"])
async def test_missing_package_for_socks_is_an_error_with_the_remedy(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "python_socks", None)
    url = "socks5://127.0.0.1:1"
    monkeypatch.setenv("ALL_PROXY", url)
    client = AsyncClient("http://127.0.0.1:9", proxy=url if source == "option" else None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'hextrackr-server\[socks\]'"):
        client.start()

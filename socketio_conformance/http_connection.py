"""An HTTP client on one TCP connection, which can also send malformed requests.

Requests are bytes; h11 reads the responses. The connection may end at any time.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import h11

_ENDED = (ConnectionError, OSError)
# zlib reads the gzip format if 16 is added to the window size. RFC 9110, section 8.4.1.2: "deflate"
# is the zlib format.
_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class Response(NamedTuple):
    """A complete response; commas join the values of header lines with the same name."""

    status: int
    headers: dict[str, str]
    body: bytes

    def decoded(self) -> Response:
        """Return the response with its body decompressed. Raises ValueError for an invalid body."""
        window = _WINDOWS.get(self.headers.get("content-encoding", ""))
        if window is None:
            return self
        try:
            return self._replace(body=zlib.decompress(self.body, window))
        except zlib.error as error:
            raise ValueError(f"the body does not have its Content-Encoding: {error}") from None


class ConnectionCutError(Exception):
    """The end of a connection before the end of the response."""


class Address(NamedTuple):
    """The address of a server."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Address:
        """Parse a URL. Raises ValueError."""
        parts = urlsplit(url if "//" in url else f"//{url}", scheme="http")
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"the URL must be http://HOST:PORT, got {url}")
        return cls(parts.hostname, parts.port or 80)

    @property
    def host_header(self) -> str:
        """The value of a Host header."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class HttpConnection:
    """A connection that sends any bytes and reads one response at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._rest = b""
        self._reading: asyncio.Task[Response] | None = None

    @classmethod
    async def open(cls, address: Address) -> HttpConnection:
        """Open the TCP connection. Raises OSError."""
        return cls(*await asyncio.open_connection(address.host, address.port))

    def write(self, data: bytes) -> None:
        """Write bytes; `response` reports a lost connection."""
        self._writer.write(data)

    def expect(self, method: str, target: str, *, upgrades: bool = False) -> None:
        """Start reading the response to a request with this method."""
        self._reading = asyncio.create_task(self._read(method, target, upgrades))

    async def response(self) -> Response:
        """Return the response. Can be canceled and called again. Raises ConnectionCutError."""
        assert self._reading is not None, "a request was sent"
        return await asyncio.shield(self._reading)

    @property
    def is_done(self) -> bool:
        """Whether the response is complete or the connection has ended."""
        return self._reading is not None and self._reading.done()

    async def _read(self, method: str, target: str, upgrades: bool) -> Response:
        parser = h11.Connection(h11.CLIENT)
        headers = [("Host", "host")]
        if upgrades:
            headers += [("Upgrade", "websocket"), ("Connection", "Upgrade")]
        parser.send(h11.Request(method=method, target=target, headers=headers))
        parser.send(h11.EndOfMessage())
        if self._rest:
            parser.receive_data(self._rest)
        head: h11.Response | h11.InformationalResponse | None = None
        body = b""
        is_at_end = False
        while True:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError as error:
                reason = "the connection ended" if is_at_end else f"invalid HTTP: {error}"
                raise ConnectionCutError(reason) from None
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                head = event
                break
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionCutError("the connection ended")
            elif event is h11.NEED_DATA:
                data = await self._read_some()
                is_at_end = not data
                parser.receive_data(data)
        self._rest = parser.trailing_data[0]
        assert head is not None, "a message has a head"
        return Response(head.status_code, _join(head), body)

    async def _read_some(self) -> bytes:
        try:
            return await self._reader.read(65536)
        except _ENDED:
            return b""

    def detach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        """Release the TCP connection, with the bytes after the response."""
        return self._reader, self._writer, self._rest

    def abort(self) -> None:
        """Abort the TCP connection at once."""
        if self._reading is not None:
            self._reading.cancel()
        self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection and discard an unread response."""
        reading = self._reading
        if reading is not None and not reading.cancelled():
            reading.add_done_callback(_retrieve_exception)
            reading.cancel()
        self._writer.transport.abort()


def _retrieve_exception(task: asyncio.Task[Response]) -> None:
    """Retrieve the exception of a read, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()


def _join(head: h11.Response | h11.InformationalResponse) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def encode_request(
    method: str,
    target: str,
    host: str,
    headers: Mapping[str, str | None],
    body: bytes | None = None,
    *,
    chunk_size: int | None = None,
    length: int | None = None,
) -> bytes:
    """Return the bytes of a request.

    Without `chunk_size`, the body is sent as a whole. `length` replaces the correct Content-Length.
    A header whose value is None is not sent, even if it is a default header.
    """
    lines: dict[str, str | None] = {"Host": host}
    payload = body or b""
    if chunk_size is not None:
        lines["Transfer-Encoding"] = "chunked"
        payload = _chunked(payload, chunk_size)
    elif body is not None or length is not None:
        lines["Content-Length"] = str(len(payload) if length is None else length)
    names = {name.lower() for name in headers}
    lines = {name: value for name, value in lines.items() if name.lower() not in names}
    head = [f"{method} {target} HTTP/1.1"]
    head += [f"{k}: {v}" for k, v in {**lines, **headers}.items() if v is not None]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + payload


def _chunked(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"

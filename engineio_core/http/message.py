"""HTTP requests and responses as values, and the encoding of response heads.

Parsers and connections use these values; `grammar` owns the patterns.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Iterable
from email.utils import formatdate
from http import HTTPStatus
from time import time
from typing import Any, Final, Protocol, final
from urllib.parse import unquote_plus

from engineio_core.http.grammar import is_field_value, is_target, is_token
from engineio_core.subclassing import mypyc_attr

TEXT_PLAIN: Final = ("Content-Type", "text/plain; charset=UTF-8")
JAVASCRIPT: Final = ("Content-Type", "text/javascript; charset=UTF-8")
TEXT_HTML: Final = ("Content-Type", "text/html")
OCTET_STREAM: Final = ("Content-Type", "application/octet-stream")
JSON: Final = ("Content-Type", "application/json")
# The header name is written as Node's server writes it.
NO_STORE: Final = ("cache-control", "no-store")

logger = logging.getLogger("engineio_core")

_logged: set[str] = set()
MAX_LOGGED: Final = 100  # different errors of headers

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus
}


# A session keeps its request, and many small strings cost more memory than their text.
MAX_QUERY_PARTS: Final = 128
MAX_HEADER_LINES: Final = 128


@mypyc_attr(native_class=False)
@mypyc_attr(native_class=False)
class InvalidTargetError(ValueError):
    """A request target violates RFC 9112 or a limit of this server."""


@final
class HttpRequest:
    """The head of one request, and the address of the client.

    `headers` has lower-case names; duplicates are joined as in Node. `query` has the last value of
    each key. `remote_address`, `remote_port` (0 if unknown), `secure` and `host` describe the
    client; trusted proxies can override them. `response_headers` are sent with every response to
    the request: CORS and middlewares write them. `state` is for values that middlewares pass on to
    handlers.
    """

    # A session keeps its request: empty dicts and a copy of the query would take 250 bytes.
    __slots__ = (
        "_response_headers",
        "_state",
        "headers",
        "host",
        "is_upgrade",
        "method",
        "path",
        "query",
        "remote_address",
        "remote_port",
        "secure",
        "target",
    )

    def __init__(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        *,
        remote_address: str = "",
        remote_port: int = 0,
        secure: bool = False,
        is_checked: bool = False,
    ) -> None:
        """Create a request; `is_checked` means that the characters of `target` are valid."""
        self.method = method
        self.target = target
        self.path, query = split_target(target, is_checked=is_checked)
        self.query = parse_query(query)
        self.headers = headers
        self.host = headers.get("host", "")
        self.remote_address = remote_address
        self.remote_port = remote_port
        self.secure = secure
        self.is_upgrade = headers.get("upgrade", "").lower() == "websocket"
        self._response_headers: dict[str, str] | None = None
        self._state: dict[str, Any] | None = None

    @property
    def query_string(self) -> str:
        """The query of the target, not decoded."""
        return split_target(self.target)[1]

    @property
    def response_headers(self) -> dict[str, str]:
        """The headers that are sent with every response to the request."""
        if self._response_headers is None:
            self._response_headers = {}
        return self._response_headers

    @response_headers.setter
    def response_headers(self, headers: dict[str, str]) -> None:
        self._response_headers = headers

    @property
    def state(self) -> dict[str, Any]:
        """The values that middlewares pass on to handlers."""
        if self._state is None:
            self._state = {}
        return self._state

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._state = state

    @property
    def url(self) -> str:
        """The request target, as the client sent it: path and query."""
        return self.target

    def __repr__(self) -> str:
        return f"HttpRequest({self.method} {self.path})"


@final
class HttpResponse:
    """A complete response: status, header lines in order, body."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: int, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        self.status = status
        self.body = body
        # Compiled code checks annotated types, and applications pass other values.
        self.headers: list[tuple[Any, Any]] = list(headers)


class Responder(Protocol):
    """One request that waits for its response, as a transport sees it.

    The first call of `respond` counts; later calls, and calls after the client left, do nothing.
    The connection calls `on_abort` if the client leaves before the response.
    """

    request: HttpRequest
    on_abort: Callable[[], None]

    def respond(self, response: HttpResponse) -> None:
        """Send the response, unless one was sent before."""

    def respond_ok(self, content_type: tuple[str, str], body: bytes) -> None:
        """Send a response with status 200, a content type, and no other header of its own.

        The request has a method that permits a body. No cache stores the response.
        """

    def read_body(
        self, limit: int, done: Callable[[bytes], None], too_large: Callable[[str], None]
    ) -> None:
        """Collect the body; call `done(body)`, or `too_large(description)` above `limit` bytes."""

    @property
    def body_amount(self) -> int:
        """The number of bytes of the body that have arrived."""

    def abort(self) -> None:
        """Abort the connection without a response."""


def plain_address(text: str) -> str:
    """Return an IPv4-mapped IPv6 address in its IPv4 form, and any other text unchanged.

    A dual-stack socket reports an IPv4 client as `::ffff:192.0.2.1` (RFC 4291, section 2.5.5.2).
    """
    try:
        mapped = ipaddress.IPv6Address(text).ipv4_mapped
    except ValueError:
        return text
    return text if mapped is None else str(mapped)


def split_target(target: str, *, is_checked: bool = False) -> tuple[str, str]:
    """Split a request target into path and query. Raises InvalidTargetError.

    `is_checked` means that the characters of the target are valid.
    """
    if not (is_checked or is_target(target)):
        raise InvalidTargetError("the request target must consist of visible ASCII characters")
    if target == "*":
        return "*", ""  # RFC 9112, section 3.2.4: OPTIONS for the server as a whole
    if not target.startswith("/"):
        # RFC 9112, section 3.2.2: a server MUST accept the absolute-form in requests.
        scheme, separator, rest = target.partition("://")
        if not separator or scheme.lower() not in {"http", "https"}:
            raise InvalidTargetError("the request target must be a path or an http URL")
        target = "/" + rest.partition("/")[2]
    path, _, query = target.partition("?")
    return _USUAL_PATHS.get(path, path), query.partition("#")[0]


# Texts of almost every request of a client: all sessions share one string for each.
_USUAL_PATHS: Final = {path: path for path in ("/socket.io/", "/engine.io/")}
_USUAL_PARTS: Final = {
    "EIO=4": ("EIO", "4"),
    "transport=polling": ("transport", "polling"),
    "transport=websocket": ("transport", "websocket"),
}


def parse_query(query: str) -> dict[str, str]:
    """Parse a query string; the last of equal keys wins, invalid escapes stay unchanged.

    Raises InvalidTargetError for more than MAX_QUERY_PARTS parts.
    """
    values: dict[str, str] = {}
    parts = query.split("&", MAX_QUERY_PARTS)
    if len(parts) > MAX_QUERY_PARTS:
        raise InvalidTargetError(f"a query must have at most {MAX_QUERY_PARTS} parts")
    is_escaped = "%" in query or "+" in query
    for part in parts:
        if part in _USUAL_PARTS:
            key, value = _USUAL_PARTS[part]
        elif part:
            key, _, value = part.partition("=")
            if is_escaped:
                key, value = unquote_plus(key), unquote_plus(value)
        else:
            continue
        values[key] = value
    return values


def join_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return header lines as a dict: names in lower case, equal names joined by a comma."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1")
        if name in headers:
            # RFC 6265, section 5.4: a semicolon separates cookies.
            separator = "; " if name == "cookie" else ", "
            headers[name] = f"{headers[name]}{separator}{value}"
        else:
            headers[name] = value
    return headers


def encode_response(
    response: HttpResponse, extra: dict[Any, Any], *, close: bool, head_only: bool = False
) -> bytes:
    """Return the bytes of a response. Raises ValueError for an invalid header."""
    parts = [_STATUS_LINES.get(response.status) or f"HTTP/1.1 {response.status} \r\n"]
    parts += [encode_header(name, value) for name, value in response.headers]
    if extra:
        parts += encode_added_headers(extra.items())
    if response.status not in {204, 304}:
        parts.append(f"Content-Length: {len(response.body)}\r\n")
    elif response.status == 204:
        parts.append("Content-Length: 0\r\n")
    lines = "".join(parts)
    if "\r\ndate:" not in lines.lower():
        lines += _date_line().decode()
    head = (lines + ("Connection: close\r\n\r\n" if close else "\r\n")).encode("latin-1")
    return head if head_only else head + response.body


def encode_stream_head(
    status: int, headers: Iterable[tuple[Any, Any]], *, chunked: bool, close: bool
) -> bytes:
    """Return the head of a streamed response. Raises ValueError for an invalid header."""
    parts = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"]
    parts += [encode_header(name, value) for name, value in headers]
    if chunked:
        parts.append("Transfer-Encoding: chunked\r\n")
    lines = "".join(parts)
    if "\r\ndate:" not in lines.lower():
        lines += _date_line().decode()
    return (lines + ("Connection: close\r\n\r\n" if close else "\r\n")).encode("latin-1")


class _Date:
    """The Date header line (RFC 9110, section 6.6.1), and the second for which it is valid."""

    __slots__ = ("line", "second")

    def __init__(self) -> None:
        self.line = b""
        self.second = 0


_date: Final = _Date()


def _date_line() -> bytes:
    now = int(time())
    if now != _date.second:
        _date.second = now
        _date.line = f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
    return _date.line


def encode_ok(content_type: tuple[str, str], body: bytes) -> bytes:
    """Return the bytes of a response of polling: like `encode_response`, without its checks."""
    lines = _OK_LINES.get(content_type)
    if lines is None:
        return encode_response(HttpResponse(200, body, (content_type, NO_STORE)), {}, close=False)
    return b"%bContent-Length: %d\r\n%b\r\n%b" % (lines, len(body), _date_line(), body)


# The first lines of the responses of polling, by content type
_OK_LINES: Final = {
    kind: f"HTTP/1.1 200 OK\r\nContent-Type: {kind[1]}\r\n{NO_STORE[0]}: {NO_STORE[1]}\r\n".encode()
    for kind in (TEXT_PLAIN, TEXT_HTML, OCTET_STREAM, JAVASCRIPT)
}


def encode_header(name: object, value: object) -> str:
    """Return one header line, or one per item of a list, as in Node.

    Raises ValueError for characters that would break the head.
    """
    if type(value) is not str:
        if isinstance(value, list | tuple):
            return "".join([encode_header(name, each) for each in value])
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
    if not (isinstance(name, str) and is_token(name)):
        raise ValueError(f"a header name must be a token (RFC 9110, section 5.6.2), got {name!r}")
    if not isinstance(value, str):
        remedy = "decode it" if isinstance(value, bytes) else "write a string, or leave it out"
        raise ValueError(
            f"the header {name!r} must be a string, a number or a list of them, "
            f"got {type(value).__name__}: {remedy}"
        )
    if not is_field_value(value):
        raise ValueError(
            f"the header {name!r} must be Latin-1 text without control characters: escape the "
            "value, for example with urllib.parse.quote"
        )
    return f"{name}: {value}\r\n"


def encode_added_headers(headers: Iterable[tuple[Any, Any]]) -> list[str]:
    """Return the lines of the headers that hooks and middlewares have added.

    An invalid header is left out and logged once, so that clients can connect nevertheless.
    """
    return [_encode_or_log(name, value) for name, value in headers]


def valid_headers(headers: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return the headers that `encode_added_headers` does not leave out."""
    return [(name, value) for name, value in headers if _encode_or_log(name, value)]


def _encode_or_log(name: Any, value: Any) -> str:
    try:
        return encode_header(name, value)
    except ValueError as error:
        if len(_logged) < MAX_LOGGED and (text := str(error)) not in _logged:
            _logged.add(text)
            logger.error("responses are sent without a header of a hook or middleware: %s", text)
        return ""

"""A fast reader of usual request heads, in the strictest form of RFC 9112 that clients send.

All other heads are left to h11, which decides whether they are valid (see `connection`).
"""

from __future__ import annotations

import re
from typing import Final, final

from engineio_core.http.grammar import HEADER_LINE, TARGET_CHARACTERS
from engineio_core.http.message import MAX_HEADER_LINES

# Two patterns check the whole head: token names, values without controls, no folding, CRLF after
# every line. The quantifiers are possessive: matching takes linear time.
_REQUEST_LINE: Final = re.compile(rf"(GET|POST) ([{TARGET_CHARACTERS}]++) HTTP/1\.1\r\n")
_HEADER_LINES: Final = re.compile(rf"(?:{HEADER_LINE})++")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
# Texts of almost every request: all sessions share one string for each, and no name is converted.
_USUAL_NAMES: Final = {
    spelling: name.lower()
    for name in (
        "Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Connection",
        "Content-Length", "Content-Type", "Cookie", "Host", "Origin", "Pragma", "Referer",
        "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Upgrade", "User-Agent", "X-Forwarded-For",
        "X-Forwarded-Host", "X-Forwarded-Proto",
    )
    for spelling in (name, name.lower())
}  # fmt: skip
_USUAL_VALUES: Final = {
    value: value
    for value in ("*/*", "13", "Upgrade", "cors", "empty", "keep-alive", "no-cache", "same-origin",
                  "same-site", "upgrade", "websocket",
                  "permessage-deflate; client_max_window_bits")
}  # fmt: skip
_RARE: Final = ("transfer-encoding", "expect", "trailer")


@final
class HeaderLines:
    """The valid header lines of a request: their bytes, and the values that they contain."""

    __slots__ = ("body_length", "data", "headers", "keep_alive")

    def __init__(self, data: bytes, headers: dict[str, str], body_length: int) -> None:
        self.data = data
        self.headers = headers
        self.body_length = body_length
        self.keep_alive = "close" not in headers.get("connection", "").lower()


@final
class Head:
    """A request head; the body begins at the position `end`."""

    __slots__ = ("end", "lines", "method", "target")

    def __init__(self, method: str, target: str, lines: HeaderLines, end: int) -> None:
        self.method = method
        self.target = target
        self.lines = lines
        self.end = end


def read_head(data: bytes, limit: int, known: HeaderLines | None = None) -> Head | None:
    """Return the head at the start of `data`, or None if h11 must read it.

    `known` are the header lines of the former request of the connection. Clients repeat them, and
    equal bytes have equal values.
    """
    end = data.find(b"\r\n\r\n") + 4
    if not 4 <= end <= limit:
        return None
    start = data.find(b"\r\n") + 2
    match = _REQUEST_LINE.fullmatch(data[:start].decode("latin-1"))
    if match is None:
        return None
    raw = data[start : end - 2]
    lines = known if known is not None and raw == known.data else read_lines(raw)
    if lines is None:
        return None
    method, target = match.groups()
    return Head(method, target, lines, end)


def read_lines(data: bytes) -> HeaderLines | None:
    """Return header lines with the values that they contain, or None if h11 must read them."""
    text = data.decode("latin-1")
    if _HEADER_LINES.fullmatch(text) is None:
        return None
    parts = text[:-2].split("\r\n")
    if len(parts) > MAX_HEADER_LINES:
        return None
    headers: dict[str, str] = {}
    for line in parts:
        spelling, _, value = line.partition(":")
        name = _USUAL_NAMES.get(spelling) or spelling.lower()
        value = value.strip(" \t")
        headers[name] = _USUAL_VALUES.get(value, value)
    if len(headers) < len(parts) or "host" not in headers:
        return None  # a repeated name, or no host
    for name in _RARE:
        if name in headers:
            return None
    length = headers.get("content-length")
    if length is None:
        return HeaderLines(data, headers, 0)  # RFC 9112, section 6.3: no length, no body
    return HeaderLines(data, headers, int(length)) if _LENGTH.fullmatch(length) else None

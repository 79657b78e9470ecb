"""A fast reader of usual request heads, in the strictest form of RFC 9112 that clients send.

All other heads are left to h11, which decides whether they are valid (see `connection`).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from engineio_core.http.grammar import HEADER_LINE, TARGET_CHARACTERS
from engineio_core.http.message import MAX_HEADER_LINES

# One pattern checks the whole head: token names, values without controls, no folding, CRLF after
# every line. The quantifiers are possessive: matching takes linear time.
_HEAD: Final = re.compile(
    rf"(GET|POST) ([{TARGET_CHARACTERS}]++) HTTP/1\.1\r\n((?:{HEADER_LINE})++)\r\n"
)
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_RARE: Final = ("transfer-encoding", "expect", "trailer")


class Head(NamedTuple):
    """A request head, the position of its end, and the length of the body in bytes."""

    method: str
    target: str
    headers: dict[str, str]
    end: int
    body_length: int


def read_head(data: bytes, limit: int) -> Head | None:
    """Return the head at the start of `data`, or None if h11 must read it."""
    end = data.find(b"\r\n\r\n") + 4
    if not 4 <= end <= limit:
        return None
    match = _HEAD.fullmatch(data[:end].decode("latin-1"))
    if match is None:
        return None
    method, target, lines = match.groups()
    headers: dict[str, str] = {}
    parts = lines[:-2].split("\r\n")
    if len(parts) > MAX_HEADER_LINES:
        return None
    for line in parts:
        name, _, value = line.partition(":")
        name = name.lower()
        if name in headers:
            return None
        headers[name] = value.strip(" \t")
    if "host" not in headers:
        return None
    for name in _RARE:
        if name in headers:
            return None
    length = headers.get("content-length")
    if length is None:
        # RFC 9112, section 6.3: a request without a length has no body.
        return Head(method, target, headers, end, 0)
    if not _LENGTH.fullmatch(length):
        return None
    return Head(method, target, headers, end, int(length))

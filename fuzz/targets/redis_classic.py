"""Messages of the classic Redis adapter, executed by an adapter with sockets.

The first byte of an input selects the channel: a broadcast, a request or an answer.
"""

from __future__ import annotations

import base64

from fuzz.adapters import execute, recorded_messages
from fuzz.target import JSON_BORDERS, Target
from socketio_core.adapters.cluster.message import Message, MessageError
from socketio_core.adapters.redis.classic_format import (
    OldRequest,
    read_broadcast,
    read_request,
    read_response,
)

READERS = {b"b": read_broadcast, b"q": read_request, b"a": read_response}


def run(data: bytes) -> None:
    """Read a message, and execute it on a server."""
    try:
        found = READERS.get(data[:1], read_request)(data[1:], "/")
    except MessageError:
        return
    message = found.message if isinstance(found, OldRequest) else found
    assert found is None or isinstance(found, OldRequest | Message)
    if message is not None:
        execute(message)


def seeds() -> list[bytes]:
    """Return the recorded messages of the official adapter and emitter."""
    found = []
    for each in recorded_messages("classic", "emitter", "classic-specific"):
        channel = each.get("channel", "")
        kind = b"b" if "request" not in channel and "response" not in channel else b"q"
        kind = b"a" if "response" in channel else kind
        if "base64" in each:
            found.append(kind + base64.b64decode(each["base64"]))
        elif "text" in each:
            found.append(kind + each["text"].encode())
    return found


TARGET = Target(
    "classic Redis adapter: broadcasts, requests and answers, executed by an adapter",
    seeds,
    run,
    (
        b'q{"type":2', b'"uid":"a"', b'"requestId":"1"', b'"sid":"a"', b'"room":"red"',
        b'"opts":{"rooms":["red"],"except":[]}', b'"rooms":["red"]', b'"close":true',
        b'"data":["x"]',
        b'a{"type":8', b'"clientCount":1', b'"sockets":[]', b"\xa5rooms\x90", b"\xa4type\x02",
        b"\xa3nsp\xa1/", b"null", b"{}", b"[]", b"1.0", b"true", b"3", b"4", b"5", b"6", b"7",
    ),
    borders=JSON_BORDERS,
)  # fmt: skip

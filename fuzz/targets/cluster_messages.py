"""Messages between servers: decoded, encoded again, and executed by an adapter with sockets.

The format is that of the sharded Redis adapter, of Redis Streams and of the cluster adapter.
"""

from __future__ import annotations

import json

from fuzz.adapters import execute, recorded_messages
from fuzz.target import JSON_BORDERS, Target
from socketio_core.adapters.cluster.message import MessageError, decode_message, encode_message


def run(data: bytes) -> None:
    """Decode a message, and execute it on a server."""
    try:
        message = decode_message(data)
    except MessageError:
        return
    try:
        wire = encode_message(message)
    except (ValueError, TypeError):
        pass  # integers beyond 64 bits, keys that are not strings
    else:
        again = decode_message(wire)
        assert decode_message(encode_message(again)) == again
    execute(message)


def seeds() -> list[bytes]:
    """Return the recorded messages of the official adapters."""
    found = []
    for each in recorded_messages("cluster", "sharded-static", "sharded-dynamic"):
        if "text" in each:
            found.append(each["text"].encode())
        elif isinstance(each.get("value"), dict):
            found.append(json.dumps(each["value"]).encode())
    return found


TARGET = Target(
    "cluster messages (sharded Redis, Streams, workers), executed by an adapter",
    seeds,
    run,
    (
        b'{"type":3', b'"uid":"a"', b'"nsp":"/"', b'"data":', b'"packet":{"type":2,"data":["x"]}',
        b'"opts":{"rooms":["red"],"except":["a"],"flags":{"timeout":1}}', b'"requestId":"1"',
        b'"rooms":["red"]', b'"close":true', b'"clientCount":1', b'"sockets":[]', b"null", b"[]",
        b"{}", b"-1", b"1e999", b"\\ud800", b'"disconnect"', b"[[[[", b"4", b"5", b"6", b"7", b"9",
    ),
    borders=JSON_BORDERS,
)  # fmt: skip

"""Messages between servers: decoded, encoded again, and executed by an adapter with sockets.

The format is that of the sharded Redis adapter, of Redis Streams and of the cluster adapter.
"""

from __future__ import annotations

import json
from typing import Any

from fuzz.adapters import VECTORS, Server
from fuzz.escapes import Escapes
from fuzz.target import Target
from socketio_core.adapters.cluster.message import MessageError, decode_message, encode_message

ESCAPES = Escapes("socketio_core")


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
    with ESCAPES:
        server = Server()
        server.adapter.on_message(message)
        server.check()


def seeds() -> list[bytes]:
    """Return the recorded messages of the official adapters."""
    found = []
    for name in ("cluster", "sharded-static", "sharded-dynamic"):
        content: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text())
        for each in content["messages"]:
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
)  # fmt: skip

"""Precomputed bytes of a Socket.IO client: handshakes, masked frames, payloads of a given size.

`websocket_client` and `polling_client` send the bytes.
"""

from __future__ import annotations

import json
import zlib

from msgspec import msgpack

HOST = b"Host: 127.0.0.1\r\n"
# The request headers of the official client on Node, and of a browser.
PLAIN_HEADERS = (
    HOST + b"User-Agent: node-XMLHttpRequest\r\nAccept: */*\r\nConnection: keep-alive\r\n"
)
BROWSER_HEADERS = HOST + (
    b"Connection: keep-alive\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/126.0.0.0 Safari/537.36\r\n"
    b"Accept: */*\r\nReferer: http://127.0.0.1/\r\nSec-Fetch-Dest: empty\r\n"
    b"Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n"
)

TEXT = 0x81
BINARY = 0x82
DEFLATED_TEXT = 0xC1
MASK = b"\0\0\0\0"  # a valid mask that leaves the payload unchanged

CLOSE_FRAME = b"\x88\x82" + MASK + b"\x03\xe8"


def frame(payload: bytes, first: int = TEXT) -> bytes:
    """Return a masked client frame."""
    length = len(payload)
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 65536:
        head = bytes((first, 0xFE)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + length.to_bytes(8, "big")
    return head + MASK + payload


def deflated_frame(payload: bytes) -> bytes:
    """Return a frame compressed without context takeover (RFC 7692, section 7.2.1)."""
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return frame(data[:-4], DEFLATED_TEXT)


CONNECT = frame(b"40")
PONG = frame(b"3")
PROBE = frame(b"2probe")
UPGRADE = frame(b"5")


def websocket_handshake(sid: str = "", *, deflate: bool = False, headers: bytes = b"") -> bytes:
    """Return the request that opens a WebSocket; `headers` are additional lines."""
    query = f"EIO=4&transport=websocket{'&sid=' + sid if sid else ''}".encode()
    extensions = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    return (
        b"GET /socket.io/?" + query + b" HTTP/1.1\r\n" + HOST
        + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        + (extensions if deflate else b"") + headers + b"\r\n"
    )  # fmt: skip


def polling_get(sid: str = "", headers: bytes = PLAIN_HEADERS) -> bytes:
    """Return a poll request; without a sid, the request opens a session."""
    query = f"EIO=4&transport=polling{'&sid=' + sid if sid else ''}".encode()
    return b"GET /socket.io/?" + query + b" HTTP/1.1\r\n" + headers + b"\r\n"


def polling_post(sid: str, body: bytes, headers: bytes = PLAIN_HEADERS) -> bytes:
    """Return the request that sends packets to the server."""
    return (
        b"POST /socket.io/?EIO=4&transport=polling&sid=" + sid.encode() + b" HTTP/1.1\r\n"
        + headers + b"Content-type: text/plain;charset=UTF-8\r\n"
        + b"Content-Length: %d\r\n\r\n" % len(body) + body
    )  # fmt: skip


def payload(size: int) -> bytes:
    """Return a JSON object of `size` bytes."""
    record = {"id": 417, "kind": "update", "done": False, "text": ""}
    missing = size - len(json.dumps(record, separators=(",", ":")))
    text = "the quick brown fox jumps over the lazy dog " * (missing // 44 + 1)
    record["text"] = text[:missing]
    return json.dumps(record, separators=(",", ":")).encode()


def event(name: str, data: bytes, ack_id: int | None = None) -> bytes:
    """Return the Engine.IO message of an event."""
    return b'42%b["%b",%b]' % (b"" if ack_id is None else b"%d" % ack_id, name.encode(), data)


MSGPACK_CONNECT = frame(msgpack.encode({"type": 0, "nsp": "/"}), BINARY)


def msgpack_event_frame(name: str, data: bytes, ack_id: int) -> bytes:
    """Return the frame of an event whose data is JSON, encoded with MessagePack."""
    packet = {"type": 2, "nsp": "/", "data": [name, json.loads(data)], "id": ack_id}
    return frame(msgpack.encode(packet), BINARY)


def binary_event_frames(name: str, size: int, ack_id: int) -> bytes:
    """Return the two frames of an event with one attachment."""
    text = b'451-%d["%b",{"_placeholder":true,"num":0}]' % (ack_id, name.encode())
    return frame(text) + frame(bytes(range(256)) * (size // 256), BINARY)

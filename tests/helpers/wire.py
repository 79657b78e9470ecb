"""Functions that build the bytes of clients and parse the bytes of servers."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

WEBSOCKET_HEADERS = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def http_request(
    method: str,
    target: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    *,
    version: str = "1.1",
) -> bytes:
    """Return a request; add Content-Length for a body unless the headers define its length."""
    lines = list(headers.items() if isinstance(headers, Mapping) else headers)
    names = {name.lower() for name, _ in lines}
    if "host" not in names:
        lines.insert(0, ("Host", "server.example"))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(("Content-Length", str(len(body))))
    head = f"{method} {target} HTTP/{version}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines)
    return head.encode("latin-1") + b"\r\n" + (body or b"")


def chunked(body: bytes, size: int = 5) -> bytes:
    """Return a body in the chunked transfer coding."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def client_frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """Return one WebSocket frame of a client."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    length, bit = len(payload), 0x80 if masked else 0
    if length < 126:
        head = bytes((first, bit | length))
    elif length < 65536:
        head = bytes((first, bit | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    # Derived from the frame: parallel test workers must collect the same test IDs.
    mask = zlib.crc32(head + payload).to_bytes(4, "big")
    repeated = mask * (length // 4 + 1)
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[:length], "big")
    return head + mask + number.to_bytes(length, "big")


def text_frame(text: str) -> bytes:
    return client_frame(TEXT, text.encode())


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool = True
    rsv1: bool = False


def parse_frames(data: bytes) -> tuple[list[Frame], bytes]:
    """Parse the frames of a server; return the frames and the bytes of an incomplete one."""
    frames: list[Frame] = []
    position = 0
    while len(data) - position >= 2:
        first, length = data[position], data[position + 1]
        assert not length & 0x80, "frames of a server must not be masked"
        start = position + 2
        if length == 126:
            length, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        elif length == 127:
            length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        if len(data) < start + length:
            break
        frames.append(
            Frame(
                first & 0xF,
                data[start : start + length],
                bool(first & 0x80),
                bool(first & 0x40),
            )
        )
        position = start + length
    return frames, data[position:]


class Response(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the value of a header; join lines with the same name by commas."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


def parse_responses(data: bytes, *, head_only: bool = False) -> tuple[list[Response], bytes]:
    """Parse the responses in `data`; return them and the rest.

    The rest is an incomplete response, or the frames after a 101.
    """
    responses: list[Response] = []
    while b"\r\n\r\n" in data:
        head, _, rest = data.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        assert status_line.startswith("HTTP/1.1 "), status_line
        headers = []
        for line in lines:
            name, separator, value = line.partition(": ")
            assert separator, f"invalid header line: {line!r}"
            headers.append((name, value))
        status = int(status_line.split(" ")[1])
        response = Response(status, headers, b"")
        if status in {100, 101, 204, 304} or head_only:
            body = b""
        elif (response.header("transfer-encoding") or "") == "chunked":
            unchunked = _unchunk(rest)
            if unchunked is None:
                break
            body, rest = unchunked
        elif (length := response.header("content-length")) is None:
            body, rest = rest, b""  # the body ends with the connection
        else:
            if len(rest) < int(length):
                break
            body, rest = rest[: int(length)], rest[int(length) :]
        responses.append(response._replace(body=body))
        data = rest
        if status == 101:
            break
    return responses, data


def _unchunk(data: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while b"\r\n" in data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if len(data) < length + 2:
            return None
        body, data = body + data[:length], data[length + 2 :]
        if length == 0:
            return body, data
    return None


# -- segmentation of received bytes

Delivery = Callable[[Callable[[bytes], None], bytes], None]


def whole(receive: Callable[[bytes], None], data: bytes) -> None:
    """Deliver everything in one segment."""
    receive(data)


def byte_by_byte(receive: Callable[[bytes], None], data: bytes) -> None:
    """Deliver a segment for each byte."""
    for position in range(len(data)):
        receive(data[position : position + 1])


def split(receive: Callable[[bytes], None], data: bytes) -> None:
    """Deliver segments of changing, odd sizes."""
    position, size = 0, 1
    while position < len(data):
        receive(data[position : position + size])
        position, size = position + size, size % 17 + 3


DELIVERIES: tuple[Delivery, ...] = (whole, byte_by_byte, split)

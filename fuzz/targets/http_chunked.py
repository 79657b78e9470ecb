"""Chunked bodies: divided and in one piece, and against h11."""

from __future__ import annotations

import h11

from engineio_core.http.chunked import MAX_LINE, MAX_TRAILERS, ChunkedReader
from fuzz.pieces import divide
from fuzz.target import Target

_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def read(pieces: list[bytes]) -> tuple[bytes, bytes | None]:
    """Return the body, and the bytes behind it: None if the body is incomplete or invalid."""
    reader = ChunkedReader()
    body = b""
    for number, piece in enumerate(pieces):
        reader.feed(piece)
        try:
            while found := reader.next_piece():
                body += found
        except h11.RemoteProtocolError:
            return body, None
        if found is not None:
            return body, reader.take_rest() + b"".join(pieces[number + 1 :])
        assert len(reader._buffer) <= MAX_LINE + MAX_TRAILERS
    return body, None


def read_with_h11(data: bytes) -> tuple[bytes, bytes | None]:
    """Return the same as `read`, by h11."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(_HEAD + data)
    body = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return body, connection.trailing_data[0]
            elif not isinstance(event, h11.Request):
                return body, None
    except h11.RemoteProtocolError:
        return body, None


def run(data: bytes) -> None:
    """Compare one piece with many, and with h11 where both accept the body."""
    found = read([data])
    assert read(divide(data)) == found
    expected = read_with_h11(data)
    if found[1] is not None and expected[1] is not None:
        assert found == expected


TARGET = Target(
    "chunked request bodies; divided, and against h11",
    lambda: (
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;a=b\r\nhello\r\n1 \t;c=\"d\"\r\n \r\n000\r\nTrailer: x\r\nB:y\r\n\r\nGET /",
        b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n0\r\n\r\n",
        b"0\n\n", b"fffffffffffffff\r\n", b"-1\r\n", b"5\r\nhello0\r\n\r\n",
    ),
    run,
    (b"\r\n", b"\n", b"0\r\n\r\n", b"1\r\na\r\n", b";", b" ", b"\t", b"ff\r\n"),
    longest=300,
)  # fmt: skip

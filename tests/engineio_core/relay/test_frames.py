"""Frames of a link: splitting of the byte stream, and structured bodies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_core.http.message import HttpRequest
from engineio_core.relay.frames import (
    Closed,
    FrameSplitter,
    Kind,
    LinkError,
    Opened,
    RelayedRequest,
    decode,
    encode,
    encode_frame,
)


@given(
    st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=300)), max_size=8),
    st.lists(st.integers(min_value=1, max_value=200), min_size=1, max_size=20),
)
def test_frames_are_equal_for_any_division_of_the_stream(
    sent: list[tuple[Kind, bytes]], sizes: list[int]
) -> None:
    stream = b"".join(encode_frame(kind, body) for kind, body in sent)
    received: list[tuple[int, bytes]] = []
    splitter = FrameSplitter(lambda kind, body: received.append((kind, body)))
    number = 0
    while stream:
        size = sizes[number % len(sizes)]
        splitter.feed(stream[:size])
        stream, number = stream[size:], number + 1
    assert received == [(int(kind), body) for kind, body in sent]


@pytest.mark.parametrize("length", [b"\x00\x00\x00\x00", b"\xff\xff\xff\xff"])
def test_splitter_raises_when_the_length_is_out_of_range(length: bytes) -> None:
    splitter = FrameSplitter(lambda kind, body: None)
    with pytest.raises(LinkError, match="a frame must have 1 to"):
        splitter.feed(length + b"\x01\x00")


def test_request_is_restored_with_the_address_of_the_client() -> None:
    request = HttpRequest(
        "GET", "/socket.io/?EIO=4&a=b", {"host": "inner", "cookie": "x=1"},
        remote_address="192.0.2.7", remote_port=5, secure=True,
    )  # fmt: skip
    request.host = "outer.example"
    opened = Opened("sid", "polling", 7, RelayedRequest.of(request))
    restored = decode(Opened, encode(opened)).request.restore()
    for name in ("method", "target", "query", "headers", "remote_address", "secure", "host"):
        assert getattr(restored, name) == getattr(request, name)


@pytest.mark.parametrize("body", [b"\xc1", b"\x92\xa1\xff\xa0"])
def test_decode_raises_when_the_body_is_not_valid(body: bytes) -> None:
    with pytest.raises(LinkError, match="a Closed frame is not valid"):
        decode(Closed, body)

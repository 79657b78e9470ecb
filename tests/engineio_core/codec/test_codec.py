"""Packets, payloads and frames: pure functions, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engineio_core import EncodedPacket, ProtocolError
from engineio_core.codec.payload import decode_payload, encode_payload
from engineio_core.codec.websocket_frame import BINARY, TEXT, encode_frame, find_header_error
from engineio_core.http.message import (
    InvalidTargetError,
    encode_header,
    join_headers,
    parse_query,
    split_target,
)
from tests.helpers.wire import parse_frames

messages = st.one_of(st.text().map(lambda text: text.replace("\x1e", "")), st.binary())


@settings(max_examples=200)
@given(st.lists(messages, min_size=1))
def test_a_payload_comes_back_as_its_packets(sent: list[str | bytes]) -> None:
    body = encode_payload([EncodedPacket.message(message) for message in sent])
    received = [
        packet if isinstance(packet, bytes) else packet[1:] for packet in decode_payload(body)
    ]
    assert received == sent


@settings(max_examples=300)
@given(st.binary())
def test_any_bytes_are_packets_or_one_kind_of_error(body: bytes) -> None:
    try:
        outcome = [bool(packet) or packet == b"" for packet in decode_payload(body)]
    except ProtocolError as error:
        outcome = [error.status == 400, error.reason == "parse error"]
    assert outcome
    assert all(outcome)


@pytest.mark.parametrize(
    ("packet", "polling", "frame"),
    [
        (EncodedPacket.message("hello"), b"4hello", b"\x81\x064hello"),
        (EncodedPacket.message("\u20ac"), "4\u20ac".encode(), b"\x81\x044\xe2\x82\xac"),
        (EncodedPacket.message(b"\x01\x02\x03"), b"bAQID", b"\x82\x03\x01\x02\x03"),
        (EncodedPacket.message(b""), b"b", b"\x82\x00"),
        (EncodedPacket.message(""), b"4", b"\x81\x014"),
    ],
)
def test_a_message_has_one_form_for_each_transport(
    packet: EncodedPacket, polling: bytes, frame: bytes
) -> None:
    assert packet.polling == polling
    assert packet.frame == frame
    assert packet.frame is packet.frame


@settings(max_examples=100)
@given(st.integers(min_value=0, max_value=70_000), st.sampled_from([TEXT, BINARY]), st.booleans())
def test_a_frame_tells_its_length(length: int, opcode: int, rsv1: bool) -> None:
    frames, rest = parse_frames(encode_frame(opcode, b"x" * length, rsv1))
    assert rest == b""
    assert [(f.opcode, len(f.payload), f.fin, f.rsv1) for f in frames] == [
        (opcode, length, True, rsv1)
    ]


def test_exactly_the_legal_headers_are_let_pass() -> None:
    for first in range(256):
        for second in range(256):
            opcode, fin = first & 0xF, bool(first & 0x80)
            is_control = opcode >= 8
            is_legal = (
                not first & 0x70
                and opcode in {0, 1, 2, 8, 9, 10}
                and bool(second & 0x80)
                and not (is_control and (not fin or second & 0x7F > 125))
            )
            assert (find_header_error(first, second) is None) == is_legal


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", ("/", "")),
        ("/a?b=c#d", ("/a", "b=c")),
        ("/a?b?c", ("/a", "b?c")),
        ("http://host/a?b", ("/a", "b")),
        ("HTTPS://host", ("/", "")),
        ("//a", ("//a", "")),
    ],
)
def test_a_target_is_split(target: str, expected: tuple[str, str]) -> None:
    assert split_target(target) == expected


@pytest.mark.parametrize("target", ["", "*", "a", "ftp://a/", "/a b", "/\x7f", "/\u20ac", "://"])
def test_garbage_is_no_target(target: str) -> None:
    with pytest.raises(InvalidTargetError):
        split_target(target)


@settings(max_examples=200)
@given(st.text())
def test_any_query_is_read(query: str) -> None:
    assert all(isinstance(value, str) for value in parse_query(query).values())


def test_cookies_are_joined_by_a_semicolon_and_others_by_a_comma() -> None:
    raw = [(b"Cookie", b"a=1"), (b"A", b"1"), (b"cookie", b"b=2"), (b"a", b"\xff")]
    assert join_headers(raw) == {"cookie": "a=1; b=2", "a": "1, \xff"}


@pytest.mark.parametrize(
    ("name", "value"), [("", "x"), ("a:", "x"), ("a", "x\ny"), ("a", "\u20ac"), (None, "x")]
)
def test_a_header_that_can_not_be_sent_is_a_value_error(name: object, value: object) -> None:
    with pytest.raises(ValueError, match="must be a token"):
        encode_header(name, value)

"""Packets and payloads: round trips, invalid input and one encoding per transport."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engineio_core import EncodedPacket, ProtocolError
from engineio_core.codec.payload import decode_payload, encode_payload

messages = st.one_of(st.text().map(lambda text: text.replace("\x1e", "")), st.binary())


@settings(max_examples=200)
@given(st.lists(messages, min_size=1))
def test_payload_round_trip_preserves_the_messages(sent: list[str | bytes]) -> None:
    body = encode_payload([EncodedPacket.message(message) for message in sent])
    received = [
        packet if isinstance(packet, bytes) else packet[1:] for packet in decode_payload(body)
    ]
    assert received == sent


@settings(max_examples=300)
@given(st.binary())
def test_payload_of_any_bytes_decodes_or_raises_protocol_error(body: bytes) -> None:
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
def test_message_has_one_encoding_per_transport(
    packet: EncodedPacket, polling: bytes, frame: bytes
) -> None:
    assert packet.polling == polling
    assert packet.frame == frame
    assert packet.frame is packet.frame

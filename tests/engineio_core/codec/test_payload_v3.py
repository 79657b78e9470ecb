"""Payloads of revision 3: round trips, any bytes, and one encoding for all clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engineio_core import EncodedPacket, ProtocolError
from engineio_core.codec.encoded_packet import NOOP_PACKET, PONG_PACKET
from engineio_core.codec.packet_v3 import base64_form, binary_form
from engineio_core.codec.payload_v3 import (
    MAX_EMPTY,
    decode_binary_payload,
    decode_text_payload,
    encode_binary_payload,
    encode_text_payload,
)

Encode = Callable[[list[EncodedPacket]], bytes]
Decode = Callable[[bytes], Iterator[str | bytes]]

messages = st.one_of(st.text(), st.text("a:1\u20ac\U0001f600"), st.binary())
forms = pytest.mark.parametrize(
    ("encode", "decode"),
    [
        pytest.param(encode_text_payload, decode_text_payload, id="text"),
        pytest.param(encode_binary_payload, decode_binary_payload, id="binary"),
    ],
)


@forms
@settings(max_examples=200)
@given(sent=st.lists(messages, min_size=1))
def test_payload_round_trip_preserves_the_messages(
    encode: Encode, decode: Decode, sent: list[str | bytes]
) -> None:
    body = encode([EncodedPacket.message(message) for message in sent])
    received = [packet if isinstance(packet, bytes) else packet[1:] for packet in decode(body)]
    assert received == sent


@pytest.mark.parametrize("decode", [decode_text_payload, decode_binary_payload])
@settings(max_examples=500)
@given(
    body=st.one_of(
        st.binary(),
        st.text("0123456789:4b\u20ac\U0001f600").map(str.encode),
        st.lists(st.sampled_from([b"\x00", b"\x01", b"\x04", b"\xff", b"4", b"a"])).map(b"".join),
    )
)
@example(body=b"\x01\x01\xff\x04")
def test_payload_of_any_bytes_decodes_or_raises_protocol_error(decode: Decode, body: bytes) -> None:
    try:
        outcome = [isinstance(packet, str | bytes) for packet in decode(body)]
    except ProtocolError as error:
        outcome = [error.status == 400, error.reason == "parse error"]
    assert all(outcome)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("3:4\U0001f600", None),
        ("2:4\U0001f600", "a packet is not valid Unicode"),  # half of a surrogate pair
        ("2:4\U0001f600" + "2:4a", "a packet is not valid Unicode"),
        ("4:4\U0001f600", "invalid length"),
        ("5:4h\u00e9l", "invalid length"),
        ("-1:4h", "invalid length"),
        ("+2:4h", "invalid length"),
        (" 2:4h", "invalid length"),
        ("\u0662:4h", "invalid length"),  # an Arabic digit two
        ("99999999999999999999:4h", "invalid length"),
        ("9" * 100_000 + ":4h", "invalid length"),
        ("4h", "invalid length"),
        (":4h", "invalid length"),
        ("2:4h2", "invalid length"),
        ("2:7h", "unknown packet type '7'"),
        ("1:b", "empty packet"),
        ("4:b7AA", "unknown packet type '7'"),
        ("5:b4A=A", "not valid base64"),
    ],
)
def test_text_payload_is_refused_by_the_rule(body: str, message: str | None) -> None:
    if message is None:
        assert list(decode_text_payload(body.encode())) == ["4\U0001f600"]
    else:
        with pytest.raises(ProtocolError, match=message):
            list(decode_text_payload(body.encode()))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\x00\x02\xff4\xe2", "not valid Unicode"),
        (b"\x00\x02\xff4", "invalid length"),
        (b"\x02\x02\xff4h", "invalid length"),
        (b"\x00\x0a\xff4h", "invalid length"),
        (b"\x00\xff4h", "invalid length"),
        (b"\x00\x02", "invalid length"),
        (b"\x00" + b"\x09" * 400 + b"\xff4h", "invalid length"),
        (b"\x01\x00\xff", "empty packet"),
        (b"\x01\x01\xff\x07", "unknown packet type '7'"),
        (b"\x01\x01\xff4", "unknown packet type '52'"),
        (b"2:4h", "invalid length"),  # the text form with the content type of the binary form
    ],
)
def test_binary_payload_is_refused_by_the_rule(body: bytes, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        list(decode_binary_payload(body))


def test_packets_before_an_invalid_one_are_delivered() -> None:
    packets = decode_text_payload(b"2:4a2:4b9:4c")
    assert [next(packets), next(packets)] == ["4a", "4b"]
    with pytest.raises(ProtocolError):
        next(packets)


def test_empty_records_are_ignored() -> None:
    assert list(decode_text_payload(b"0:2:4a0:")) == ["4a"]
    assert list(decode_binary_payload(b"\x00\x00\xff\x00\x02\xff4a")) == ["4a"]


def test_control_packets_are_equal_in_both_forms() -> None:
    packets = [PONG_PACKET, NOOP_PACKET]
    assert encode_text_payload(packets) == b"1:31:6"
    assert list(decode_binary_payload(encode_binary_payload(packets))) == ["3", "6"]


def test_binary_typed_control_packet_is_decoded() -> None:
    assert list(decode_binary_payload(b"\x01\x01\xff\x02")) == ["2"]
    assert list(decode_text_payload(b"2:b2")) == ["2"]


def test_binary_message_is_encoded_once_for_all_clients() -> None:
    packet = EncodedPacket.message(b"\x00\xff")
    assert binary_form(packet) is binary_form(packet)
    assert base64_form(packet) is base64_form(packet)
    assert binary_form(packet).frame == b"\x82\x03\x04\x00\xff"
    assert base64_form(packet).frame == b"\x81\x06b4AP8="
    assert packet.frame == b"\x82\x02\x00\xff"


@pytest.mark.parametrize(
    ("decode", "empty", "last"),
    [(decode_text_payload, b"0:", b"1:3"), (decode_binary_payload, b"\0\0\xff", b"\0\1\xff3")],
    ids=["text", "binary"],
)
def test_empty_packets_of_a_payload_are_limited(decode: Decode, empty: bytes, last: bytes) -> None:
    assert list(decode(empty * MAX_EMPTY + last)) == ["3"]
    with pytest.raises(ProtocolError, match="more than 1000 empty packets"):
        list(decode(empty * (MAX_EMPTY + 1) + last))

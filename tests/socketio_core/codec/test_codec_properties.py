"""Properties of both codecs for generated packets and generated messages."""

from __future__ import annotations

import copy
import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from socketio_core.codec.attachments import (
    Attachments,
    convert_value,
    reconstruct,
    to_plain,
    to_utc,
)
from socketio_core.codec.json_codec import Decoder, JsonParser, Packet, PacketType, Parser
from socketio_core.codec.msgpack_codec import MsgpackParser
from socketio_core.codec.packet import (
    ACK_ID_LIMIT,
    RESERVED_EVENTS,
    Decoded,
    is_event_name,
    is_namespace,
)
from socketio_core.errors import PacketError

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, *_ = PacketType
JSON = JsonParser(max_attachments=100)
MSGPACK = MsgpackParser()

# Lone surrogates exist in strings of JavaScript and in JSON, but not in MessagePack.
any_text = st.text(st.characters(exclude_categories=()))
utf8_text = st.text(st.characters(codec="utf-8"))
binary = st.binary(max_size=20)
integers = st.integers(-(2**63), 2**64 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)


def trees(text: st.SearchStrategy[str], *leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for event data without objects that resemble placeholders."""
    scalars = st.one_of(st.none(), st.booleans(), integers, floats, text, *leaves)
    keys = text.filter(lambda key: key != "_placeholder")
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=20,
    )


@st.composite
def packets(
    draw: st.DrawFn, text: st.SearchStrategy[str], values: st.SearchStrategy[Any]
) -> Packet:
    kind = draw(st.sampled_from([CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR]))
    namespace = draw(st.just("/") | utf8_text.map(lambda name: "/" + name).filter(is_namespace))
    ack_id = draw(st.none() | st.integers(0, ACK_ID_LIMIT - 1))
    arguments = st.lists(values, max_size=4)
    # Only events and acks carry binary values unchanged in every codec.
    objects = st.dictionaries(text, trees(text), max_size=4)
    data: Any = None
    match kind:
        case PacketType.CONNECT:
            data = draw(st.none() | objects)
        case PacketType.CONNECT_ERROR:
            data = draw(text | objects)
        case PacketType.EVENT:
            names = (text | integers | floats).filter(is_event_name)
            data = [draw(names), *draw(arguments)]
        case PacketType.ACK:
            ack_id = ack_id or 0
            data = draw(arguments)
        case _:
            pass
    return Packet(kind, namespace, data, ack_id)


def transmit(parser: Parser, packet: Packet) -> Packet | None:
    """Return the packet of a peer, which must not be complete before the last message."""
    decoder = parser.decoder()
    received = None
    for message in parser.encode(packet):
        assert received is None
        if message.is_binary:
            received = decoder.receive_binary(message.payload)
        else:
            received = decoder.receive_text(message.payload)
    return received


@given(packets(any_text, trees(any_text, binary)))
def test_packet_round_trip_preserves_the_packet(packet: Packet) -> None:
    assert transmit(JSON, packet) == packet


@given(packets(utf8_text, trees(utf8_text, binary)))
def test_msgpack_round_trip_preserves_the_packet(packet: Packet) -> None:
    assert transmit(MSGPACK, packet) == packet


@given(packets(utf8_text, trees(utf8_text, binary)))
def test_encode_does_not_change_the_packet(packet: Packet) -> None:
    before = copy.deepcopy(packet)
    JSON.encode(packet)
    MSGPACK.encode(packet)
    assert packet == before


numbers = st.floats()  # NaN and infinities as well
moments = st.datetimes(timezones=st.just(UTC) | st.timezones() | st.none())
converted = st.dates() | st.times() | st.uuids() | st.decimals() | st.sampled_from(PacketType)
any_keys = utf8_text | integers | numbers | st.booleans() | st.none()
any_values = st.recursive(
    st.none() | st.booleans() | integers | numbers | utf8_text | binary | moments | converted,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(any_keys, inner, max_size=4)
    ),
    max_leaves=20,
)


def to_ext(value: Any) -> Any:
    """Return the Date of a datetime, the plain form of another value."""
    if not isinstance(value, datetime):
        return convert_value(value)
    passed = (to_utc(value) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return msgspec.msgpack.Ext(0, passed.to_bytes(8, "big", signed=True))


@given(any_values)
@example({"1": b"1", 1: b"2"})
@example([b"1", {1: datetime(2024, 1, 1, tzinfo=UTC), "1": b"2"}, b"3"])
@example(datetime(2024, 1, 1))
@example([[1.5, None, b"\xcb\x7f\xf8"], "\u02ff\x7f", {"a": float("nan")}])
def test_msgpack_writes_the_plain_form_of_any_values(value: Any) -> None:
    writers = (
        lambda: MSGPACK.encode(Packet(ACK, "/", [value], 1)),
        lambda: MSGPACK.encode_ack("/", 1, [value]),
    )
    try:
        plain = to_plain([value], to_ext, frozenset({bytes, msgspec.msgpack.Ext}))
    except (TypeError, ValueError) as error:  # such as a moment without a time zone
        for write in writers:
            with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
                write()
        return
    expected = msgspec.msgpack.encode({"type": 3, "data": plain, "id": 1, "nsp": "/"})
    for write in writers:
        (message,) = write()
        assert message.payload == expected


@given(packets(any_text, trees(any_text, binary)))
def test_encoded_packet_contains_no_payload_separator(packet: Packet) -> None:
    # Engine.IO v4, Payload: U+001E separates the packets.
    assert b"\x1e" not in JSON.encode(packet)[0].payload


@given(trees(any_text, binary))
def test_reconstruct_restores_the_data(tree: Any) -> None:
    collector = Attachments(100)
    holder = [to_plain(tree, collector.convert)]
    json.dumps(holder)
    reconstruct(holder, collector.found)
    assert holder == [tree]


# -- arbitrary input


def feed(decoder: Decoder, message: str | bytes) -> Decoded | None:
    if isinstance(message, str):
        # This includes invalid UTF-8.
        return decoder.receive_text(b"4" + message.encode(errors="surrogatepass"))
    return decoder.receive_binary(message)


def check_received(decoded: Decoded | None) -> None:
    """Assert the properties of received packets on which handlers rely."""
    if decoded is None:
        return
    packet = Packet(*decoded)
    assert packet.type in {CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR}
    assert is_namespace(packet.namespace)
    assert packet.ack_id is None or 0 <= packet.ack_id < ACK_ID_LIMIT
    match packet.type:
        case PacketType.EVENT:
            assert is_event_name(packet.data[0])
            assert packet.data[0] not in RESERVED_EVENTS
        case PacketType.ACK:
            assert type(packet.data) is list
        case PacketType.CONNECT:
            assert packet.data is None or type(packet.data) is dict
        case PacketType.DISCONNECT:
            assert packet.data is None


# Text that resembles packets reaches more code than random text.
fragments = st.one_of(
    st.sampled_from('0123456/,-[]{}" \ud800٣'),
    st.sampled_from(["51-", "52-", "50-", "/a", "/a,", "00", "null", "NaN", "[]", "{}"]),
    st.sampled_from(['["x"]', '["connect"]', '["\\ud800"]', '["\\ud800",-1e999]']),
    st.just('["x",{"_placeholder":true,"num":0}]'),
)
texts = any_text | st.lists(fragments, max_size=6).map("".join)


@given(texts)
@example("2")
@example("2[")
@example("5")
@example("51-")
@example('2["\\u0000' + "[" * 5000)
def test_any_text_is_decoded_or_raises_packet_error(text: str) -> None:
    with suppress(PacketError, UnicodeDecodeError):
        check_received(feed(JSON.decoder(), text))


@given(st.lists(texts | binary, max_size=6))
def test_any_sequence_of_messages_is_decoded_or_raises_packet_error(
    messages: list[str | bytes],
) -> None:
    decoder = JSON.decoder()
    with suppress(PacketError, UnicodeDecodeError):
        for message in messages:
            check_received(feed(decoder, message))


msgpack_values = trees(
    utf8_text,
    binary,
    st.datetimes(datetime(1, 1, 2), datetime(9999, 1, 1), timezones=st.just(UTC)),
    st.builds(msgspec.msgpack.Ext, st.integers(-128, 127), binary),
)
almost_packets = st.dictionaries(
    st.sampled_from(["type", "nsp", "data", "id", "options"]),
    st.integers(-1, 6) | st.just("/") | st.just(["x"]) | st.lists(msgpack_values, max_size=3),
)


@given(binary | (almost_packets | msgpack_values).map(msgspec.msgpack.encode), st.data())
def test_any_msgpack_message_is_decoded_or_raises_packet_error(
    message: bytes, data: st.DataObject
) -> None:
    if message and data.draw(st.booleans()):
        position = data.draw(st.integers(0, len(message) - 1))
        message = message[:position] + data.draw(st.binary(max_size=4)) + message[position + 1 :]
    with suppress(PacketError):
        check_received(MSGPACK.decoder().receive_binary(message))


@pytest.mark.parametrize("letter", "0123456")
@given(st.text(st.sampled_from('0123456789/,-[]{}":tx \\ud8'), max_size=30))
def test_invalid_text_of_each_packet_type_raises_packet_error(letter: str, rest: str) -> None:
    with suppress(PacketError):
        check_received(feed(JSON.decoder(), letter + rest))

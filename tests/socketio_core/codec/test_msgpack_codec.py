"""MessagePack codec; the vectors contain the wire format."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any

import msgspec
import pytest

from socketio_core.codec.json_codec import Packet, PacketType
from socketio_core.codec.large import LARGE
from socketio_core.codec.msgpack_codec import MsgpackParser
from socketio_core.codec.packet import ACK_ID_LIMIT
from socketio_core.errors import PacketError

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = PacketType

parser = MsgpackParser()


def wire(packet: Packet) -> bytes:
    (message,) = parser.encode(packet)
    assert message.is_binary
    return message.payload


def decode(data: bytes) -> Packet | None:
    packet = parser.decoder().receive_binary(data)
    return None if packet is None else Packet(*packet)


def nest(depth: int) -> Any:
    """Return a value that is nested so deep."""
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


class Color(Enum):
    RED = "red"


class Name(str):
    """A string of another type, such as an event of a contract."""

    __slots__ = ()


def event(hexadecimal: str) -> bytes:
    """Return the event "x" with one argument, whose bytes are `hexadecimal`."""
    return b"\x83\xa4type\x02\xa4data\x92\xa1x" + bytes.fromhex(hexadecimal) + b"\xa3nsp\xa1/"


def argument(hexadecimal: str) -> Any:
    packet = decode(event(hexadecimal))
    assert packet is not None
    return packet.data[1]


@pytest.mark.parametrize(
    "packet",
    [
        Packet(CONNECT, "/", None),
        Packet(CONNECT, "/admin", {"token": b"1"}),
        Packet(DISCONNECT, "/admin"),
        Packet(EVENT, "/", ["x", 1, -0.5, None, True, "é", b"1", {"a": [b"2"]}]),
        Packet(EVENT, "/admin", [1.5], 7),
        Packet(ACK, "/", [], 0),
        Packet(CONNECT_ERROR, "/", "no"),
        Packet(CONNECT_ERROR, "/", {"message": "no"}),
    ],
)
def test_encoded_packet_is_decoded(packet: Packet) -> None:
    assert decode(wire(packet)) == packet


def test_encode_event_and_encode_ack_match_encode() -> None:
    (message,) = parser.encode_event("/a", ["x", b"1"], 3)
    assert message.payload == wire(Packet(EVENT, "/a", ["x", b"1"], 3))
    (message,) = parser.encode_ack("/a", 3, (1,))
    assert message.payload == wire(Packet(ACK, "/a", [1], 3))


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "é", b"1", {"b": []}]},
        {1: "a"},
        [float("nan"), float("inf")],
        {"a": (1, [2])},
        [[[]]] * 3,
        datetime(2024, 1, 1, tzinfo=UTC),
        [Color.RED, {Color.RED: Color.RED}],
        Name("a"),
        [bytearray(b"1"), memoryview(b"2")],
        nest(2),
        nest(3),
        nest(250),
        [[]] * 100,
        [None] * 100,
        [None, float("nan")] * 50,
        [b"1", bytearray(b"2"), memoryview(b"3"), msgspec.msgpack.Ext(5, b"4")] * 20,
        [datetime(2024, 1, 1, tzinfo=UTC), b"1", {2}] * 20,
        {1: b"1", "1": b"2", "a": [b"3"]},
        {1.0: [b"1"], None: 2},
        [{1: "x" * LARGE}],
    ],
    ids=lambda value: type(value).__name__,
)
def test_direct_encoding_equals_that_of_converted_values(value: Any) -> None:
    (message,) = parser.encode_event("/", ["x", value])
    assert message.payload == wire(Packet(EVENT, "/", ["x", value]))
    (message,) = parser.encode_ack("/", 1, [value])
    assert message.payload == wire(Packet(ACK, "/", [value], 1))


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, [{"a": 2**64}], nest(300), object()])
def test_direct_encoding_refuses_the_values_that_encode_refuses(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as expected:
        parser.encode(Packet(ACK, "/", [value], 1))
    for encode in (
        lambda: parser.encode_event("/", ["x", value]),
        lambda: parser.encode_ack("/", 1, [value]),
    ):
        with pytest.raises(expected.type) as found:
            encode()
        assert str(found.value) == str(expected.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1: b"1", "1": b"2", "a": [b"3"]}, {"1": b"2", "a": [b"3"]}),
        ({"a": b"1", 1: {2: b"2"}}, {"a": b"1", "1": {"2": b"2"}}),
        ([b"1", {3}, (b"2",)], [b"1", [3], [b"2"]]),
        ({1.0: b"1", None: b"2", 1.5: b"3"}, {"1": b"1", "null": b"2", "1.5": b"3"}),
        ([None, float("nan"), b"\xcb\x7f\xf8"], [None, None, b"\xcb\x7f\xf8"]),
    ],
    ids=["equal keys", "integers", "sets and tuples", "float", "NaN"],
)
def test_values_between_binary_values_are_converted(value: Any, expected: Any) -> None:
    (message,) = parser.encode_ack("/", 1, [value])
    assert decode(message.payload) == Packet(ACK, "/", [expected], 1)


def test_circular_data_is_refused() -> None:
    circular: list[Any] = []
    circular += [circular] * 20
    with pytest.raises(ValueError, match="must not be circular"):
        parser.encode_ack("/", 1, circular)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": True}, {"type": 2.0}, {"type": 2, "nsp": "x"}, {"type": 2, "id": True},
        {"type": 2, "id": 10**15}, {"type": 2, "data": []}, {"type": 2, "data": ["connect"]},
        {"type": 2, "data": [[]]}, {"type": 2, "data": {"0": "x"}}, {"type": 7},
    ],
    ids=str,
)  # fmt: skip
def test_fields_of_an_invalid_packet_are_refused(fields: dict[str, Any]) -> None:
    message = {"type": 2, "nsp": "/", "data": ["x"], **fields}
    with pytest.raises(PacketError):
        decode(msgspec.msgpack.encode(message))


def test_additional_fields_of_a_packet_are_ignored() -> None:
    message = {"type": 2, "data": ["x"], "options": {"compress": True}, "nsp": "/"}
    assert decode(msgspec.msgpack.encode(message)) == Packet(EVENT, "/", ["x"])


def test_datetime_keeps_its_milliseconds() -> None:
    moment = datetime(2024, 1, 1, 12, 0, 0, 123999, tzinfo=timezone(timedelta(hours=2)))
    expected = datetime(2024, 1, 1, 10, 0, 0, 123000, tzinfo=UTC)
    assert decode(wire(Packet(EVENT, "/", ["x", {"at": moment}]))) == Packet(
        EVENT, "/", ["x", {"at": expected}]
    )


def test_values_have_the_same_plain_forms_as_in_json() -> None:
    packet = Packet(EVENT, "/", ("x", {1: (2, 3)}, float("nan"), bytearray(b"1"), memoryview(b"2")))
    assert decode(wire(packet)) == Packet(EVENT, "/", ["x", {"1": [2, 3]}, None, b"1", b"2"])


def test_extension_is_decoded_to_its_type_and_data() -> None:
    extension = msgspec.msgpack.Ext(5, b"1")
    assert decode(wire(Packet(EVENT, "/", ["x", extension]))) == Packet(
        EVENT, "/", ["x", [5, b"1"]]
    )


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (Packet(EVENT, "/", ["connect"]), "reserved"),
        (Packet(EVENT, "/", []), "an event name must be a string"),
        (Packet(EVENT, "/", None), "must be a list"),
        (Packet(EVENT, "a", ["x"]), "is not a valid namespace"),
        (Packet(EVENT, "/", ["x"], -1), "an ack id must have"),
        (Packet(EVENT, "/", ["x"], ACK_ID_LIMIT), "an ack id must have"),
        (Packet(ACK, "/", []), "an ACK packet needs"),
        (Packet(CONNECT, "/", []), "must not have data"),
        (Packet(BINARY_EVENT, "/", ["x"]), "sent as EVENT or ACK"),
        (Packet(EVENT, "/", ["x", 2**64]), "fit into 64 bits"),
        (Packet(EVENT, "/", ["x", "\ud800"]), "surrogates"),
    ],
)
def test_packet_that_cannot_be_decoded_is_not_sent(packet: Packet, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parser.encode(packet)


@pytest.mark.parametrize("data", [["connect"], [], [None], [[]]], ids=str)
def test_encode_event_refuses_the_names_that_encode_refuses(data: list[Any]) -> None:
    with pytest.raises(ValueError, match="name") as expected:
        parser.encode(Packet(EVENT, "/", data))
    with pytest.raises(ValueError, match="name") as found:
        parser.encode_event("/", data)
    assert str(found.value) == str(expected.value)


def test_nil_is_decoded_as_an_absent_field() -> None:
    # Clients in other languages write nil for a field without a value.
    packet = msgspec.msgpack.encode({"type": 0, "nsp": "/", "data": None, "id": None})
    assert decode(packet) == Packet(CONNECT, "/")
    packet = msgspec.msgpack.encode({"type": 3, "nsp": "/", "data": None, "id": 5})
    assert decode(packet) == Packet(ACK, "/", [], 5)


def test_notepack_extension_is_decoded_to_none_datetime_or_bytes() -> None:
    assert argument("d40000") is None
    assert argument("d7000000000000000001") == datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)
    assert argument("c7020001ff") == b"\x01\xff"


def test_small_array_buffers_are_distinguished_by_their_headers() -> None:
    # The ArrayBuffer causes exact decoding, which must not change the other value.
    assert argument("92c7010000d40000") == [b"\0", None]
    assert argument("81a16192c708000000000000000001d7000000000000000001") == {
        "a": [bytes([0, 0, 0, 0, 0, 0, 0, 1]), datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)]
    }
    assert argument("dc0001c7010007") == [b"\7"]
    assert argument("dd00000001c7010007") == [b"\7"]
    assert argument("de0001a161c7010007") == {"a": b"\7"}
    assert argument("df00000001a161c7010007") == {"a": b"\7"}
    assert argument("92c7010007c70205aabb") == [b"\7", [5, b"\xaa\xbb"]]


def test_exact_decoding_is_limited_in_depth_and_size() -> None:
    assert argument("91" * 13 + "c7010007") == nest(b"\7", 13)
    assert argument("91" * 500 + "c7010007") == nest(None, 500)
    long = "x" * 65_536
    packet = decode(event("92c7010007" + msgspec.msgpack.encode(long).hex()))
    assert packet == Packet(EVENT, "/", ["x", [None, long]])


def nest(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x91\x01",
        event("91" * 100_000 + "c0"),
        event("91" * 100_000 + "c7010000"),
        event("a1ff"),
        event("92c7010000a1ff"),
        event("d7ffffffffffffffffff"),
        event("81d40500c0"),
        event("8181c0c0c0"),
        event("c0") + b"\0",
        event("c7010000")[:-1],
        b"\x92\xc7\x01\x00\x00\xc0",
    ],
    ids=lambda data: data[:20].hex() or "empty",
)
def test_bytes_of_an_invalid_packet_are_refused(data: bytes) -> None:
    with pytest.raises(PacketError) as caught:
        decode(data)
    assert caught.value.slug == "invalid_payload"


def test_close_of_a_decoder_has_no_effect() -> None:
    decoder = parser.decoder()
    decoder.close()
    assert decoder.receive_binary(wire(Packet(DISCONNECT))) == Packet(DISCONNECT)

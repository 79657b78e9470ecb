"""JSON codec, and the rules of all codecs; the vectors contain the wire format."""

from __future__ import annotations

import json
import sys
from datetime import date
from enum import IntEnum, StrEnum
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import CloseReason, ProtocolError
from socketio_core.codec.json_codec import JsonParser, Packet, PacketType
from socketio_core.codec.packet import ACK_ID_LIMIT, Decoded, Decoder, is_event_name, is_namespace
from socketio_core.errors import (
    AckError,
    AckTimeoutError,
    ConnectError,
    DisconnectedError,
    PacketError,
    PayloadValidationError,
    SocketError,
)

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = PacketType

parser = JsonParser()


def text_of(messages: bytes | tuple[EncodedPacket, ...]) -> str:
    """Return the text of a packet that consists of one message."""
    if isinstance(messages, bytes):
        return messages.decode()
    (message,) = messages
    assert not message.is_binary
    return message.payload.decode()


def encode_data(*data: Any) -> Any:
    """Return the data of an event as a client decodes them."""
    return json.loads(text_of(parser.encode_event("/", ["event", *data])).removeprefix("42"))[1:]


def receive(decoder: Decoder, text: str) -> Decoded | None:
    return decoder.receive_text(b"4" + text.encode())


def decode(text: str) -> Packet | None:
    decoded = receive(parser.decoder(), text)
    return decoded and Packet(*decoded)


# -- events and acks


def test_event_is_encoded_after_the_engine_io_message_type() -> None:
    assert text_of(parser.encode(Packet(EVENT, "/", ["x", 1]))) == '42["x",1]'


def test_tuple_is_encoded_as_a_list() -> None:
    assert text_of(parser.encode(Packet(EVENT, "/", ("x", 1)))) == '42["x",1]'
    assert text_of(parser.encode_ack("/", 3, (1,))) == "433[1]"


def test_encode_event_and_encode_ack_match_encode() -> None:
    for namespace in ("/", "/admin"):
        for ack_id in (None, 0, 7):
            packet = Packet(EVENT, namespace, ["x", {"a": b"1"}], ack_id)
            [short, *_] = parser.encode_event(namespace, packet.data, ack_id)
            [long, *_] = parser.encode(packet)
            assert short.payload == long.payload
        packet = Packet(ACK, namespace, [1], 7)
        assert text_of(parser.encode_ack(namespace, 7, [1])) == text_of(parser.encode(packet))


def test_attachments_follow_their_packet_as_binary_messages() -> None:
    text, *attachments = parser.encode(Packet(EVENT, "/a", ["x", b"1", [bytearray(b"2")]], 5))
    assert text.payload.startswith(b'452-/a,5["x",{')
    assert [(part.payload, part.is_binary) for part in attachments] == [(b"1", True), (b"2", True)]


def test_ack_carries_attachments() -> None:
    text, attachment = parser.encode_ack("/", 5, [memoryview(b"12")])
    assert text.payload == b'461-5[{"_placeholder":true,"num":0}]'
    assert attachment.payload == b"12"


def test_attachment_is_a_copy_of_the_buffer() -> None:
    buffer = bytearray(b"before")
    _, attachment = parser.encode_event("/", ["x", buffer])
    buffer[:] = b"after!"
    assert attachment.payload == b"before"


def test_encode_does_not_change_the_data() -> None:
    data = ["x", {"b": b"1", 2: [b"2"]}, "\ud800"]
    parser.encode_event("/", data)
    assert data == ["x", {"b": b"1", 2: [b"2"]}, "\ud800"]


# -- values without a form in JSON


def test_non_finite_number_becomes_null() -> None:
    assert encode_data(float("nan"), float("inf"), [-float("inf")]) == [None, None, [None]]
    assert encode_data("\ud800", float("nan"), 1.5) == ["\ud800", None, 1.5]


def test_keys_become_strings_as_in_javascript() -> None:
    assert encode_data({2: 2, None: 3, True: 4}) == [{"2": 2, "null": 3, "true": 4}]
    assert encode_data({1: "\ud800", None: 3}) == [{"1": "\ud800", "null": 3}]


def test_lone_surrogate_is_escaped_and_other_characters_are_unchanged() -> None:
    text = text_of(parser.encode_event("/", ["é", "\\\ud800", {"\udfff": "\x1e"}]))
    assert text == '42["é","\\\\\\ud800",{"\\udfff":"\\u001e"}]'


def test_integer_is_sent_up_to_64_bits_and_refused_above() -> None:
    assert encode_data(2**64 - 1, -(2**63)) == [2**64 - 1, -(2**63)]
    for number in (2**64, -(2**63) - 1):
        with pytest.raises(ValueError, match="an integer must fit into 64 bits"):
            parser.encode_event("/", ["x", number])


def test_circular_data_is_refused() -> None:
    data: list[Any] = ["x"]
    data.append(data)
    with pytest.raises(ValueError, match="must not be circular or nested deeper than 254 levels"):
        parser.encode_event("/", data)


def test_value_without_a_wire_format_is_refused() -> None:
    with pytest.raises(TypeError, match="a value of type object cannot be sent"):
        parser.encode_event("/", ["x", object()])


def test_encode_event_refuses_attachments_above_the_limit() -> None:
    assert len(parser.encode_event("/", ["x", *[b""] * 10])) == 11
    with pytest.raises(ValueError, match="must not carry more than 10 attachments"):
        parser.encode_event("/", ["x", *[b""] * 11])
    assert len(JsonParser(max_attachments=11).encode_event("/", ["x", *[b""] * 11])) == 12


def test_binary_outside_events_and_acks_is_encoded_as_a_node_buffer() -> None:
    packet = Packet(CONNECT_ERROR, "/", {"message": "no", "data": [bytearray(b"\1"), "\ud800"]})
    assert text_of(parser.encode(packet)) == (
        '44{"message":"no","data":[{"type":"Buffer","data":[1]},"\\ud800"]}'
    )


def test_date_has_the_same_form_in_every_packet_type() -> None:
    day = date(2024, 1, 1)
    assert text_of(parser.encode(Packet(CONNECT, "/", {"at": day}))) == '40{"at":"2024-01-01"}'
    assert encode_data(day) == ["2024-01-01"]


@pytest.mark.parametrize(("namespace", "address"), [("/", ""), ("/admin", "/admin,")])
def test_connect_reply_with_a_lone_surrogate_is_escaped(namespace: str, address: str) -> None:
    packet = Packet(CONNECT, namespace, {"sid": "\ud800"})
    assert text_of(parser.encode(packet)) == f'40{address}{{"sid":"\\ud800"}}'


@pytest.mark.parametrize("ack_id", [0, 9, 10, 999, 1000, 1001, 10**15 - 1])
def test_ack_starts_with_the_id_of_its_event(ack_id: int) -> None:
    assert parser.encode_ack("/", ack_id, ["a"]) == b'43%d["a"]' % ack_id


# -- packets that encoders and decoders refuse


@pytest.mark.parametrize(
    "name",
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"],
)
def test_reserved_name_is_refused_on_both_sides(name: str) -> None:
    with pytest.raises(ValueError, match="must be a string that is not reserved"):
        parser.encode_event("/", [name])
    with pytest.raises(PacketError):
        decode(f'2["{name}"]')


@pytest.mark.parametrize("data", [[], [None], [True], [float("nan")], [float("inf")], [{}], [[]]])
def test_event_with_an_invalid_name_is_not_sent(data: list[Any]) -> None:
    with pytest.raises(ValueError, match="an event name must be a string"):
        parser.encode(Packet(EVENT, "/", data))


def test_enum_member_is_encoded_as_an_event_name() -> None:
    class Name(StrEnum):
        MOVED = "moved"

    class Code(IntEnum):
        MOVED = 4

    assert text_of(parser.encode_event("/", [Name.MOVED])) == '42["moved"]'
    assert text_of(parser.encode(Packet(EVENT, "/", [Code.MOVED]))) == "42[4]"


@pytest.mark.parametrize("name", [5, 1.5, IntEnum("Code", ["MOVED"]).MOVED])
def test_encode_event_refuses_a_name_that_is_a_number(name: Any) -> None:
    with pytest.raises(TypeError, match="an event name must be a string, got"):
        parser.encode_event("/", [name])


@pytest.mark.parametrize(("key", "text"), [
    (1.0, "1"), (1e16, "10000000000000000"), (float("nan"), "NaN"), (-0.0, "0"), (1.5, "1.5"),
    (2, "2"), (None, "null"), (True, "true"), (1e21, "1e+21"),
])  # fmt: skip
def test_keys_are_written_as_in_javascript(key: Any, text: str) -> None:
    packets = parser.encode_event("/", ["event", {key: b"1"}])
    assert (
        packets[0].payload.decode() == f'451-["event",{{"{text}":{{"_placeholder":true,"num":0}}}}]'
    )
    assert encode_data({key: 1}) == [{text: 1}]


def test_event_name_is_a_string_or_a_finite_number() -> None:
    assert all(map(is_event_name, ["", "message", 0, -1, 1.5]))
    assert not any(map(is_event_name, ["connect", None, True, float("nan"), b"x", ("x",)]))


def test_namespace_name_is_valid_only_without_separators_and_within_the_limit() -> None:
    assert all(map(is_namespace, ["/", "/a", "/a/b?c=[d]", "/" + "n" * 511]))
    assert not any(map(is_namespace, ["", "a", "/a,b", "/a\x1eb", "/" + "n" * 512]))


@pytest.mark.parametrize("namespace", ["", "admin", "/a,b", "/a\x1eb", "/" + "n" * 512])
def test_packet_for_an_invalid_namespace_is_not_sent(namespace: str) -> None:
    for kind, data in ((CONNECT, None), (EVENT, ["x"])):
        with pytest.raises(ValueError, match="is not a valid namespace"):
            parser.encode(Packet(kind, namespace, data))


@pytest.mark.parametrize("ack_id", [-1, ACK_ID_LIMIT])
def test_ack_id_outside_the_limits_is_not_sent(ack_id: int) -> None:
    with pytest.raises(ValueError, match="an ack id must have 1 to 15 digits"):
        parser.encode_event("/", ["x"], ack_id)
    with pytest.raises(ValueError, match="an ack id must have 1 to 15 digits"):
        parser.encode_ack("/", ack_id, [])


def test_ack_without_an_id_is_not_sent() -> None:
    with pytest.raises(ValueError, match="an ACK packet needs the ack id"):
        parser.encode(Packet(ACK, "/", []))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (EVENT, None),
        (EVENT, "x"),
        (EVENT, {"x": 1}),
        (ACK, None),
        (ACK, "x"),
        (CONNECT, []),
        (CONNECT, "x"),
        (DISCONNECT, {}),
        (CONNECT_ERROR, []),
        (BINARY_EVENT, ["x"]),
        (BINARY_ACK, None),
    ],
)
def test_data_that_the_type_cannot_carry_is_not_sent(kind: PacketType, data: Any) -> None:
    with pytest.raises(ValueError, match=r"must be a list|must not have data|sent as EVENT or ACK"):
        parser.encode(Packet(kind, "/", data, 1))


# -- decoding


def test_binary_packet_is_decoded_to_the_plain_type_with_bytes() -> None:
    decoder = parser.decoder()
    assert receive(decoder, '61-/a,5[{"_placeholder":true,"num":0}]') is None
    packet = decoder.receive_binary(b"1")
    assert packet == Packet(ACK, "/a", [b"1"], 5)
    assert packet is not None
    assert packet.type is ACK


def test_packet_after_a_binary_packet_is_decoded() -> None:
    decoder = parser.decoder()
    for data in (b"1", b"2"):
        assert receive(decoder, '51-["x",{"_placeholder":true,"num":0}]') is None
        assert decoder.receive_binary(data) == Packet(EVENT, "/", ["x", data])
        assert receive(decoder, '2["y"]') == Packet(EVENT, "/", ["y"])


def test_close_drops_an_incomplete_packet() -> None:
    decoder = parser.decoder()
    receive(decoder, '51-["x",{"_placeholder":true,"num":0}]')
    decoder.close()
    assert receive(decoder, '2["y"]') == Packet(EVENT, "/", ["y"])


@pytest.mark.parametrize("first", [[], [b""]])
def test_incomplete_packet_is_dropped_after_an_error(first: list[bytes]) -> None:
    for last in ('2["y"]', b"123456", b""):
        decoder = JsonParser(max_attachment_bytes=5).decoder()
        receive(decoder, f'5{len(first) + 1}-["x",{{"_placeholder":true,"num":7}}]')
        for message in first:
            assert decoder.receive_binary(message) is None
        with pytest.raises(PacketError):
            receive(decoder, last) if isinstance(last, str) else decoder.receive_binary(last)
        assert receive(decoder, '2["y"]') == Packet(EVENT, "/", ["y"])


def test_attachments_are_accepted_up_to_the_limit() -> None:
    decoder = JsonParser(max_attachment_bytes=5).decoder()
    receive(decoder, '52-["x"]')
    assert decoder.receive_binary(b"123") is None
    assert decoder.receive_binary(b"45") == Packet(EVENT, "/", ["x"])


@pytest.mark.parametrize("text", ['2["x",{}{}', '2["\\u0041",{}', '2["\\ud800",{}', "2[", '2["x"'])
def test_invalid_json_is_refused(text: str) -> None:
    for nested in ("", "[" * 100_000, '[{"a":' * 50_000):
        with pytest.raises(PacketError) as caught:
            decode(text.replace("{}", nested or "{"))
        assert caught.value.slug == "invalid_payload"


def test_data_of_the_maximum_depth_is_decoded() -> None:
    data = json.loads("[" * 253 + "]" * 253)
    assert decode(text_of(parser.encode_event("/", ["x", data]))[1:]) == Packet(
        EVENT, "/", ["x", data]
    )
    with pytest.raises(ValueError, match="nested deeper"):
        parser.encode_event("/", ["x", [data]])


def test_integers_are_unchanged_next_to_a_lone_surrogate() -> None:
    numbers = "0,-1,18446744073709551615,18446744073709551616,-9223372036854775809,1.5"
    plain = decode(f'2["x",{numbers}]')
    lenient = decode(f'2["\\ud800",{numbers}]')
    assert plain is not None
    assert lenient is not None
    assert plain.data[1:] == lenient.data[1:]
    assert [type(n) for n in plain.data[1:]] == [type(n) for n in lenient.data[1:]]


def test_too_long_integer_is_refused_with_and_without_a_lone_surrogate() -> None:
    digits = "1" * (sys.get_int_max_str_digits() + 1)
    for name in ("x", "\\ud800"):
        with pytest.raises(PacketError):
            decode(f'2["{name}",{digits}]')


def test_decoders_share_no_state() -> None:
    receive(parser.decoder(), '51-["x"]')
    with pytest.raises(PacketError):
        parser.decoder().receive_binary(b"1")


# -- errors


def test_packet_error_has_the_close_reason_of_the_node_server() -> None:
    with pytest.raises(ProtocolError, match="unknown packet type 9") as caught:
        decode("9")
    assert caught.value.reason is CloseReason.FORCED_CLOSE


def test_every_error_of_user_code_and_of_acks_is_a_socket_error() -> None:
    refused = ConnectError("no", {"code": 1})
    failed = AckError("E1", "no", [1])
    invalid = PayloadValidationError("no", [{"path": "$.a", "message": "missing"}])
    late = AckTimeoutError()
    gone = DisconnectedError()
    assert all(isinstance(e, SocketError) for e in (refused, failed, invalid, late, gone))
    assert (str(refused), refused.message, refused.data) == ("no", "no", {"code": 1})
    assert (str(failed), failed.code, failed.message, failed.data) == ("no", "E1", "no", [1])
    assert (invalid.message, invalid.fields) == ("no", [{"path": "$.a", "message": "missing"}])
    assert str(late) == "operation has timed out"
    assert str(gone) == "socket has been disconnected"


NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**18, 10**19, 1e308]),
)


@given(st.recursive(NUMBERS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_numbers_are_the_same_next_to_a_lone_surrogate(value: Any) -> None:
    text = json.dumps(value)
    plain, lenient = decode(f'2["x",{text}]'), decode(f'2["\\ud800",{text}]')
    assert plain is not None
    assert lenient is not None
    assert repr(lenient.data[1]) == repr(plain.data[1])


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "9" * 5000, "1" + "0" * 309])
def test_number_beyond_the_largest_float_is_refused_next_to_a_lone_surrogate(number: str) -> None:
    with pytest.raises(PacketError, match="invalid payload"):
        decode(f'2["\\ud800",[{{"a":{number}}}]]')


@pytest.mark.parametrize("number", ["1", "1.5", "12345678901234567890"])
def test_lenient_parsing_calls_no_function_per_number(number: str) -> None:
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    message = f'2["\\ud800"{f",{number}" * 1_000}]'
    sys.setprofile(count)
    try:
        decode(message)
    finally:
        sys.setprofile(None)
    assert calls < 100

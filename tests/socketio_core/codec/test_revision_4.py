"""Packets of revision 4: namespaces with a query, and version 2 of the MessagePack parser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socketio_core import JsonParser, MsgpackParser
from socketio_core.codec.json_codec import Packet, PacketType
from socketio_core.codec.revision_4 import MAX_FIELDS, old_decoder, read_query, refusal_data
from socketio_core.errors import PacketError

CONNECT, DISCONNECT, EVENT, ACK, *_ = PacketType


@pytest.mark.parametrize(
    ("message", "packet"),
    [
        (b"40", (CONNECT, "/", {}, None)),
        (b"40/chat,", (CONNECT, "/chat", {}, None)),
        (b"40/chat", (CONNECT, "/chat", {}, None)),
        (b"40/chat?token=abc&x=a%20b,", (CONNECT, "/chat", {"token": "abc", "x": "a b"}, None)),
        (b"40/chat?token=abc", (CONNECT, "/chat", {"token": "abc"}, None)),
        (b"40/chat?a=1&a=2&b=&c,", (CONNECT, "/chat", {"a": "2", "b": "", "c": ""}, None)),
        (b"40/chat?a=1+2%2C#b=3,", (CONNECT, "/chat", {"a": "1 2,"}, None)),
        (b"40/chat#a?b=1,", (CONNECT, "/chat", {}, None)),
        (b"40/chat?,", (CONNECT, "/chat", {}, None)),
        (b'40/chat?a=1,{"a":2}', (CONNECT, "/chat", {"a": "1"}, None)),
        ("40/ch\u00e4t?n=\u00e4,".encode(), (CONNECT, "/ch\u00e4t", {"n": "\u00e4"}, None)),
        (b"41/chat?token=abc,", (DISCONNECT, "/chat", None, None)),
        (b"41/chat", (DISCONNECT, "/chat", None, None)),
        (b'42/chat?token=abc,["a","?"]', (EVENT, "/chat", ["a", "?"], None)),
        (b'42/chat,7["a"]', (EVENT, "/chat", ["a"], 7)),
        (b'42["/chat?x",1]', (EVENT, "/", ["/chat?x", 1], None)),
        (b'43/chat?x=1,7["a"]', (ACK, "/chat", ["a"], 7)),
    ],
)
def test_text_packet_decodes_without_the_query(message: bytes, packet: Any) -> None:
    assert old_decoder(JsonParser()).receive_text(message) == packet


def test_namespace_may_have_a_long_query() -> None:
    token = "x" * 100_000
    packet = old_decoder(JsonParser()).receive_text(b"40/chat?token=" + token.encode())
    assert packet == (CONNECT, "/chat", {"token": token}, None)


def test_attachments_follow_an_event_of_a_namespace_with_a_query() -> None:
    decoder = old_decoder(JsonParser())
    message = b'451-/chat?x=1,["a",{"_placeholder":true,"num":0}]'
    assert decoder.receive_text(message) is None
    assert decoder.receive_binary(b"\x01") == (EVENT, "/chat", ["a", b"\x01"], None)


@pytest.mark.parametrize("message", [b"40/a,b?c", b"40/" + b"x" * 1000 + b"?a=1,", b"49/x?a,"])
def test_invalid_text_packet_is_refused(message: bytes) -> None:
    with pytest.raises(PacketError):
        old_decoder(JsonParser()).receive_text(message)


def test_query_with_too_many_fields_is_refused() -> None:
    assert len(read_query("?" + "&".join(f"f{n}=1" for n in range(MAX_FIELDS)))) == MAX_FIELDS
    with pytest.raises(PacketError):
        read_query("?" + "&".join(f"f{n}=1" for n in range(MAX_FIELDS + 1)))


@settings(max_examples=500)
@given(
    rest=st.one_of(
        st.binary(max_size=30),
        st.text('0123/?#&=,%+ab-[]{}"\u20ac', max_size=30).map(str.encode),
    ),
    parser=st.sampled_from([JsonParser(), MsgpackParser()]),
)
def test_any_text_message_decodes_or_raises_a_known_error(
    rest: bytes, parser: JsonParser | MsgpackParser
) -> None:
    try:
        packet = old_decoder(parser).receive_text(b"4" + rest)
    except PacketError:
        return
    except UnicodeDecodeError:
        with pytest.raises(UnicodeDecodeError):
            rest.decode()
        return
    assert packet is None or "?" not in packet[1]


@pytest.mark.parametrize(
    ("value", "packet"),
    [
        ({"type": 0, "nsp": "/chat?a=1"}, (CONNECT, "/chat", {"a": "1"}, None)),
        ({"type": 0, "nsp": "/chat"}, (CONNECT, "/chat", {}, None)),
        ({"type": 1, "nsp": "/chat"}, (DISCONNECT, "/chat", None, None)),
        ({"type": 2, "nsp": "/", "data": ["a"], "id": 1}, (EVENT, "/", ["a"], 1)),
    ],
)
def test_old_messagepack_parser_reads_json_text(value: Any, packet: Any) -> None:
    message = b"4" + json.dumps(value).encode()
    assert old_decoder(MsgpackParser()).receive_text(message) == packet


@pytest.mark.parametrize("kind", [2, 5, 3, 6])
def test_old_messagepack_parser_reads_the_types_of_binary_packets(kind: int) -> None:
    parser = MsgpackParser()
    expected = EVENT if kind in (2, 5) else ACK
    (encoded,) = parser.encode(Packet(expected, "/chat", ["a", b"\x01"], 1))
    # The value of the first key, "type".
    payload = encoded.payload.replace(
        b"\xa4type" + bytes((expected,)), b"\xa4type" + bytes((kind,))
    )
    assert (payload == encoded.payload) == (kind == expected)
    packet = old_decoder(parser).receive_binary(payload)
    assert packet == (expected, "/chat", ["a", b"\x01"], 1)


@pytest.mark.parametrize("text", ["[1]", '"x"', '{"type":9,"nsp":"/"}', '{"type":0}', "{", "7"])
def test_old_messagepack_parser_refuses_invalid_json(text: str) -> None:
    with pytest.raises(PacketError):
        old_decoder(MsgpackParser()).receive_text(b"4" + text.encode())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"message": "no"}, "no"),
        ({"message": "no", "data": {"code": 7}}, {"code": 7}),
        ({"message": "no", "data": "text"}, "text"),
        ({"message": "no", "data": [1]}, "no"),
        ({"message": "no", "data": {}}, "no"),
    ],
)
def test_refusal_contains_the_data_or_the_message(body: dict[str, Any], expected: Any) -> None:
    assert refusal_data(body, JsonParser(), is_known=True) == expected
    assert refusal_data(body, MsgpackParser(), is_known=True) == "no"
    assert refusal_data(body, JsonParser(), is_known=False) == body


def test_messagepack_value_that_is_not_a_map_is_refused() -> None:
    with pytest.raises(PacketError, match="invalid payload"):
        old_decoder(MsgpackParser()).receive_binary(b"\x91\x01")

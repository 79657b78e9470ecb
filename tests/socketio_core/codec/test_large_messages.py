"""Large messages: the work that a client can cause with one of them is bounded."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec import msgpack

from socketio_core.codec.json_codec import JsonParser, load_json
from socketio_core.codec.large import LARGE, VERY_LARGE
from socketio_core.codec.lenient_json import MAX_STRUCTURE
from socketio_core.codec.msgpack_codec import MsgpackParser
from socketio_core.codec.revision_4 import old_decoder
from socketio_core.errors import PacketError

LISTS = b"[" + b",".join([b"[]"] * 100_000) + b"]"
VALUE: list[Any] = [[] for _ in range(100_000)]


class Marker:
    """An object that may be part of a cycle."""

    itself: Marker


@contextmanager
def counted_collections() -> Iterator[list[str]]:
    """Collect the phases of all garbage collections."""
    phases: list[str] = []

    def note(phase: str, _: dict[str, int]) -> None:
        phases.append(phase)

    gc.callbacks.append(note)
    try:
        yield phases
    finally:
        gc.callbacks.remove(note)


def decode_text(message: bytes) -> Any:
    decoder = JsonParser().decoder()
    packet = decoder.receive_text(message) or decoder.receive_binary(b"x")
    assert packet is not None
    return packet[2]


def decode_msgpack(message: bytes) -> Any:
    packet = MsgpackParser().decoder().receive_binary(message)
    assert packet is not None
    return packet[2]


@pytest.mark.parametrize(
    ("decode", "message"),
    [
        (decode_text, b'42["x",' + LISTS + b"]"),
        (decode_text, b'4212["x",' + LISTS + b"]"),
        (decode_text, b'42/other,["x",' + LISTS + b"]"),
        (decode_text, b'451-["x",' + LISTS + b"]"),
        (load_json, b'["x",' + LISTS + b"]"),
        (decode_msgpack, msgpack.encode({"type": 2, "nsp": "/", "data": ["x", VALUE]})),
    ],
    ids=["event", "ack id", "namespace", "attachment", "revision 4", "MessagePack"],
)
def test_large_message_is_decoded_without_garbage_collections(decode: Any, message: bytes) -> None:
    assert gc.isenabled()
    with counted_collections() as phases:
        value = decode(message)
    assert value == ["x", VALUE]
    # A collection may follow when the collector is enabled again; the decoder alone caused 150.
    assert phases.count("start") <= 5
    assert gc.isenabled()


async def test_very_large_message_that_is_released_costs_no_collection() -> None:
    message = b'42["x",' + LISTS + b"]"
    assert len(message) > VERY_LARGE
    gc.collect()
    with counted_collections() as phases:
        value = decode_text(message)
        assert not gc.isenabled()
        del value
        await asyncio.sleep(0)
        assert gc.isenabled()
        assert len(gc.get_objects(0)) < 50_000
    assert phases.count("start") <= 1


async def test_pause_of_the_collector_ends_when_a_second_message_follows() -> None:
    for _ in range(2):
        decode_text(b'42["x",' + LISTS + b"]")
        assert not gc.isenabled()
    await asyncio.sleep(0)
    assert gc.isenabled()


def test_objects_that_the_application_has_frozen_stay_frozen() -> None:
    gc.freeze()
    try:
        before = gc.get_freeze_count()
        decode_text(b'42["x",' + LISTS + b"]")
        assert gc.get_freeze_count() >= before - 1000
    finally:
        gc.unfreeze()


async def test_collector_is_enabled_after_an_invalid_very_large_message() -> None:
    with pytest.raises(PacketError):
        decode_text(b'42["x",' + b"[" * (VERY_LARGE + 1))
    await asyncio.sleep(0)
    assert gc.isenabled()


def test_collector_is_enabled_after_an_invalid_large_message_and_stays_disabled_if_it_was() -> None:
    with pytest.raises(PacketError):
        decode_text(b'42["x",' + b"[" * LARGE)
    assert gc.isenabled()
    gc.disable()
    try:
        decode_text(b'42["x",' + LISTS + b"]")
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_text_with_a_lone_surrogate_has_no_limit_of_its_own() -> None:
    text = "\\ud800" + 'a, b [1] {"c": 2} \\ 12345678901234567890 ' * 20_000
    message = json.dumps(["x", text]).replace("\\\\ud800", "\\ud800")
    assert len(message) > 10 * MAX_STRUCTURE
    assert decode_text(b"42" + message.encode())[1][0] == "\ud800"


@pytest.mark.parametrize("value", ["1,", "[],", '"",', '"\\"",', "{},", '{"a":1},', "1e400,"])
def test_values_next_to_a_lone_surrogate_are_limited(value: str) -> None:
    allowed = MAX_STRUCTURE // 8 // 4
    few = f'42["x",[{value * allowed}"\\ud800"]]'
    many = f'42["x",[{value * MAX_STRUCTURE}"\\ud800"]]'
    if value == "1e400,":
        with pytest.raises(PacketError, match=r"^invalid payload"):
            decode_text(few.encode())
    else:
        assert len(decode_text(few.encode())[1]) == allowed + 1
    with pytest.raises(PacketError, match=rf"at most {MAX_STRUCTURE} characters") as caught:
        decode_text(many.encode())
    assert caught.value.slug == "invalid_payload"


def test_values_of_other_servers_are_not_limited() -> None:
    text = f'["\\ud800"{",1" * MAX_STRUCTURE}]'.encode()
    assert len(load_json(text, None)) == MAX_STRUCTURE + 1


def echo_msgpack(value: Any) -> Any:
    """Return the data of a large event, as a client receives it from a handler that returns it."""
    event = {"type": 2, "nsp": "/", "data": ["x", value, "x" * LARGE]}
    received = decode_msgpack(msgpack.encode(event))[1]
    (message,) = MsgpackParser().encode_ack("/", 1, [received])
    return msgpack.decode(message.payload)["data"][0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (VALUE, VALUE),
        ([{1: [{}]}] * 10_000, [{"1": [{}]}] * 10_000),
        ([*VALUE, {True: 1, "a": b"1"}], [*VALUE, {"true": 1, "a": b"1"}]),
        ([*VALUE, {"1.0": 1, "null": b"2"}], [*VALUE, {"1.0": 1, "null": b"2"}]),
        ([*VALUE, msgpack.Ext(5, b"1")], [*VALUE, [5, b"1"]]),
    ],
    ids=["lists", "integers as keys", "true as key", "texts as keys", "extension"],
)
def test_large_message_is_converted_without_calls_per_value(value: Any, expected: Any) -> None:
    calls = 0

    def count(frame: object, kind: str, _: object) -> None:
        nonlocal calls
        calls += kind == "call"

    former = sys.getprofile()
    sys.setprofile(count)
    try:
        found = echo_msgpack(value)
    finally:
        sys.setprofile(former)
    assert found == expected
    assert calls < len(value) / 4


@pytest.mark.parametrize(
    "key", [1.0, 1e300, None, b"1", (1,)], ids=["1.0", "1e300", "nil", "bytes", "list"]
)
def test_large_message_with_keys_that_cost_much_is_refused(key: Any) -> None:
    event = {"type": 2, "nsp": "/", "data": ["x", [{key: 1}], "x" * LARGE]}
    with pytest.raises(PacketError, match="strings or integers") as caught:
        decode_msgpack(msgpack.encode(event))
    assert caught.value.slug == "invalid_payload"
    with pytest.raises(PacketError, match="strings or integers"):
        old_decoder(MsgpackParser()).receive_binary(msgpack.encode(event))
    event["data"] = ["x", [{key: 1}]]
    assert decode_msgpack(msgpack.encode(event)) == event["data"]


def test_number_in_a_text_is_not_taken_for_a_large_one() -> None:
    numbers = decode_text(b'42["x",["\\ud800 1e400 12345678901234567890",12345678901234567890123]]')
    assert numbers[1][1] == 12345678901234567890123.0

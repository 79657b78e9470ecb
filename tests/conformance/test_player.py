"""The player detects faults of a server, reports them, and respects its deadlines."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_conformance.dialogue import Dialogue, Step
from socketio_conformance.http_connection import Address
from socketio_conformance.player import Failure, Player

from .support import SWITCH, frame, ok, replying

REQUEST: Step = {"request": "r", "query": "EIO=4"}
WEBSOCKET: Step = {"websocket": "w"}


async def play(address: Address, *steps: Step) -> Failure | None:
    dialogue = Dialogue("test", "engineio", "group", frozenset(), steps, "source", None)
    return await Player(address, "/engine.io/").play(dialogue)


async def failure(address: Address, *steps: Step) -> Failure:
    failed = await play(address, *steps)
    assert failed is not None
    return failed


async def test_matching_response_passes() -> None:
    async with replying(ok("4hello\x1e2", "X-One: 1")) as server:
        expect = {
            "status": 200,
            "headers": {"x-one": "1", "x-two": None},
            "payload": ["4hello", "2"],
        }
        assert await play(server, {**REQUEST, "expect": expect}) is None


@pytest.mark.parametrize(
    ("expect", "observed"),
    [
        ({"status": 400}, 'got 200 "4hello"'),
        ({"status": [400, 500]}, 'got 200 "4hello"'),
        ({"headers": {"x-one": "2"}}, "got '1'"),
        ({"headers": {"x-one": None}}, "got '1'"),
        ({"headers": {"x-two": "1"}}, "the header is missing"),
        ({"body": "4hell"}, 'got 200 "4hello"'),
        ({"payload": ["4hello", "2"]}, 'got 200 "4hello"'),
        ({"payload": ["4other"]}, 'got 200 "4hello"'),
        ({"json": {}}, 'got 200 "4hello"'),
    ],
)
async def test_different_response_fails(expect: Step, observed: str) -> None:
    async with replying(ok("4hello", "X-One: 1")) as server:
        failed = await failure(server, {**REQUEST, "expect": expect})
        assert (failed.number, failed.observed) == (1, observed)


async def test_missing_response_fails_within_its_deadline() -> None:
    async with replying(b"") as server:
        failed = await failure(server, REQUEST, {"response": "r", "within": 0.05})
        assert (failed.number, failed.observed) == (2, "nothing arrived")


async def test_closed_connection_fails_unless_allowed() -> None:
    async with replying(b"", then_ends=True) as server:
        failed = await failure(server, REQUEST, {"response": "r"})
        assert failed.observed == "the connection ended"
    async with replying(b"", then_ends=True) as server:
        assert await play(server, REQUEST, {"response": "r", "or_cut": True}) is None
    async with replying(b"", then_ends=True) as server:
        assert await play(server, REQUEST, {"cut": "r"}) is None


async def test_incomplete_response_fails() -> None:
    async with replying(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", then_ends=True
    ) as server:
        assert (
            await failure(server, REQUEST, {"response": "r"})
        ).observed == "the connection ended"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_body_without_the_format_of_its_content_encoding_fails(encoding: str) -> None:
    async with replying(ok("4hello", f"Content-Encoding: {encoding}")) as server:
        failed = await failure(server, {**REQUEST, "expect": {"payload": ["4hello"]}})
        assert "the body does not have its Content-Encoding" in failed.observed


async def test_text_message_that_is_not_utf_8_fails() -> None:
    async with replying(SWITCH + b"\x81\x02\xff\xfe") as server:
        failed = await failure(server, WEBSOCKET, {"receive": "w", "messages": ["a"]})
        assert "a text message is not UTF-8" in failed.observed


async def test_unexpected_response_fails() -> None:
    async with replying(ok("1")) as server:
        failed = await failure(server, REQUEST, {"pending": "r", "for": 240})
        assert failed.observed == 'got 200 "1"'
    async with replying(ok("1")) as server:
        assert (await failure(server, REQUEST, {"cut": "r"})).observed == 'got 200 "1"'


async def test_pending_response_can_arrive_later() -> None:
    async with replying(b"", ok("late")) as server:
        steps: list[Step] = [
            REQUEST,
            {"pending": "r", "for": 0.05},
            {"more": "r", "data": "x"},
            {"response": "r", "body": "late"},
        ]
        assert await play(server, *steps) is None


async def test_poll_fails_with_more_packets_than_expected() -> None:
    async with replying(ok("4a"), ok("4b\x1e4c")) as server:
        assert await play(server, {"poll": "x", "packets": ["4a", "4b", "4c"]}) is None
    async with replying(ok("4a"), ok("4b\x1e4c")) as server:
        failed = await failure(server, {"poll": "x", "packets": ["4a", "4b"]})
        assert failed.observed == 'got "4a" "4b" "4c"'


async def test_two_frames_in_one_segment_become_two_messages() -> None:
    async with replying(SWITCH + frame("a") + frame("b")) as server:
        assert await play(server, WEBSOCKET, {"receive": "w", "messages": ["a", "b"]}) is None


async def test_unread_message_at_the_end_fails() -> None:
    async with replying(SWITCH + frame("a") + frame("b")) as server:
        steps: list[Step] = [WEBSOCKET, {"receive": "w", "messages": ["a"]}, {"wait": 0.05}]
        assert (await failure(server, *steps)).observed == 'got "b"'


@pytest.mark.parametrize(
    ("sent", "step", "observed"),
    [
        (frame("b"), {"receive": "w", "messages": ["a"]}, 'got "b": not "a"'),
        (b"", {"receive": "w", "messages": ["a"], "within": 0.05}, "nothing arrived"),
        (frame("b"), {"silent": "w", "for": 240}, 'got "b"'),
        (frame("b"), {"closed": "w"}, 'got "b"'),
        (b"", {"closed": "w", "within": 0.05}, "the connection is still open"),
        (b"\x88\x02\x03\xe9", {"closed": "w", "code": 1000}, "the connection closed with 1001"),
        (b"\x88\x00", {"closed": "w", "code": [1000, 1006]}, "the connection closed with 1005"),
        (
            b"\x88\x04\x03\xe9no",
            {"closed": "w", "reason": ""},
            "the connection closed with 1001, no",
        ),
        (b"\x88\x00", {"receive": "w", "messages": ["a"]}, "the connection closed with 1005"),
        (b"\x88\x00", {"silent": "w", "for": 240}, "the connection closed with 1005"),
    ],
)
async def test_different_frame_fails(sent: bytes, step: Step, observed: str) -> None:
    async with replying(SWITCH + sent) as server:
        assert (await failure(server, WEBSOCKET, step)).observed == observed


async def test_close_without_a_frame_has_code_1006() -> None:
    async with replying(SWITCH, then_ends=True) as server:
        assert await play(server, WEBSOCKET, {"closed": "w", "code": 1006}) is None


async def test_masked_frame_of_a_server_fails() -> None:
    async with replying(SWITCH + b"\x81\x81\0\0\0\0a") as server:
        failed = await failure(server, WEBSOCKET, {"receive": "w", "messages": ["a"]})
        assert "the server violated RFC 6455" in failed.observed


async def test_step_fails_on_a_refused_websocket() -> None:
    refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno"
    async with replying(refusal) as server:
        assert (await failure(server, WEBSOCKET)).observed == 'got 400 "no"'
    async with replying(refusal) as server:
        step: dict[str, Any] = {**WEBSOCKET, "expect": {"status": 400, "body": "no"}}
        assert await play(server, step) is None


async def test_captured_value_is_inserted() -> None:
    async with replying(ok('0{"sid":"abc"}'), ok("4abc")) as server:
        opened = {"prefix": "0", "json": {"sid": {"$capture": "sid"}}}
        steps: list[Step] = [
            {**REQUEST, "expect": {"payload": [opened]}},
            {"request": "s", "expect": {"body": "4${sid}"}},
        ]
        assert await play(server, *steps) is None


async def test_unknown_capture_is_a_fault_of_the_dialogue() -> None:
    async with replying(ok("")) as server:
        failed = await failure(server, {"request": "r", "query": "${unknown}"})
        assert "the dialogue captured no value as 'unknown'" in failed.observed

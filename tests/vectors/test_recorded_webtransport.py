"""Streams of WebTransport clients, recorded with Node: our server gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engineio_core.webtransport.support import OPEN, Client, EchoEngine, split
from tests.engineio_core.webtransport.test_opening import open_polling

FILE = Path(__file__).parent / "recorded" / "webtransport.json"
RECORD: dict[str, Any] = json.loads(FILE.read_text())
VECTORS: list[dict[str, Any]] = RECORD["vectors"]
#: Vectors whose behavior differs, or belongs to another test.
ELSEWHERE = {
    "server-ping",  # test_transport: heartbeats
    "client-close-packet",  # closes the session here, like over WebSocket (test_transport)
    "session-closed-by-peer",  # test_transport: a client that leaves
    "middleware-registered",  # middlewares run here (test_opening)
}


def make_engine() -> EchoEngine:
    options = RECORD["options"]
    return EchoEngine(
        max_http_buffer_size=options["maxHttpBufferSize"],
        upgrade_timeout=options["upgradeTimeout"] / 1000,
        allow_eio3=options["allowEIO3"],
    )


def sent(vector: dict[str, Any]) -> list[bytes]:
    chunks = [bytes.fromhex(each) for each in vector.get("sent_hex", [])]
    missing = vector.get("sent_length", 0) - sum(map(len, chunks))
    if missing > 0:
        chunks[-1] += chunks[-1][-1:] * missing
    return chunks


def names(test: Any) -> list[str]:
    found = [each["name"] for each in VECTORS if each["name"] not in ELSEWHERE and test(each)]
    assert found
    return found


def by_name(name: str) -> dict[str, Any]:
    return next(each for each in VECTORS if each["name"] == name)


def is_echo(vector: dict[str, Any]) -> bool:
    return vector["name"].startswith(("echo-", "split-", "two-"))


def is_refused(vector: dict[str, Any]) -> bool:
    return "closed_after_120ms" in vector or "closed_after_500ms" in vector


@pytest.mark.parametrize("name", names(is_echo))
async def test_echo_has_the_bytes_of_node(name: str) -> None:
    vector = by_name(name)
    client = Client(make_engine())
    await client.send(OPEN)
    client.stream.written = b""
    await client.send(*sent(vector))
    received = bytes.fromhex("".join(vector["received"]))
    assert client.stream.written[: len(received)] == received
    assert client.stream.written == b"".join(sent(vector))
    assert len(client.stream.written) == vector.get("received_length", len(received))


@pytest.mark.parametrize("name", names(is_refused))
async def test_refused_stream_closes_without_an_answer(name: str) -> None:
    engine = make_engine()
    client = Client(engine)
    await client.send(*sent(by_name(name)))
    engine.fake_clock.advance(0.5)
    assert client.stream.end is not None
    assert client.stream.written == b""
    assert not engine.opened


@pytest.mark.parametrize("name", ["oversize-after-open", "zero-length-after-open"])
async def test_invalid_length_ends_the_session_with_parse_error(name: str) -> None:
    vector = by_name(name)
    engine = make_engine()
    client = Client(engine)
    await client.send(OPEN, *sent(vector))
    assert [reason for reason, _ in engine.ends] == [vector["server_events"][-1][1]]
    assert client.stream.end is not None


async def test_new_session_has_the_handshake_of_node() -> None:
    vector = by_name("new-session")
    client = Client(make_engine())
    await client.send(*sent(vector))
    ((_, ours),) = client.packets
    ((_, node),) = split(bytes.fromhex("".join(vector["received"])))
    ours_handshake, node_handshake = json.loads(ours[1:]), json.loads(node[1:])
    assert ours_handshake.pop("sid") != node_handshake.pop("sid")
    assert ours_handshake == node_handshake


async def test_upgrade_has_the_bytes_of_node() -> None:
    vector = by_name("upgrade-polling-to-webtransport")
    engine = make_engine()
    chunks = sent(vector)
    session = open_polling(engine, json.loads(chunks[0][2:])["sid"])
    client = Client(engine)
    await client.send(*chunks)
    assert client.stream.written == bytes.fromhex("".join(vector["received"]))
    assert session.transport is client.transport


def test_every_vector_has_a_test() -> None:
    tested = {
        *names(is_echo), *names(is_refused), "oversize-after-open", "zero-length-after-open",
        "new-session", "upgrade-polling-to-webtransport",
        # The same upgrade for a session of revision 3: test_opening
        "eio3-polling-session-upgrade-attempt",
    }  # fmt: skip
    assert tested | ELSEWHERE == {each["name"] for each in VECTORS}

"""The official engine.io-client on Node against a server on a TCP port."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engineio_core import (
    Cookie,
    Engine,
    HttpRequest,
    HttpResponse,
    PerMessageDeflate,
    Session,
)
from tests.helpers.waiting import until

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
COUNT = 50


def handle_messages(session: Session) -> None:
    """Echo all messages except the commands of the cases."""

    def receive(text: str) -> None:
        match text:
            case "close me":
                session.send_text("bye")
                session.close()
            case "cookie?":
                session.send_text(session.request.state.get("cookie", "none"))
            case "header?":
                session.send_text(session.request.headers.get("x-who", "none"))
            case "count with me":
                Counter(session)
            case _:
                session.send_text(text)

    session.on_text = receive
    session.on_binary = session.send_binary


class Counter:
    """Sends 50 messages, one every two milliseconds, and expects 50 from the client."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sent = 0
        self._expected = 0
        session.on_text = self._receive
        self._tick()

    def _tick(self) -> None:
        self._session.send_text(f"server {self._sent}")
        self._sent += 1
        if self._sent < COUNT:
            asyncio.get_running_loop().call_later(0.002, self._tick)
        else:
            self._finish()

    def _receive(self, text: str) -> None:
        assert text == f"client {self._expected}"
        self._expected += 1
        self._finish()

    def _finish(self) -> None:
        if self._sent == COUNT == self._expected:
            self._session.send_text("all received")


class EngineHarness:
    """A listening server that records the close reasons of its sessions."""

    def __init__(self, **options: Any) -> None:
        self.closed: dict[str, str] = {}
        self.cookies: list[str] = []
        self.engine = Engine(**options)
        self.engine.on("connection", self._connected)
        self.engine.use(self._middleware)
        self.url = ""

    def _connected(self, session: Session) -> None:
        handle_messages(session)

        def record(reason: str, description: str) -> None:
            self.closed[session.sid] = str(reason)

        session.on_close = record

    async def reason_of(self, sid: str) -> str:
        """Wait for the end of a session and return its reason."""
        await until(lambda: sid in self.closed)
        return self.closed[sid]

    def _middleware(self, request: HttpRequest) -> HttpResponse | None:
        if request.is_upgrade and (sid := request.query.get("sid")) in self.engine.sessions:
            session = self.engine.sessions[sid or ""]
            session.request.state["cookie"] = request.headers.get("cookie", "none")
        return HttpResponse(401) if request.query.get("refuse") else None

    async def run_cases(self, *names: str) -> list[dict[str, Any]]:
        node = shutil.which("node")
        assert node is not None, "the official client needs Node: install Node 20 or later"
        assert (HERE / "node_modules").is_dir(), "the npm packages are missing: run `make setup`"
        process = await asyncio.create_subprocess_exec(
            node, str(HERE / "engine_client.js"), self.url, *names,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(300):
            output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        results = [json.loads(line) for line in output.splitlines()]
        assert [result.pop("case") for result in results] == list(names)
        for result in results:
            assert "error" not in result, result["error"]
        return results


@pytest.fixture
async def server(request: pytest.FixtureRequest) -> AsyncIterator[EngineHarness]:
    harness = EngineHarness(**getattr(request, "param", {}))
    listener = await harness.engine.listen("127.0.0.1", 0)
    harness.url = f"http://127.0.0.1:{listener.port}"
    yield harness
    await harness.engine.shutdown()


async def test_messages_are_echoed_over_both_transports(server: EngineHarness) -> None:
    for result, transport in zip(
        await server.run_cases("polling", "websocket"), ("polling", "websocket"), strict=True
    ):
        assert result == {"isEqual": True, "binary": ["0001feff", "0203"], "transport": transport}


async def test_client_parses_the_handshake(server: EngineHarness) -> None:
    (handshake,) = await server.run_cases("handshake")
    assert len(handshake.pop("sid")) == 20
    assert handshake == {
        "upgrades": ["websocket"],
        "pingInterval": 25000,
        "pingTimeout": 20000,
        "maxPayload": 1000000,
    }


async def test_client_upgrades_without_losing_messages(server: EngineHarness) -> None:
    upgrade, ordered, many = await server.run_cases("upgrade", "ordered", "manyAtOnce")
    assert upgrade["events"] == ["upgrading websocket", "upgrade websocket"]
    assert (upgrade["received"], upgrade["transport"]) == (["after", "07"], "websocket")
    assert ordered["received"] == [f"server {number}" for number in range(COUNT)]
    assert ordered["transport"] == "websocket"
    assert many == {"isEqual": True}


async def test_session_closes_when_either_side_closes(server: EngineHarness) -> None:
    results = await server.run_cases(
        "clientClosesPolling",
        "clientClosesWebsocket",
        "serverClosesPolling",
        "serverClosesWebsocket",
        "closeWhileUpgrading",
    )
    for result in results[:2]:
        assert result["reason"] == "forced close"
        assert await server.reason_of(result["id"]) == "transport close"
    for result in results[2:4]:
        assert result == {"last": "bye", "reason": "transport close"}
    assert results[4] == {"reason": "forced close"}
    await until(lambda: not server.engine.sessions)
    assert sorted(server.closed.values()) == ["forced close"] * 2 + ["transport close"] * 3


async def test_connection_closes_when_a_message_is_too_large(server: EngineHarness) -> None:
    polling, websocket = await server.run_cases("tooLargePolling", "tooLargeWebsocket")
    # As with engine.io 6.6.13: the pending poll may end before the status of the POST arrives.
    assert polling["reason"] in {"transport close", "transport error"}
    assert await server.reason_of(polling["id"]) == "transport error"
    assert websocket["reason"] in {"transport close", "transport error"}
    assert await server.reason_of(websocket["id"]) == "transport error"


async def test_closed_client_connects_again(server: EngineHarness) -> None:
    assert await server.run_cases("reconnect") == [{"different": 6}]


@pytest.mark.parametrize("server", [{"ping_interval": 0.1, "ping_timeout": 60.0}], indirect=True)
async def test_client_answers_pings(server: EngineHarness) -> None:
    assert await server.run_cases("heartbeat") == [{"states": ["open", "open"]}]
    assert "ping timeout" not in server.closed.values()


@pytest.mark.parametrize("server", [{"cookie": Cookie()}], indirect=True)
async def test_client_returns_the_cookie(server: EngineHarness) -> None:
    (result,) = await server.run_cases("cookies")
    assert result["cookie"] == f"io={result['id']}"


async def test_server_receives_the_headers_of_the_client(server: EngineHarness) -> None:
    assert await server.run_cases("headers") == [{"headers": ["node", "node"]}]


async def test_client_receives_the_401_of_a_middleware(server: EngineHarness) -> None:
    (result,) = await server.run_cases("refused")
    assert result["reasons"][0] == 401
    assert "websocket error" in str(result["reasons"][1])


@pytest.mark.parametrize("server", [{"per_message_deflate": PerMessageDeflate()}], indirect=True)
async def test_client_negotiates_permessage_deflate(server: EngineHarness) -> None:
    (result,) = await server.run_cases("deflate")
    assert result["isEqual"]
    assert result["extensions"].startswith("permessage-deflate")


async def test_client_reads_compressed_polling_responses(server: EngineHarness) -> None:
    assert await server.run_cases("compressed") == [{"length": 50000}]

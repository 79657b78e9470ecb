"""The official engine.io-client, on Node, against a real server."""

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

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
COUNT = 50


def listen_as_case_wants(session: Session) -> None:
    """Echo, but for a few messages that ask for more."""

    def hear(text: str) -> None:
        match text:
            case "close me":
                session.send_text("bye")
                session.close()
            case "cookie?":
                session.send_text(session.request.state.get("cookie", "none"))
            case "header?":
                session.send_text(session.request.headers.get("x-who", "nobody"))
            case "count with me":
                Counter(session)
            case _:
                session.send_text(text)

    session.on_text = hear
    session.on_binary = session.send_binary


class Counter:
    """Sends fifty messages, one every two milliseconds, and expects as many."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sent = 0
        self._expected = 0
        session.on_text = self._hear
        self._tick()

    def _tick(self) -> None:
        self._session.send_text(f"server {self._sent}")
        self._sent += 1
        if self._sent < COUNT:
            asyncio.get_running_loop().call_later(0.002, self._tick)
        else:
            self._finish()

    def _hear(self, text: str) -> None:
        assert text == f"client {self._expected}"
        self._expected += 1
        self._finish()

    def _finish(self) -> None:
        if self._sent == COUNT == self._expected:
            self._session.send_text("all received")


class Running:
    """A server that listens, and how its sessions ended."""

    def __init__(self, **options: Any) -> None:
        self.closed: dict[str, str] = {}
        self.cookies: list[str] = []
        self.engine = Engine(**options)
        self.engine.on("connection", self._connected)
        self.engine.use(self._middleware)
        self.url = ""

    def _connected(self, session: Session) -> None:
        listen_as_case_wants(session)

        def ended(reason: str, why: str) -> None:
            self.closed[session.sid] = str(reason)

        session.on_close = ended

    def _middleware(self, request: HttpRequest) -> HttpResponse | None:
        if request.is_upgrade and (sid := request.query.get("sid")) in self.engine.sessions:
            session = self.engine.sessions[sid or ""]
            session.request.state["cookie"] = request.headers.get("cookie", "none")
        return HttpResponse(401) if request.query.get("refuse") else None

    async def run_cases(self, *names: str) -> list[dict[str, Any]]:
        node = shutil.which("node")
        assert node is not None, "Node 20 is needed to run the official client"
        assert (HERE / "node_modules").is_dir(), "run `npm ci` in tests/interop first"
        process = await asyncio.create_subprocess_exec(
            node, str(HERE / "engine_client.js"), self.url, *names,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(60):
            output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        results = [json.loads(line) for line in output.splitlines()]
        assert [result.pop("case") for result in results] == list(names)
        for result in results:
            assert "error" not in result, result["error"]
        return results


@pytest.fixture
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    running = Running(**getattr(request, "param", {}))
    listener = await running.engine.listen("127.0.0.1", 0)
    running.url = f"http://127.0.0.1:{listener.port}"
    yield running
    await running.engine.shutdown()


async def test_messages_of_every_kind_come_back_over_both_transports(server: Running) -> None:
    for result, transport in zip(
        await server.run_cases("polling", "websocket"), ("polling", "websocket"), strict=True
    ):
        assert result == {"same": True, "binary": ["0001feff", "0203"], "transport": transport}


async def test_the_client_understands_the_handshake(server: Running) -> None:
    (handshake,) = await server.run_cases("handshake")
    assert len(handshake.pop("sid")) == 20
    assert handshake == {
        "upgrades": ["websocket"],
        "pingInterval": 25000,
        "pingTimeout": 20000,
        "maxPayload": 1000000,
    }


async def test_the_client_upgrades_without_loss(server: Running) -> None:
    upgrade, ordered, many = await server.run_cases("upgrade", "ordered", "manyAtOnce")
    assert upgrade["events"] == ["upgrading websocket", "upgrade websocket"]
    assert (upgrade["got"], upgrade["transport"]) == (["after", "07"], "websocket")
    assert ordered["got"] == [f"server {number}" for number in range(COUNT)]
    assert ordered["transport"] == "websocket"
    assert many == {"same": True}


async def test_each_side_may_close(server: Running) -> None:
    results = await server.run_cases(
        "clientClosesPolling",
        "clientClosesWebsocket",
        "serverClosesPolling",
        "serverClosesWebsocket",
        "closeWhileUpgrading",
    )
    for result in results[:2]:
        assert result["reason"] == "forced close"
        assert server.closed[result["id"]] == "transport close"
    for result in results[2:4]:
        assert result == {"last": "bye", "reason": "transport close"}
    assert results[4] == {"reason": "forced close"}
    assert sorted(server.closed.values()) == ["forced close"] * 2 + ["transport close"] * 3
    assert server.engine.sessions == {}


async def test_an_oversize_message_ends_the_connection(server: Running) -> None:
    polling, websocket = await server.run_cases("tooLargePolling", "tooLargeWebsocket")
    assert (polling["reason"], polling["why"]) == ("transport error", 413)
    assert websocket["reason"] in {"transport close", "transport error"}
    assert server.closed[websocket["id"]] == "transport error"


async def test_a_client_that_was_closed_opens_again(server: Running) -> None:
    assert await server.run_cases("reconnect") == [{"different": 6}]


@pytest.mark.parametrize("server", [{"ping_interval": 0.1, "ping_timeout": 0.1}], indirect=True)
async def test_the_client_answers_pings(server: Running) -> None:
    assert await server.run_cases("heartbeat") == [{"states": ["open", "open"]}]
    assert "ping timeout" not in server.closed.values()


@pytest.mark.parametrize("server", [{"cookie": Cookie()}], indirect=True)
async def test_the_client_sends_the_cookie_back(server: Running) -> None:
    (result,) = await server.run_cases("cookies")
    assert result["cookie"] == f"io={result['id']}"


async def test_headers_of_the_client_reach_the_server(server: Running) -> None:
    assert await server.run_cases("headers") == [{"seen": ["node", "node"]}]


async def test_a_401_of_a_middleware_reaches_the_client(server: Running) -> None:
    (result,) = await server.run_cases("refused")
    assert result["reasons"][0] == 401
    assert "websocket error" in str(result["reasons"][1])


@pytest.mark.parametrize("server", [{"per_message_deflate": PerMessageDeflate()}], indirect=True)
async def test_the_client_deflates_messages(server: Running) -> None:
    (result,) = await server.run_cases("deflate")
    assert result["same"]
    assert result["agreed"].startswith("permessage-deflate")


async def test_the_client_understands_compressed_polls(server: Running) -> None:
    assert await server.run_cases("compressed") == [{"length": 50000}]

"""Clients of several languages against a hub with default settings.

`make clients` builds the clients and runs these tests. Each client registers a handler that accepts
any number of arguments, and prints the arguments of one event.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import socketio

from tests.interop import program
from tests.interop.program import Server
from tests.interop.support import find_node, leftover_tasks_ended

HERE = Path(__file__).parent
BUILD = HERE.parent.parent / "build" / "clients"
LIMIT = 300.0
POLLING = "polling"
WEBSOCKET = "websocket"
UPGRADE = "polling,websocket"

pytestmark = pytest.mark.interop


def built(name: str) -> str:
    """Return the path of a built file or folder; fail with the remedy if it is missing."""
    path = BUILD / name
    if not path.exists():
        pytest.fail(f"build/clients/{name} is missing: run `make clients`")
    return str(path)


def java() -> list[str]:
    return ["java", "-cp", f"{built('java/classes')}:{built('java/lib')}/*", "Watch"]


def rust() -> list[str]:
    return [built("rust/debug/watch")]


def go() -> list[str]:
    return [built("go/watch")]


tickets = count(1)
COMPILED = {"java": java, "rust": rust, "go": go}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with program.run_server(tmp_path_factory.mktemp("server")) as server:
        yield server


async def start_editing(url: str, token: str, ticket: str) -> None:
    editor = socketio.AsyncClient(reconnection=False)
    try:
        await editor.connect(url, auth={"token": token}, transports=["polling"], wait_timeout=LIMIT)
        answer = await editor.call("start-editing", ("ticket", ticket), timeout=LIMIT)
        assert answer["success"], answer
    finally:
        await editor.disconnect()
        await leftover_tasks_ended()


async def watch(url: str, query: str, folder: Path, command: list[str], *options: str) -> list[Any]:
    """Return the arguments that the handler of a client receives for one event.

    The client is `command` with the URL, a token and `options`; `query` is part of its URL.
    """
    token, editor_token = (program.token(folder, user) for user in ("7", "8"))
    ticket = str(next(tickets))  # the editor of the former case may not have left yet
    process = await asyncio.create_subprocess_exec(
        *command,
        url + query,
        token,
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT):
            first = await process.stdout.readline()
            if first == b"ready\n":
                await start_editing(url, editor_token, ticket)
            output, errors = await process.communicate()
        assert first == b"ready\n", errors.decode()
        assert process.returncode == 0, errors.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    arguments: list[Any] = json.loads(output)
    assert arguments[0]["resourceId"] == ticket
    return arguments


@pytest.mark.parametrize("transports", [POLLING, WEBSOCKET, UPGRADE])
@pytest.mark.parametrize("language", COMPILED)
async def test_handler_receives_one_argument_in_other_languages(
    server: Server, tmp_path: Path, language: str, transports: str
) -> None:
    arguments = await watch(server.url, "", tmp_path, COMPILED[language](), transports)
    assert len(arguments) == 1


@pytest.mark.parametrize("language", COMPILED)
async def test_handler_receives_offset_when_the_query_requests_recovery(
    server: Server, tmp_path: Path, language: str
) -> None:
    arguments = await watch(server.url, "/?recovery=1", tmp_path, COMPILED[language](), WEBSOCKET)
    assert len(arguments) == 2
    assert isinstance(arguments[1], str)


@pytest.mark.parametrize(
    ("transports", "query", "recovery"),
    [
        (POLLING, "", True),
        (UPGRADE, "", True),
        (POLLING, "/?recovery=0", False),
        (WEBSOCKET, "", False),
        (WEBSOCKET, "/?recovery=1", True),
    ],
)
@pytest.mark.parametrize(
    "package", ["socket.io-client", "socket.io-client-481", "socket.io-client-3"]
)
async def test_node_client_receives_offset_with_recovery(
    server: Server, tmp_path: Path, package: str, transports: str, query: str, recovery: bool
) -> None:
    command = [find_node(), str(HERE / "node.js")]
    arguments = await watch(server.url, query, tmp_path, command, transports, package)
    assert len(arguments) == (2 if recovery else 1)

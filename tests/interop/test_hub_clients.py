"""The client of the Python package `python-socketio` against a hub with default settings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio

from . import program
from .program import Server
from .support import leftover_tasks_ended

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with program.run_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.mark.parametrize(
    "transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="-".join
)
async def test_handler_with_one_parameter_receives_events_of_the_hub(
    server: Server, tmp_path: Path, transports: list[str]
) -> None:
    received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    ticket = "-".join(transports)  # the editor of the former case may not have left yet

    def show(data: dict[str, Any]) -> None:
        received.put_nowait(data)

    watcher, editor = (socketio.AsyncClient(reconnection=False) for _ in range(2))
    watcher.on("user-started-editing", show)
    try:
        for client, user in ((watcher, "7"), (editor, "8")):
            auth = {"token": program.token(tmp_path, user)}
            await client.connect(server.url, auth=auth, transports=transports, wait_timeout=300)
        answer = await editor.call("start-editing", ("ticket", ticket), timeout=300)
        assert answer["success"], answer
        event = await asyncio.wait_for(received.get(), 300)
        assert event["resourceId"] == ticket
    finally:
        await editor.disconnect()
        await watcher.disconnect()
        await leftover_tasks_ended()

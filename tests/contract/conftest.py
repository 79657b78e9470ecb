"""Fixtures of the contract tests: the hub with default and with chosen settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.sockets.emitter import RoomEmitter
from socketio_core.testing import TestClient
from tests.contract.payload_check import PayloadCheck
from tests.contract.support import HubHarness


@pytest.fixture
async def start_hub(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Return a function that starts a hub with chosen settings."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> HubHarness:
            return await stack.enter_async_context(HubHarness(tmp_path, **settings))

        yield start


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubHarness]:
    """Start a hub with the default settings."""
    async with HubHarness(tmp_path) as started:
        yield started


@pytest.fixture(autouse=True)
def declared_payloads(monkeypatch: pytest.MonkeyPatch) -> Iterator[PayloadCheck]:
    """Fail a test whose clients receive a payload that does not have the declared type."""
    check = PayloadCheck()
    receive, emit = TestClient._receive_event, TestClient.emit_with_ack
    relay = RoomEmitter.relay

    def receive_event(client: TestClient, name: str, args: list[Any], ack_id: int | None) -> None:
        check.check_event(client.namespace, name, args)
        receive(client, name, args, ack_id)

    async def emit_with_ack(client: TestClient, event: str, *args: Any) -> Any:
        answer = await emit(client, event, *args)
        check.check_answer(client.namespace, event, answer)
        return answer

    def relay_event(emitter: RoomEmitter, *args: Any, **options: Any) -> int:
        check.note_relayed(args[3], args[4])
        return relay(emitter, *args, **options)

    monkeypatch.setattr(TestClient, "_receive_event", receive_event)
    monkeypatch.setattr(TestClient, "emit_with_ack", emit_with_ack)
    monkeypatch.setattr(RoomEmitter, "relay", relay_event)
    yield check
    assert not check.problems, "\n".join(dict.fromkeys(check.problems))

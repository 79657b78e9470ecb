"""Best practices and implicit items: rows S133 to S138 and S141 to S144."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hextrackr_server.config import settings
from hextrackr_server.errors import SettingsError
from hextrackr_server.sockets.authenticator import NAMESPACES
from socketio_core.testing import settle
from tests.contract.support import POLLING, HubHarness
from tests.hextrackr_server.support import SECRET

LIFECYCLE = {"connection", "disconnecting", "disconnect"}


def client_events(hub: HubHarness, namespace: str) -> list[str]:
    """Return the events that a client may send in a namespace, except `ping`."""
    return [
        name
        for name in hub.io.of(namespace).event_names()
        if name not in LIFECYCLE and name != "ping"
    ]


async def test_s133_every_namespace_refuses_unauthenticated_clients(hub: HubHarness) -> None:
    assert set(hub.io.namespaces) == set(NAMESPACES)
    for namespace in NAMESPACES:
        assert (await hub.connect_error(namespace))["code"] == "UNAUTHORIZED"
    assert (await hub.connect_error("/made-up"))["message"] == "Invalid namespace"


async def test_s134_broadcasts_reach_authenticated_clients_only(hub: HubHarness) -> None:
    """A connection without an authenticated socket receives no broadcast."""
    client = await hub.client("7")
    unauthenticated = hub.server.open_connection()
    packets: list[Any] = []
    unauthenticated.send = packets.append  # type: ignore[method-assign]
    hub.application.services.notifications.announce("hello", None, "x")
    hub.application.services.notifications.system("x", "hello")
    hub.application.services.vulnerabilities.updated(5, {"severity": "High"})
    await client.receive_event("system-announcement")
    await settle()
    assert packets == []


@pytest.mark.parametrize("arguments", [(), (None,), ({},), ([],), ("x" * 10_000,), (1, 2, 3, 4)])
async def test_s135_events_with_invalid_arguments_are_answered_without_an_exception(
    hub: HubHarness, arguments: tuple[Any, ...]
) -> None:
    for namespace in NAMESPACES:
        client = await hub.client("1", "admin", namespace)
        for event in [*client_events(hub, namespace), "unknown"]:
            client.emit(event, *arguments)
            answer = await client.emit_with_ack(event, *arguments)
            assert isinstance(answer["success"], bool), event
        assert client.connected
    assert "handler" not in hub.application.context.metrics.errors


async def test_s136_resources_of_a_client_are_limited(start_hub: Any) -> None:
    """Rooms, payloads, namespaces and pending handlers have limits."""
    hub: HubHarness = await start_hub()
    client = await hub.client("7")
    answers = [
        await client.emit_with_ack("join-progress", f"session-{number}") for number in range(40)
    ]
    assert any(not answer["success"] for answer in answers)
    assert len(hub.io.sockets[client.id].rooms) <= 64
    sid = await hub.open_polling()
    answer = await hub.request("POST", f"{POLLING}&sid={sid}", body=b"4" * 1_000_001)
    assert answer.status == 413
    assert hub.io.options.max_pending_handlers <= 256


async def test_s136_connection_is_closed_after_repeated_failed_logins(hub: HubHarness) -> None:
    connection = hub.server.open_connection()
    for _ in range(10):
        assert not connection.is_closed
        await hub.connect_error(auth={"token": "guess"}, on_connection=connection)
    await settle()
    assert connection.is_closed


async def test_s137_state_of_disconnected_clients_is_released(hub: HubHarness) -> None:
    """A disconnect removes the sockets, rooms, editors, limits and timers of a client."""
    for number in range(20):
        client = await hub.client(str(number))
        await client.emit_with_ack("start-editing", "ticket", number)
        client.disconnect()
    application = hub.application
    await hub.wait_until(lambda: not hub.io.sockets and not len(application.services.editing))
    assert not hub.io.main.adapter.rooms()
    assert not application.services.authenticator._ends
    assert not application.context.limiter._open


async def test_s138_every_client_event_is_acknowledged(hub: HubHarness) -> None:
    for namespace in NAMESPACES:
        client = await hub.client("1", "admin", namespace)
        for event in client_events(hub, namespace):
            assert "success" in await client.emit_with_ack(event), event


async def test_s141_polling_and_http_work_without_websocket(hub: HubHarness) -> None:
    headers = hub.session_store.log_in("7")
    path = f"{POLLING}&sid={await hub.open_polling(headers)}"
    await hub.request("POST", path, headers, b"40")
    assert (await hub.request("GET", path, headers)).body.startswith(b"40")
    await hub.request("POST", path, headers, b'420["stop-editing","ticket","1"]')
    assert (await hub.request("GET", path, headers)).body == b'430[{"success":true}]'
    progress = await hub.request("GET", "/api/import/progress/unknown", headers)
    assert progress.status == 404


async def test_s141_clients_are_disconnected_gradually_at_shutdown(
    start_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engineio_core.waves.random.random", lambda: 0.0)
    hub: HubHarness = await start_hub(shutdown_drain=2.0)
    clients = [await hub.client(str(number)) for number in range(4)]
    stopping = asyncio.create_task(hub.application.shutdown())
    await hub.wait_until(lambda: not all(client.connected for client in clients))
    for left in (3, 2, 1):
        assert [client.connected for client in clients].count(True) == left
        await hub.advance(0.5)
    await stopping
    assert not any(client.connected for client in clients)


def test_s142_dev_mode_requires_loopback_and_tls_requires_both_files() -> None:
    with pytest.raises(SettingsError, match="loopback"):
        settings.load({}, {"dev": True, "host": "192.0.2.1"})
    with pytest.raises(SettingsError, match="must be set together"):
        settings.load({"JWT_SECRET": SECRET.decode(), "SSL_CERT_PATH": "/x"})


async def test_s143_only_protocol_version_4_is_accepted(hub: HubHarness) -> None:
    for version, status in (("4", 200), ("3", 400), ("5", 400)):
        answer = await hub.request("GET", f"/socket.io/?EIO={version}&transport=polling")
        assert answer.status == status
    assert answer.json()["code"] == 5


def test_s144_variables_of_the_guide_are_read_after_the_prefixed_ones() -> None:
    environment = {
        "CORS_ORIGIN": "https://a.example",
        "SESSION_SECRET": "s" * 32,
        "NODE_ENV": "production",
        "JWT_SECRET": SECRET.decode(),
        "REDIS_URL": "redis://127.0.0.1:6379/1",
        "SSL_KEY_PATH": "/etc/key.pem",
        "SSL_CERT_PATH": "/etc/cert.pem",
        "PORT": "9000",
        "HEXTRACKR_PORT": "9001",
    }
    chosen = settings.load(environment)
    assert chosen.cors_origins == ("https://a.example",)
    assert chosen.session_secrets == (b"s" * 32,)
    assert chosen.redis_url == "redis://127.0.0.1:6379/1"
    assert (str(chosen.ssl_key_path), str(chosen.ssl_cert_path)) == (
        "/etc/key.pem",
        "/etc/cert.pem",
    )
    assert chosen.port == 9001

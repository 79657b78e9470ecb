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


def events_of(hub: HubHarness, namespace: str) -> list[str]:
    return [
        name
        for name in hub.io.of(namespace).event_names()
        if name not in LIFECYCLE and name != "ping"
    ]


async def test_s133_there_is_no_namespace_without_a_guard(hub: HubHarness) -> None:
    assert set(hub.io.namespaces) == set(NAMESPACES)
    for namespace in NAMESPACES:
        assert (await hub.connect_error(namespace))["code"] == "UNAUTHORIZED"
    assert (await hub.connect_error("/made-up"))["message"] == "Invalid namespace"


async def test_s134_all_means_those_who_are_logged_in(hub: HubHarness) -> None:
    """Who has only a connection, or was cut off, hears nothing of what goes to all."""
    client = await hub.client("7")
    silent = hub.server.open_connection()
    heard: list[Any] = []
    silent.send = heard.append  # type: ignore[method-assign]
    hub.application.services.notifications.announce("hello", None, "x")
    hub.application.services.notifications.system("x", "hello")
    hub.application.services.vulnerabilities.updated(5, {"severity": "High"})
    await client.receive_event("system-announcement")
    await settle()
    assert heard == []


@pytest.mark.parametrize("arguments", [(), (None,), ({},), ([],), ("x" * 10_000,), (1, 2, 3, 4)])
async def test_s135_no_event_with_any_arguments_harms_the_server(
    hub: HubHarness, arguments: tuple[Any, ...]
) -> None:
    for namespace in NAMESPACES:
        client = await hub.client("1", "admin", namespace)
        for event in [*events_of(hub, namespace), "unknown"]:
            client.emit(event, *arguments)
            answer = await client.emit_with_ack(event, *arguments)
            assert isinstance(answer["success"], bool), event
        assert client.connected
    assert "handler" not in hub.application.context.metrics.errors


async def test_s136_what_one_client_may_use_is_bounded(start_hub: Any) -> None:
    """Rooms, payloads, namespaces, pending work: each has a limit."""
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


async def test_s136_a_connection_that_guesses_is_closed(hub: HubHarness) -> None:
    connection = hub.server.open_connection()
    for _ in range(10):
        assert not connection.is_closed
        await hub.connect_error(auth={"token": "guess"}, on_connection=connection)
    await settle()
    assert connection.is_closed


async def test_s137_nothing_is_left_of_those_who_have_gone(hub: HubHarness) -> None:
    """Sockets, rooms, editors, limits and timers end with their clients."""
    for number in range(20):
        client = await hub.client(str(number))
        await client.emit_with_ack("start-editing", "ticket", number)
        client.disconnect()
    await settle()
    application = hub.application
    assert not hub.io.sockets
    assert not hub.io.main.adapter.rooms()
    assert len(application.services.editing) == 0
    assert not application.services.authenticator._ends
    assert not application.context.limiter._open


async def test_s138_every_event_that_a_client_may_send_is_acked(hub: HubHarness) -> None:
    for namespace in NAMESPACES:
        client = await hub.client("1", "admin", namespace)
        for event in events_of(hub, namespace):
            assert "success" in await client.emit_with_ack(event), event


async def test_s141_without_websockets_there_is_polling_and_http(hub: HubHarness) -> None:
    headers = hub.session_store.log_in("7")
    path = f"{POLLING}&sid={await hub.open_polling(headers)}"
    await hub.request("POST", path, headers, b"40")
    assert (await hub.request("GET", path, headers)).body.startswith(b"40")
    await hub.request("POST", path, headers, b'420["stop-editing","ticket","1"]')
    assert (await hub.request("GET", path, headers)).body == b'430[{"success":true}]'
    progress = await hub.request("GET", "/api/import/progress/unknown", headers)
    assert progress.status == 404


async def test_s141_at_shutdown_clients_leave_one_after_another(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(shutdown_drain=2.0)
    clients = [await hub.client(str(number)) for number in range(4)]
    stopping = asyncio.create_task(hub.application.shutdown())
    await hub.wait_until(lambda: not all(client.connected for client in clients))
    for left in (3, 2, 1):
        assert [client.connected for client in clients].count(True) == left
        await hub.advance(0.5)
    await stopping
    assert not any(client.connected for client in clients)


def test_s142_a_server_beyond_this_machine_may_have_tls_and_dev_stays_here() -> None:
    with pytest.raises(SettingsError, match="loopback"):
        settings.load({}, {"dev": True, "host": "192.0.2.1"})
    with pytest.raises(SettingsError, match="must be set together"):
        settings.load({"JWT_SECRET": SECRET.decode(), "SSL_CERT_PATH": "/x"})


async def test_s143_the_protocol_is_socketio_5_over_engineio_4(hub: HubHarness) -> None:
    for version, status in (("4", 200), ("3", 400), ("5", 400)):
        answer = await hub.request("GET", f"/socket.io/?EIO={version}&transport=polling")
        assert answer.status == status
    assert answer.json()["code"] == 5


def test_s144_the_guides_variables_are_read_and_ours_come_first() -> None:
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

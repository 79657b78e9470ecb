"""Client options, disconnects and recovery: rows S29 to S39."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from socketio_core.testing import settle
from tests.contract.support import POLLING, HubHarness

UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def test_s029_auth_object_of_the_guide_is_accepted_without_its_role(hub: HubHarness) -> None:
    client = await hub.server.connect(
        headers=hub.session_store.log_in("7"), auth={"userId": "7", "role": "admin"}
    )
    assert hub.io.sockets[client.id].data["principal"].role == "user"


async def test_s030_both_transports_accept_a_handshake(hub: HubHarness) -> None:
    assert (await hub.request("GET", POLLING)).status == 200
    assert (await hub.request("GET", "/socket.io/?EIO=4&transport=unknown")).status == 400
    answer = await hub.request(
        "GET", "/socket.io/?EIO=4&transport=websocket", UPGRADE, head_only=True
    )
    assert answer.status == 101


async def test_s031_s034_shutdown_sends_disconnect_packets(start_hub: Any) -> None:
    hub: HubHarness = await start_hub()
    client = await hub.client()
    packets: list[str] = []
    receive = client.connection._transport.send
    client.connection._transport.send = lambda packet: (  # type: ignore[method-assign]
        packets.append(packet.payload.decode()),
        receive(packet),
    )[1]
    await hub.application.shutdown()
    assert "41" in packets


async def test_s031_clients_receive_server_stopping_before_the_disconnect(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    await hub.application.shutdown()
    assert not client.connected
    assert (await client.receive_event("system-notification"))[0]["type"] == "server-stopping"


async def test_s031_s034_polling_client_receives_a_disconnect_packet_at_shutdown(
    hub: HubHarness,
) -> None:
    headers = {"authorization": f"Bearer {hub.token('7')}"}
    path = f"{POLLING}&sid={await hub.open_polling(headers)}"
    await hub.request("POST", path, headers, b"40")
    assert (await hub.request("GET", path, headers)).body.startswith(b"40")
    poll = asyncio.create_task(hub.request("GET", path, headers))
    session = next(iter(hub.io.engine.sessions.values()))
    await hub.wait_until(lambda: session.writable)
    stopping = asyncio.create_task(hub.application.shutdown())
    assert b"server-stopping" in (await poll).body
    assert (await hub.request("GET", path, headers)).body.startswith(b"41")
    await stopping


async def test_s032_connect_is_refused_when_the_session_store_is_missing(
    hub: HubHarness,
) -> None:
    """The refusal does not wait for the timeout of the store."""
    hub.session_store.path.unlink()
    headers = {"cookie": f"hextrackr.sid={hub.session_store.cookies.sign('sid-7')}"}
    assert (await hub.connect_error(headers=headers))["code"] == "UNAVAILABLE"


async def test_s033_socket_id_is_new_per_connection_and_not_the_session_id(hub: HubHarness) -> None:
    first, second = await hub.client("7"), await hub.client("7")
    assert first.id != second.id
    assert first.id not in hub.io.engine.sessions


async def test_s035_refusal_is_a_connect_error_with_message_and_data(hub: HubHarness) -> None:
    path = f"{POLLING}&sid={await hub.open_polling()}"
    await hub.request("POST", path, body=b"40")
    answer = await hub.request("GET", path)
    assert answer.body.startswith(b'44{"message":"Authentication required","data":{"code":')


async def test_s036_s038_missed_events_and_rooms_are_restored_after_a_reconnect(
    hub: HubHarness,
) -> None:
    client = await hub.client("7")
    hub.application.services.notifications.user("7", "x", "before")
    await client.receive_event("user-notification")
    client.connection.cut()
    hub.application.services.notifications.user("7", "x", "missed")
    hub.application.services.notifications.user("8", "x", "not mine")
    reconnected = await hub.server.connect(
        auth={"token": hub.token("7"), "pid": client.pid, "offset": client.last_offset}
    )
    assert (reconnected.id, reconnected.pid) == (client.id, client.pid)
    missed = [args[0]["message"] for args in reconnected.events("user-notification")]
    assert missed == ["missed"]
    assert "user-7" in hub.io.sockets[reconnected.id].rooms


@pytest.mark.parametrize(("after", "is_same"), [(100, True), (121, False)])
async def test_s037_recovery_state_is_kept_for_two_minutes(
    hub: HubHarness, after: float, is_same: bool
) -> None:
    client = await hub.client("7")
    client.connection.cut()
    await hub.advance(after)
    reconnected = await hub.server.connect(auth={"token": hub.token("7"), "pid": client.pid})
    assert (reconnected.id == client.id) is is_same


async def test_s038_revoked_principal_is_not_restored(hub: HubHarness) -> None:
    client = await hub.server.connect(headers=hub.session_store.log_in("7"))
    client.connection.cut()
    hub.application.services.authenticator.revoke(user_id="7")
    await hub.advance(1)
    reconnected = await hub.server.connect(
        headers=hub.session_store.log_in("7"), auth={"pid": client.pid}
    )
    assert reconnected.id != client.id
    assert not hub.io.sockets[reconnected.id].recovered


async def test_s038_admin_rooms_are_not_restored_when_the_role_was_lost(
    hub: HubHarness,
) -> None:
    client = await hub.client("1", "admin")
    client.connection.cut()
    auth = {"token": hub.token("1"), "pid": client.pid}
    assert (await hub.connect_error(auth=auth))["code"] == "FORBIDDEN"
    reconnected = await hub.server.connect(auth=auth)
    assert reconnected.id != client.id
    await settle()
    assert "administrators" not in hub.io.sockets[reconnected.id].rooms


async def test_s038_progress_room_is_not_restored_when_another_user_owns_the_session(
    hub: HubHarness,
) -> None:
    client = await hub.client("8")
    assert (await client.emit_with_ack("join-progress", "session-of-7"))["success"]
    client.connection.cut()
    hub.application.services.tracker.queue(1, "7", "scan.csv", None, session_id="session-of-7")
    hub.application.services.tracker.start("session-of-7")
    await hub.advance(1)
    reconnected = await hub.server.connect(auth={"token": hub.token("8")}, recovering=client)
    await settle()
    assert "progress-session-of-7" not in hub.io.sockets[reconnected.id].rooms
    assert list(reconnected.events("progress-update")) == []


async def test_s038_progress_room_of_the_own_session_is_restored(hub: HubHarness) -> None:
    client = await hub.client("7")
    assert (await client.emit_with_ack("join-progress", "session-of-7"))["success"]
    client.connection.cut()
    hub.application.services.tracker.queue(1, "7", "scan.csv", None, session_id="session-of-7")
    reconnected = await hub.server.connect(auth={"token": hub.token("7")}, recovering=client)
    assert reconnected.id == client.id
    assert "progress-session-of-7" in hub.io.sockets[reconnected.id].rooms


async def test_s038_logged_out_user_is_not_restored(hub: HubHarness) -> None:
    headers = hub.session_store.log_in("7")
    client = await hub.server.connect(headers=headers)
    client.connection.cut()
    hub.session_store.log_out("7")
    refusal = await hub.connect_error(headers=headers, auth={"pid": client.pid})
    assert refusal["code"] == "SESSION_EXPIRED"
    assert not hub.io.sockets


async def test_s038_recovery_state_is_refused_to_another_user(hub: HubHarness) -> None:
    client = await hub.client("7")
    client.connection.cut()
    hub.application.services.notifications.user("7", "x", "private")
    auth = {"token": hub.token("8"), "pid": client.pid}
    assert (await hub.connect_error(auth=auth))["code"] == "UNAUTHORIZED"
    again = await hub.server.connect(auth=auth)
    assert again.id != client.id
    assert list(again.events("x")) == []


async def test_s038_admin_namespace_is_not_restored_when_the_role_was_lost(hub: HubHarness) -> None:
    client = await hub.client("1", "admin", "/admin")
    client.connection.cut()
    auth = {"token": hub.token("1", "user"), "pid": client.pid}
    assert (await hub.connect_error("/admin", auth=auth))["code"] == "FORBIDDEN"


async def test_s038_session_is_not_restored_in_another_role(hub: HubHarness) -> None:
    client = await hub.client("1", "admin")
    client.connection.cut()
    auth = {"token": hub.token("1", "user"), "pid": client.pid}
    refusal = await hub.connect_error(auth=auth)
    expected = ("The role has changed: connect again", "FORBIDDEN")
    assert (refusal["message"], refusal["code"]) == expected
    socket = hub.io.sockets[(await hub.server.connect(auth=auth)).id]
    assert (socket.recovered, socket.data["principal"].role) == (False, "user")


async def test_s039_new_connection_receives_no_unrequested_events(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    await settle()
    assert client.received == []
    assert (await client.emit_with_ack("get-vulnerability-stats"))["success"]

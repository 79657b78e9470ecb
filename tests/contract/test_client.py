"""The client's side: rows S29 to S39."""

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


async def test_s029_the_guides_auth_object_is_accepted_its_role_ignored(hub: HubHarness) -> None:
    client = await hub.server.connect(
        headers=hub.session_store.log_in("7"), auth={"userId": "7", "role": "admin"}
    )
    assert hub.io.sockets[client.id].data["principal"].role == "user"


async def test_s030_websocket_alone_and_polling_alone_are_handshakes(hub: HubHarness) -> None:
    assert (await hub.request("GET", POLLING)).status == 200
    assert (await hub.request("GET", "/socket.io/?EIO=4&transport=unknown")).status == 400
    answer = await hub.request(
        "GET", "/socket.io/?EIO=4&transport=websocket", UPGRADE, head_only=True
    )
    assert answer.status == 101


async def test_s031_s034_at_shutdown_clients_are_told_to_leave_or_not(start_hub: Any) -> None:
    """`shutdown_disconnect` says which clients come back: HexTrackr's own, or the library's."""
    hub: HubHarness = await start_hub()
    client = await hub.client()
    packets: list[str] = []
    receive = client.connection.send
    client.connection.send = lambda packet: (  # type: ignore[method-assign]
        packets.append(packet.payload.decode()),
        receive(packet),
    )[1]
    await hub.application.shutdown()
    assert "41" in packets


async def test_s031_clients_hear_that_the_server_stops_before_they_are_let_go(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    await hub.application.shutdown()
    assert not client.connected
    assert (await client.receive_event("system-notification"))[0]["type"] == "server-stopping"


async def test_s031_s034_who_polls_is_told_to_leave_as_well(hub: HubHarness) -> None:
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


async def test_s032_a_handshake_is_answered_while_the_store_is_slow_to_answer(
    hub: HubHarness,
) -> None:
    """A store that cannot be read refuses at once: nothing waits for five seconds."""
    hub.session_store.path.unlink()
    headers = {"cookie": f"hextrackr.sid={hub.session_store.cookies.sign('sid-7')}"}
    assert (await hub.connect_error(headers=headers))["code"] == "UNAVAILABLE"


async def test_s033_socket_ids_are_public_and_new_for_each_connection(hub: HubHarness) -> None:
    first, second = await hub.client("7"), await hub.client("7")
    assert first.id != second.id
    assert first.id not in hub.io.engine.sessions


async def test_s035_a_refusal_is_a_connect_error_with_message_and_data(hub: HubHarness) -> None:
    path = f"{POLLING}&sid={await hub.open_polling()}"
    await hub.request("POST", path, body=b"40")
    answer = await hub.request("GET", path)
    assert answer.body.startswith(b'44{"message":"Authentication required","data":{"code":')


async def test_s036_s038_what_was_missed_is_replayed_with_rooms_and_data(hub: HubHarness) -> None:
    client = await hub.client("7")
    hub.application.services.notifications.user("7", "x", "before")
    await client.receive_event("user-notification")
    client.connection.cut()
    hub.application.services.notifications.user("7", "x", "missed")
    hub.application.services.notifications.user("8", "x", "not mine")
    back = await hub.server.connect(
        auth={"token": hub.token("7"), "pid": client.pid, "offset": client.last_offset}
    )
    assert (back.id, back.pid) == (client.id, client.pid)
    missed = [args[0]["message"] for args in back.events("user-notification")]
    assert missed == ["missed"]
    assert "user-7" in hub.io.sockets[back.id].rooms


@pytest.mark.parametrize(("after", "is_same"), [(100, True), (121, False)])
async def test_s037_a_state_is_kept_for_two_minutes(
    hub: HubHarness, after: float, is_same: bool
) -> None:
    client = await hub.client("7")
    client.connection.cut()
    await hub.advance(after)
    back = await hub.server.connect(auth={"token": hub.token("7"), "pid": client.pid})
    assert (back.id == client.id) is is_same


async def test_s038_a_revoked_principal_is_never_restored(hub: HubHarness) -> None:
    client = await hub.server.connect(headers=hub.session_store.log_in("7"))
    client.connection.cut()
    hub.application.services.authenticator.revoke(user_id="7")
    await hub.advance(1)
    back = await hub.server.connect(headers=hub.session_store.log_in("7"), auth={"pid": client.pid})
    assert back.id != client.id
    assert not hub.io.sockets[back.id].recovered


async def test_s038_who_is_no_admin_any_more_is_not_given_back_an_admins_rooms(
    hub: HubHarness,
) -> None:
    client = await hub.client("1", "admin")
    client.connection.cut()
    auth = {"token": hub.token("1"), "pid": client.pid}
    assert (await hub.connect_error(auth=auth))["code"] == "FORBIDDEN"
    back = await hub.server.connect(auth=auth)
    assert back.id != client.id
    await settle()
    assert "administrators" not in hub.io.sockets[back.id].rooms


async def test_s038_a_session_that_began_as_anothers_meanwhile_is_not_given_back(
    hub: HubHarness,
) -> None:
    early = await hub.client("8")
    assert (await early.emit_with_ack("join-progress", "session-of-7"))["success"]
    early.connection.cut()
    hub.application.services.tracker.queue(1, "7", "scan.csv", None, session_id="session-of-7")
    hub.application.services.tracker.start("session-of-7")
    await hub.advance(1)
    back = await hub.server.connect(auth={"token": hub.token("8")}, recovering=early)
    await settle()
    assert "progress-session-of-7" not in hub.io.sockets[back.id].rooms
    assert list(back.events("progress-update")) == []


async def test_s038_a_session_of_ones_own_is_given_back(hub: HubHarness) -> None:
    early = await hub.client("7")
    assert (await early.emit_with_ack("join-progress", "session-of-7"))["success"]
    early.connection.cut()
    hub.application.services.tracker.queue(1, "7", "scan.csv", None, session_id="session-of-7")
    back = await hub.server.connect(auth={"token": hub.token("7")}, recovering=early)
    assert back.id == early.id
    assert "progress-session-of-7" in hub.io.sockets[back.id].rooms


async def test_s038_who_has_logged_out_is_not_restored(hub: HubHarness) -> None:
    headers = hub.session_store.log_in("7")
    client = await hub.server.connect(headers=headers)
    client.connection.cut()
    hub.session_store.log_out("7")
    refusal = await hub.connect_error(headers=headers, auth={"pid": client.pid})
    assert refusal["code"] == "SESSION_EXPIRED"
    assert not hub.io.sockets


async def test_s038_a_state_is_restored_to_nobody_else(hub: HubHarness) -> None:
    client = await hub.client("7")
    client.connection.cut()
    hub.application.services.notifications.user("7", "x", "private")
    auth = {"token": hub.token("8"), "pid": client.pid}
    assert (await hub.connect_error(auth=auth))["code"] == "UNAUTHORIZED"


async def test_s038_who_was_an_admin_is_not_restored_as_one(hub: HubHarness) -> None:
    client = await hub.client("1", "admin", "/admin")
    client.connection.cut()
    auth = {"token": hub.token("1", "user"), "pid": client.pid}
    assert (await hub.connect_error("/admin", auth=auth))["code"] == "FORBIDDEN"


async def test_s039_a_new_connection_is_told_nothing_that_it_did_not_ask_for(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    await settle()
    assert client.received == []
    assert (await client.emit_with_ack("get-vulnerability-stats"))["success"]

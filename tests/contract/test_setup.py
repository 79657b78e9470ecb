"""Server setup and sessions: rows S5 to S8 and S13 to S28."""

from __future__ import annotations

from typing import Any

import pytest

from hextrackr_server.config import settings
from hextrackr_server.errors import SettingsError
from socketio_core.testing import settle
from tests.contract.support import POLLING, SESSION_SECRET, HubHarness
from tests.hextrackr_server.support import SECRET


async def test_s005_server_refuses_unauthenticated_clients_from_the_start(hub: HubHarness) -> None:
    """`/socket.io/` and `/health` share one port; connecting requires authentication."""
    assert (await hub.request("GET", "/health")).json()["status"] == "ok"
    sid = await hub.open_polling()
    await hub.request("POST", f"{POLLING}&sid={sid}", body=b"40")
    answer = await hub.request("GET", f"{POLLING}&sid={sid}")
    assert answer.body.startswith(b"44")
    assert not hub.io.sockets


async def test_s006_origin_must_match_the_list_or_the_pattern_exactly(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(
        cors_origins=("https://a.example", "https://b.example:8443"),
        cors_origin_pattern=r"https://[a-z]+\.c\.example",
    )
    for origin, allowed in (
        ("https://a.example", True),
        ("https://b.example:8443", True),
        ("https://x.c.example", True),
        ("https://a.example.evil", False),
        ("https://x.c.example.evil", False),
        ("http://a.example", False),
    ):
        answer = await hub.request("GET", POLLING, {"origin": origin})
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed, origin
        assert "origin" in answer.headers["vary"].lower()


async def test_s006_websocket_is_refused_when_its_origin_is_not_allowed(hub: HubHarness) -> None:
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "origin": "https://evil.example",
    }
    path = "/socket.io/?EIO=4&transport=websocket"
    assert (await hub.request("GET", path, upgrade)).status == 400


async def test_s007_preflight_response_contains_methods_and_headers(hub: HubHarness) -> None:
    headers = {"origin": "https://app.example", "access-control-request-method": "POST"}
    answer = await hub.request("OPTIONS", POLLING, headers)
    assert answer.status == 204
    assert answer.headers["access-control-allow-methods"] == "GET,POST"
    assert "content-type" in answer.headers["access-control-allow-headers"]


async def test_s008_credentials_are_allowed_for_listed_origins_only(hub: HubHarness) -> None:
    answer = await hub.request("GET", POLLING, {"origin": "https://app.example"})
    assert answer.headers["access-control-allow-credentials"] == "true"
    with pytest.raises(SettingsError, match="CORS_ORIGIN"):
        settings.load({"JWT_SECRET": SECRET.decode(), "CORS_ORIGIN": "*"})


def test_s013_session_secret_requires_32_bytes_and_may_rotate() -> None:
    with pytest.raises(SettingsError, match="SESSION_SECRET"):
        settings.load({"SESSION_SECRET": "short"})
    chosen = settings.load({"SESSION_SECRET": "n" * 32 + "," + "o" * 32})
    assert chosen.session_secrets == (b"n" * 32, b"o" * 32)


async def test_s013_cookie_is_accepted_when_signed_with_the_old_secret(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(session_secrets=(b"new" * 11, SESSION_SECRET))
    assert (await hub.server.connect(headers=hub.session_store.log_in())).connected


async def test_s014_session_store_is_not_modified(hub: HubHarness) -> None:
    headers = hub.session_store.log_in()
    before = hub.session_store.path.read_bytes()
    await hub.server.connect(headers=headers)
    answer = await hub.request("GET", POLLING, headers)
    assert "set-cookie" not in answer.headers
    assert hub.session_store.path.read_bytes() == before


def test_s015_node_env_does_not_change_the_settings() -> None:
    """Only `--dev` relaxes security, and only on loopback addresses."""
    chosen = settings.load({"JWT_SECRET": SECRET.decode(), "NODE_ENV": "development"})
    assert chosen == settings.load({"JWT_SECRET": SECRET.decode()}, {"node_env": "development"})
    assert not chosen.dev
    with pytest.raises(SettingsError, match="loopback"):
        settings.load({}, {"dev": True, "host": "0.0.0.0"})


async def test_s016_socket_is_disconnected_when_its_session_expires(hub: HubHarness) -> None:
    """The server re-validates live sockets; an extended session keeps its socket connected."""
    short = await hub.server.connect(headers=hub.session_store.log_in("1", lifetime=30))
    prolonged = await hub.server.connect(headers=hub.session_store.log_in("2", lifetime=30))
    hub.session_store.log_in("2", lifetime=9000)
    await hub.advance(31)
    await hub.wait_until(lambda: not short.connected)
    assert prolonged.connected


async def test_s016_socket_is_disconnected_within_the_interval_after_a_logout(
    hub: HubHarness,
) -> None:
    client = await hub.server.connect(headers=hub.session_store.log_in("1"))
    other = await hub.server.connect(headers=hub.session_store.log_in("2"))
    hub.session_store.log_out("1")
    await hub.advance(60)
    await hub.wait_until(lambda: not client.connected)
    assert next(client.events("application-error"))[0]["code"] == "SESSION_EXPIRED"
    assert other.connected


async def test_s016_socket_is_disconnected_when_its_role_is_revoked(hub: HubHarness) -> None:
    client = await hub.server.connect("/admin", headers=hub.session_store.log_in("1", "admin"))
    hub.session_store.log_in("1", "user")
    await hub.advance(60)
    await hub.wait_until(lambda: not client.connected)


async def test_s016_sockets_stay_connected_when_the_session_store_is_unreadable(
    hub: HubHarness,
) -> None:
    headers = hub.session_store.log_in("1")
    client = await hub.server.connect(headers=headers)
    hub.session_store.path.rename(hub.session_store.path.with_name("away"))
    await hub.advance(60)
    assert (await hub.connect_error(headers=headers))["code"] == "UNAVAILABLE"
    assert client.connected


@pytest.mark.parametrize("query", ["", "&sid="])
async def test_s017_empty_sid_is_a_handshake(start_hub: Any, query: str) -> None:
    hub: HubHarness = await start_hub(strict_http_auth=True)
    assert (await hub.request("GET", POLLING + query)).status == 401
    assert (await hub.request("GET", POLLING + query, hub.session_store.log_in())).status == 200


async def test_s017_later_requests_are_refused_with_another_login(hub: HubHarness) -> None:
    mine, other = hub.session_store.log_in("1"), hub.session_store.log_in("2")
    sid = await hub.open_polling(mine)
    path = f"{POLLING}&sid={sid}"
    assert (await hub.request("POST", path, mine, b"40")).status == 200
    assert (await hub.request("GET", path, mine)).body.startswith(b"40")
    for stolen in (other, {}, {"cookie": "hextrackr.sid=forged"}):
        assert (await hub.request("POST", path, stolen, b'42["x"]')).status == 403
    assert (await hub.request("POST", path, mine, b'42["x"]')).status == 200


async def test_s018_name_of_the_session_cookie_is_configurable(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(session_cookie="connect.sid")
    headers = hub.session_store.log_in()
    assert (await hub.connect_error(headers=headers))["code"] == "UNAUTHORIZED"
    renamed = {"cookie": headers["cookie"].replace("hextrackr.sid", "connect.sid")}
    assert (await hub.server.connect(headers=renamed)).connected


@pytest.mark.parametrize(
    ("session", "lifetime", "code"),
    [
        ({}, 600, "UNAUTHORIZED"),
        ({"userId": ""}, 600, "UNAUTHORIZED"),
        ({"passport": {}}, 600, "UNAUTHORIZED"),
        ({"userId": "7"}, -5, "SESSION_EXPIRED"),
    ],
)
async def test_s019_session_without_a_user_does_not_authenticate(
    hub: HubHarness, session: dict[str, Any], lifetime: float, code: str
) -> None:
    headers = hub.session_store.add("anonymous", lifetime=lifetime, **session)
    assert (await hub.connect_error(headers=headers))["code"] == code
    # With a valid token, the server ignores the cookie.
    client = await hub.server.connect(headers=headers, auth={"token": hub.token("9")})
    assert hub.io.sockets[client.id].data["principal"].user_id == "9"


@pytest.mark.parametrize("user", [7, "7", {"id": 7, "username": "alice"}])
async def test_s018_s019_login_through_passport_authenticates(hub: HubHarness, user: Any) -> None:
    headers = hub.session_store.add("sid-7", passport={"user": user})
    client = await hub.server.connect(headers=headers)
    assert hub.io.sockets[client.id].data["principal"].user_id == "7"


async def test_s020_refused_client_receives_the_reason(hub: HubHarness) -> None:
    refusal = await hub.connect_error()
    assert refusal == {
        "message": "Authentication required",
        "code": "UNAUTHORIZED",
        "type": "UnauthorizedError",
    }


async def test_s021_connected_client_has_a_socket(hub: HubHarness) -> None:
    client = await hub.client()
    assert hub.io.sockets[client.id].connected


async def test_s022_claimed_user_id_must_match_the_login(
    hub: HubHarness,
) -> None:
    for headers, auth in (
        ({}, {"token": hub.token("7"), "userId": "8"}),
        (hub.session_store.log_in("7"), {"userId": "8"}),
    ):
        refusal = await hub.connect_error(headers=headers, auth=auth)
        assert (refusal["message"], refusal["code"]) == ("Unauthorized", "UNAUTHORIZED")
    assert (await hub.client("7", userId="7")).connected


async def test_s023_claimed_role_is_ignored(hub: HubHarness) -> None:
    client = await hub.client("7", role="user")
    assert not hub.io.sockets[client.id].data["principal"].is_admin
    spoofed = await hub.server.connect(
        headers=hub.session_store.log_in("7"), auth={"role": "superadmin"}
    )
    assert hub.io.sockets[spoofed.id].data["principal"].role == "user"


async def test_s024_principal_is_kept_in_socket_data_after_recovery(
    hub: HubHarness,
) -> None:
    client = await hub.client("7")
    hub.io.to("user-7").emit("something")
    await client.receive_event("something")
    client.connection.cut()
    reconnected = await hub.server.connect(
        auth={"token": hub.token("7"), "pid": client.pid, "offset": client.last_offset}
    )
    socket = hub.io.sockets[reconnected.id]
    assert socket.recovered
    assert socket.data["principal"].user_id == "7"


async def test_s025_user_rooms_are_joined_by_the_server_only(hub: HubHarness) -> None:
    client = await hub.client("7")
    for event in ("join", "join-room", "subscribe"):
        client.emit(event, "user-8")
    await settle()
    rooms = hub.io.sockets[client.id].rooms
    assert "user-7" in rooms
    assert "user-8" not in rooms


async def test_s026_s027_disconnected_client_leaves_no_state(hub: HubHarness) -> None:
    client = await hub.client("7")
    await client.emit_with_ack("start-editing", "ticket", "1")
    client.disconnect()
    await settle()
    assert not hub.io.sockets
    other = await hub.client("8")
    answer = await other.emit_with_ack("start-editing", "ticket", "1")
    assert [each["userId"] for each in answer["currentEditors"]] == ["8"]


async def test_s028_refused_requests_are_counted(hub: HubHarness) -> None:
    """The engine reports refused requests; `connect_error` exists only on the client."""
    assert (await hub.request("GET", "/socket.io/?EIO=3&transport=polling")).status == 400
    metrics = await hub.metrics()
    assert metrics["errors"] == 1, metrics
    assert metrics["errorsByType"] == {"handshake": 1}

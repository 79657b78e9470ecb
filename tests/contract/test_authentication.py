"""Authentication and namespaces: rows S40 to S50; test_rate_limits.py covers S51 to S55."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.contract.support import HubHarness
from tests.hextrackr_server.support import SECRET


def claims(**changed: Any) -> dict[str, Any]:
    """Return valid claims with changes; a change to None removes the claim."""
    values = {"sub": "7", "role": "user", "exp": int(time.time()) + 7200} | changed
    return {name: value for name, value in values.items() if value is not None}


async def test_s040_identity_comes_from_cookie_then_header_then_auth_token(hub: HubHarness) -> None:
    """The server tries the session cookie, the bearer header and `auth.token`, in this order."""
    cookie = hub.session_store.log_in("1")
    bearer = {"authorization": f"Bearer {hub.token('2')}"}
    token = {"token": hub.token("3")}
    for headers, auth, user in (
        (cookie | bearer, token, "1"),
        (bearer, token, "2"),
        ({}, token, "3"),
    ):
        client = await hub.server.connect(headers=headers, auth=auth)
        assert hub.io.sockets[client.id].data["principal"].user_id == user
    assert (await hub.connect_error())["code"] == "UNAUTHORIZED"


async def test_s040_login_succeeds_when_the_default_executor_is_busy(hub: HubHarness) -> None:
    loop, may_end = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    busy = loop.run_in_executor(None, may_end.wait, 300)
    async with asyncio.timeout(300):
        client = await hub.server.connect(headers=hub.session_store.log_in("7"))
    assert client.connected
    may_end.set()
    assert await busy


@pytest.mark.parametrize("header", ["Basic {}", "{}", "Bearer {} x", "Bearer  {}", "Bearer"])
async def test_s041_authorization_header_must_be_bearer_with_one_token(
    hub: HubHarness, header: str
) -> None:
    headers = {"authorization": header.format(hub.token())}
    assert (await hub.connect_error(headers=headers))["code"] == "UNAUTHORIZED"
    client = await hub.server.connect(headers={"authorization": f"bEARER {hub.token()}"})
    assert client.connected


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("authorization", [None, "Bearer forged"])
async def test_s042_s045_strict_server_answers_401_on_both_transports(
    start_hub: Any, transport: str, authorization: str | None
) -> None:
    """A missing or an invalid token gets 401 and opens no session."""
    hub: HubHarness = await start_hub(strict_http_auth=True)
    headers = {"authorization": authorization} if authorization else {}
    if transport == "websocket":
        headers |= {
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
    path = f"/socket.io/?EIO=4&transport={transport}"
    answer = await hub.request("GET", path, headers)
    assert answer.status == 401
    assert answer.json()["code"] == "UNAUTHORIZED"
    assert not hub.io.engine.sessions
    good = {"authorization": f"Bearer {hub.token()}"}
    assert (await hub.request("GET", "/socket.io/?EIO=4&transport=polling", good)).status == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"nbf": int(time.time()) + 3600},
        {"iss": "another"},
        {"aud": "another"},
        {"iss": None},
        {"aud": None},
    ],
)
async def test_s043_token_is_refused_when_exp_nbf_iss_or_aud_is_invalid(
    start_hub: Any, changed: dict[str, Any]
) -> None:
    hub: HubHarness = await start_hub(jwt_issuer="hextrackr", jwt_audience="realtime")
    good = claims(iss="hextrackr", aud="realtime")
    assert (await hub.server.connect(auth={"token": jwt.encode(good, SECRET)})).connected
    bad = {name: value for name, value in (good | changed).items() if value is not None}
    refusal = await hub.connect_error(auth={"token": jwt.encode(bad, SECRET)})
    assert refusal["code"] == "UNAUTHORIZED"


async def test_s043_token_is_refused_when_its_algorithm_is_not_listed(start_hub: Any) -> None:
    """With `EdDSA` only, tokens with `none`, a shared secret or another key are invalid."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    hub: HubHarness = await start_hub(
        jwt_algorithms=("EdDSA",), jwt_public_key=public, jwt_secret=b"", session_secrets=()
    )
    good = jwt.encode(claims(), private, algorithm="EdDSA")
    assert (await hub.server.connect(auth={"token": good})).connected
    for bad in (
        jwt.encode(claims(), None, algorithm="none"),
        jwt.encode(claims(), SECRET),
        jwt.encode(claims(), Ed25519PrivateKey.generate(), algorithm="EdDSA"),
    ):
        assert (await hub.connect_error(auth={"token": bad}))["message"] == "Invalid token"


async def test_s043_s044_token_of_jsonwebtoken_is_accepted_through_settings(
    start_hub: Any,
) -> None:
    """The default claims of jsonwebtoken 9: `userId`, `iat`, no `exp`, a role of its own."""
    hub: HubHarness = await start_hub(jwt_max_age=60, role_names=("manager=admin",))
    payload = {"userId": 7, "role": "manager", "iat": int(time.time())}
    client = await hub.server.connect(auth={"token": jwt.encode(payload, SECRET)})
    principal = hub.io.sockets[client.id].data["principal"]
    assert (principal.user_id, principal.role) == ("7", "admin")
    refusal = await hub.connect_error(auth={"token": jwt.encode({"userId": 7}, SECRET)})
    assert refusal["message"] == "Invalid token: the claim 'iat' is missing"


async def test_s043_socket_is_disconnected_when_its_token_expires(hub: HubHarness) -> None:
    token = hub.token(lifetime=60)
    client = await hub.server.connect(auth={"token": token})
    await hub.advance(30)
    assert client.connected
    await hub.advance(31)
    assert not client.connected
    (args,) = client.events("application-error")
    assert args[0]["code"] == "SESSION_EXPIRED"


@pytest.mark.parametrize(
    ("values", "name", "role"),
    [
        ({"preferred_username": "alice"}, "alice", "user"),
        ({"username": "bob", "role": "admin"}, "bob", "admin"),
        ({"role": None, "roles": ["viewer", "admin"]}, "7", "admin"),
        ({"role": None, "roles": ["viewer"]}, "7", "user"),
    ],
)
async def test_s044_principal_is_built_from_the_claims(
    hub: HubHarness, values: dict[str, Any], name: str, role: str
) -> None:
    token = jwt.encode(claims(**values), SECRET)
    client = await hub.server.connect(auth={"token": token})
    principal = hub.io.sockets[client.id].data["principal"]
    assert (principal.user_id, principal.username, principal.role) == ("7", name, role)


async def test_s046_browsers_may_send_the_header_or_an_auth_token(hub: HubHarness) -> None:
    headers = {
        "origin": "https://app.example",
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization",
    }
    answer = await hub.request("OPTIONS", "/socket.io/?EIO=4&transport=polling", headers)
    assert answer.status == 204
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    assert (await hub.client()).connected


@pytest.mark.parametrize("namespace", ["/", "/admin", "/users"])
async def test_s047_every_namespace_authenticates_its_sockets(
    hub: HubHarness, namespace: str
) -> None:
    refusal = await hub.connect_error(namespace, auth={"userId": "1", "role": "superadmin"})
    assert refusal["code"] == "UNAUTHORIZED"
    client = await hub.client("1", "superadmin", namespace)
    rooms = hub.io.of(namespace).sockets[client.id].rooms
    assert rooms >= {client.id, "user-1", "authenticated"}


@pytest.mark.parametrize(("role", "is_in"), [("user", 0), ("admin", 1), ("superadmin", 1)])
async def test_s048_admin_namespace_ignores_the_role_in_auth(
    hub: HubHarness, role: str, is_in: int
) -> None:
    auth = {"token": hub.token("7", role), "role": "admin"}
    if is_in:
        assert (await hub.server.connect("/admin", auth=auth)).connected
    else:
        refusal = await hub.connect_error("/admin", auth=auth)
        assert refusal == {
            "message": "Unauthorized",
            "code": "FORBIDDEN",
            "type": "UnauthorizedError",
        }


async def test_s049_s050_users_namespace_serves_authenticated_clients_only(hub: HubHarness) -> None:
    client = await hub.client("7", namespace="/users")
    hub.io.of("/users").to("user-7").emit("hello", 1)
    assert (await client.receive_event("hello"))[0] == 1
    assert (await hub.connect_error("/users", auth={"userId": "7"}))["code"] == "UNAUTHORIZED"


async def test_s047_connection_has_one_user_in_all_namespaces(hub: HubHarness) -> None:
    first = await hub.client("7")
    refusal = await hub.connect_error(
        "/users", auth={"token": hub.token("8")}, on_connection=first.connection
    )
    assert refusal["code"] == "UNAUTHORIZED"

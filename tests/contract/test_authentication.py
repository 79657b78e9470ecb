"""Authentication and namespaces: rows S40 to S50 (rate limits have a file of their own)."""

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
    given = {"sub": "7", "role": "user", "exp": int(time.time()) + 7200} | changed
    return {name: value for name, value in given.items() if value is not None}


async def test_s040_cookie_then_bearer_header_then_auth_token_then_nobody(hub: HubHarness) -> None:
    """The chain of proofs: session cookie, bearer header, `auth.token`, else refused."""
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


async def test_s040_people_log_in_whatever_keeps_other_threads_busy(hub: HubHarness) -> None:
    loop, may_end = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    busy = loop.run_in_executor(None, may_end.wait, 10)
    async with asyncio.timeout(60):
        client = await hub.server.connect(headers=hub.session_store.log_in("7"))
    assert client.connected
    may_end.set()
    assert await busy


@pytest.mark.parametrize("header", ["Basic {}", "{}", "Bearer {} x", "Bearer  {}", "Bearer"])
async def test_s041_the_scheme_is_bearer_with_exactly_one_token(
    hub: HubHarness, header: str
) -> None:
    headers = {"authorization": header.format(hub.token())}
    assert (await hub.connect_error(headers=headers))["code"] == "UNAUTHORIZED"
    client = await hub.server.connect(headers={"authorization": f"bEARER {hub.token()}"})
    assert client.connected


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("authorization", [None, "Bearer forged"])
async def test_s042_s045_a_strict_server_answers_401_on_both_transports(
    start_hub: Any, transport: str, authorization: str | None
) -> None:
    """Neither a missing nor a wrong token harms the server, whatever the transport."""
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
        {"iss": "somebody"},
        {"aud": "another"},
        {"iss": None},
        {"aud": None},
    ],
)
async def test_s043_exp_nbf_iss_and_aud_are_enforced(
    start_hub: Any, changed: dict[str, Any]
) -> None:
    hub: HubHarness = await start_hub(jwt_issuer="hextrackr", jwt_audience="realtime")
    good = claims(iss="hextrackr", aud="realtime")
    assert (await hub.server.connect(auth={"token": jwt.encode(good, SECRET)})).connected
    bad = {name: value for name, value in (good | changed).items() if value is not None}
    refusal = await hub.connect_error(auth={"token": jwt.encode(bad, SECRET)})
    assert refusal["code"] == "UNAUTHORIZED"


async def test_s043_algorithms_are_an_allow_list_and_none_is_no_algorithm(start_hub: Any) -> None:
    """A public key verifies EdDSA; it is no shared secret, and `none` signs nothing."""
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


async def test_s043_a_socket_ends_with_its_token(hub: HubHarness) -> None:
    token = hub.token(lifetime=60)
    client = await hub.server.connect(auth={"token": token})
    await hub.advance(30)
    assert client.connected
    await hub.advance(31)
    assert not client.connected
    (told,) = client.events("application-error")
    assert told[0]["code"] == "SESSION_EXPIRED"


@pytest.mark.parametrize(
    ("given", "name", "role"),
    [
        ({"preferred_username": "alice"}, "alice", "user"),
        ({"username": "bob", "role": "admin"}, "bob", "admin"),
        ({"role": None, "roles": ["viewer", "admin"]}, "7", "admin"),
        ({"role": None, "roles": ["viewer"]}, "7", "user"),
    ],
)
async def test_s044_claims_become_the_principal(
    hub: HubHarness, given: dict[str, Any], name: str, role: str
) -> None:
    token = jwt.encode(claims(**given), SECRET)
    client = await hub.server.connect(auth={"token": token})
    principal = hub.io.sockets[client.id].data["principal"]
    assert (principal.user_id, principal.username, principal.role) == ("7", name, role)


async def test_s046_browsers_may_send_the_header_and_a_token_in_auth(hub: HubHarness) -> None:
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
async def test_s047_every_namespace_authenticates(hub: HubHarness, namespace: str) -> None:
    refusal = await hub.connect_error(namespace, auth={"userId": "1", "role": "superadmin"})
    assert refusal["code"] == "UNAUTHORIZED"
    client = await hub.client("1", "superadmin", namespace)
    rooms = hub.io.of(namespace).sockets[client.id].rooms
    assert rooms >= {client.id, "user-1", "authenticated"}


@pytest.mark.parametrize(("role", "is_in"), [("user", 0), ("admin", 1), ("superadmin", 1)])
async def test_s048_admin_is_for_admins_whatever_a_client_says(
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


async def test_s049_s050_users_is_a_mirror_for_those_who_are_logged_in(hub: HubHarness) -> None:
    client = await hub.client("7", namespace="/users")
    hub.io.of("/users").to("user-7").emit("hello", 1)
    assert (await client.receive_event("hello"))[0] == 1
    assert (await hub.connect_error("/users", auth={"userId": "7"}))["code"] == "UNAUTHORIZED"


async def test_s047_one_connection_is_one_user_in_all_its_namespaces(hub: HubHarness) -> None:
    first = await hub.client("7")
    refusal = await hub.connect_error(
        "/users", auth={"token": hub.token("8")}, on_connection=first.connection
    )
    assert refusal["code"] == "UNAUTHORIZED"

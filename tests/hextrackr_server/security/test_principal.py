"""Whom the server believes, and what it does not."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.security.principal import Principal, TokenAuthority
from tests.hextrackr_server.support import SECRET

authority = TokenAuthority(SECRET)


def signed(secret: bytes = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    defaults: dict[str, Any] = {"sub": "7", "role": "user", "exp": int(time.time()) + 7200}
    kept = {name: value for name, value in (defaults | claims).items() if value is not None}
    return jwt.encode(kept, secret, algorithm=algorithm)


def test_a_signed_token_is_its_users_principal() -> None:
    token = authority.sign("7", role="admin", username="alice")
    assert authority.verify(token) == Principal("7", "alice", "admin")


def test_a_token_without_role_and_name_is_a_user_called_by_its_id() -> None:
    assert authority.verify(signed(role=None)) == Principal("7", "7", "user")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "no.token.here",
        signed(secret=b"x" * 32),
        signed(algorithm="HS512", secret=SECRET * 2),
        jwt.encode({"sub": "7", "exp": 2**40}, None, algorithm="none"),
        signed(exp=None),
        signed(exp=int(time.time()) - 1),
        signed(exp="soon"),
        signed(sub=None),
        signed(sub="a b"),
        signed(sub="x" * 129),
        signed(role="root"),
        signed(role=["admin"]),
        signed(username=5),
        signed(nbf=int(time.time()) + 3600),
        signed(username="x" * 9000),
        "é.è.ê",
    ],
)
def test_a_token_that_is_not_ours_or_not_valid_is_refused(token: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        authority.verify(token)
    assert refusal.value.code is ErrorCode.UNAUTHORIZED


def test_an_expired_token_is_told_so() -> None:
    with pytest.raises(ServiceError, match="Token expired"):
        authority.verify(signed(exp=int(time.time()) - 1))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_bearer_scheme_is_case_insensitive(scheme: str) -> None:
    assert authority.from_authorization(f"{scheme} {signed()}").user_id == "7"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        signed(),
        f"Basic {signed()}",
        f"Bearer  {signed()}",
        f"Bearer {signed()} more",
        f"Bearer {'x' * 9000}",
    ],
)
def test_a_header_that_is_not_bearer_and_one_token_is_refused(header: str | None) -> None:
    with pytest.raises(ServiceError) as refusal:
        authority.from_authorization(header)
    assert refusal.value.code is ErrorCode.UNAUTHORIZED


def test_a_socket_may_bring_its_token_in_auth() -> None:
    assert authority.from_handshake({}, {"token": signed()}).user_id == "7"


def test_a_bad_header_is_not_excused_by_a_good_auth_token() -> None:
    with pytest.raises(ServiceError):
        authority.from_handshake({"authorization": "Bearer nonsense"}, {"token": signed()})


@pytest.mark.parametrize(
    "auth", [{}, {"token": ""}, {"token": 5}, {"token": None}, {"userId": "7"}]
)
def test_a_socket_without_a_token_is_refused(auth: dict[str, Any]) -> None:
    with pytest.raises(ServiceError, match="Authentication required"):
        authority.from_handshake({}, auth)


def test_a_role_that_the_client_claims_for_itself_gains_nothing() -> None:
    principal = authority.from_handshake({}, {"token": signed(), "role": "superadmin", "userId": 7})
    assert principal == Principal("7", "7", "user")
    assert not principal.is_admin


def test_a_client_that_takes_itself_for_another_user_is_refused() -> None:
    with pytest.raises(ServiceError) as refusal:
        authority.from_handshake({}, {"token": signed(), "userId": "8"})
    assert refusal.value.code is ErrorCode.UNAUTHORIZED


@pytest.mark.parametrize(("user", "role"), [("", "user"), ("a b", "user"), ("7", "root")])
def test_nothing_is_signed_that_no_server_would_accept(user: str, role: str) -> None:
    with pytest.raises(ValueError):
        authority.sign(user, role=role)

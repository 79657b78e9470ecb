"""Tests of tokens and the principals that they yield."""

from __future__ import annotations

import hmac
import json
import logging
import time
from datetime import datetime, tzinfo
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hextrackr_server.clock import LoopClock
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.security.identity import IdentityService
from hextrackr_server.security.principal import Principal, TokenAuthority, TokenRules
from tests.hextrackr_server.support import SECRET

authority = TokenAuthority(SECRET)


def signed(secret: bytes = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    defaults: dict[str, Any] = {"sub": "7", "role": "user", "exp": int(time.time()) + 7200}
    kept = {name: value for name, value in (defaults | claims).items() if value is not None}
    return jwt.encode(kept, secret, algorithm=algorithm)


def set_clock(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    """Let the verifier, PyJWT and clocks read another time."""

    class Now(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Now:
            return cls.fromtimestamp(now, tz)

    monkeypatch.setattr("jwt.api_jwt.datetime", Now)
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(time, "time_ns", lambda: round(now * 1e9))


def test_signed_token_yields_its_principal() -> None:
    token = authority.sign("7", role="admin", username="alice")
    assert authority.verify(token) == Principal("7", "alice", "admin")


def test_role_and_name_default_to_user_and_id() -> None:
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
def test_foreign_or_invalid_token_is_refused(token: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        authority.verify(token)
    assert refusal.value.code is ErrorCode.UNAUTHORIZED


@pytest.mark.parametrize("claims", [{"sub": True}, {"sub": 7.0}, {"sub": ["7"]}, {"sub": ""}])
def test_user_id_of_another_type_is_refused(claims: dict[str, Any]) -> None:
    token = jwt.api_jws.encode(
        json.dumps({"exp": int(time.time()) + 7200} | claims).encode(), SECRET
    )
    with pytest.raises(ServiceError, match="the user ID or the name has an invalid value"):
        authority.verify(token)


def test_name_is_shortened_and_has_no_control_characters() -> None:
    name = authority.verify(signed(username="al\x00i\x1bce\x9f" + "x" * 200)).username
    assert name == "alice" + "x" * 123


@pytest.mark.parametrize(
    ("role", "is_admin"), [("user", False), ("admin", True), ("superadmin", True)]
)
def test_administrators_are_admins_and_superadmins(role: str, is_admin: bool) -> None:
    assert Principal("7", "alice", role).is_admin is is_admin


@pytest.mark.parametrize("claims", [{"sub": 7}, {"sub": None, "userId": 7}, {"userId": "8"}])
def test_user_id_may_be_a_number_or_the_claim_user_id(claims: dict[str, Any]) -> None:
    # PyJWT signs no numeric `sub`; jsonwebtoken does.
    token = jwt.api_jws.encode(
        json.dumps({"sub": "7", "exp": int(time.time()) + 7200} | claims).encode(), SECRET
    )
    assert authority.verify(token).user_id == "7"


def test_secret_and_public_key_verify_their_own_algorithms_only() -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    rules = TokenRules(algorithms=("HS256", "EdDSA"), public_key=public)
    both = TokenAuthority(SECRET, rules)
    claims = {"sub": "7", "exp": int(time.time()) + 7200}
    assert both.verify(signed()).user_id == "7"
    assert both.verify(jwt.encode(claims, private, algorithm="EdDSA")).user_id == "7"
    # PyJWT refuses to sign with a public key as the secret; an attacker does not.
    head, payload, _ = signed().encode().split(b".")
    for secret in (public, public.strip(), b""):
        forged = jwt.utils.base64url_encode(hmac.digest(secret, head + b"." + payload, "sha256"))
        with pytest.raises(ServiceError, match="Invalid token"):
            both.verify(b".".join((head, payload, forged)).decode())
    without_secret = TokenAuthority(b"", rules)
    assert without_secret.verify(jwt.encode(claims, private, algorithm="EdDSA")).user_id == "7"
    with pytest.raises(ServiceError, match="Invalid token"):
        without_secret.verify(signed())


def test_user_id_is_read_from_the_first_configured_claim() -> None:
    chosen = TokenAuthority(SECRET, TokenRules(user_claims=("email", "sub")))
    assert chosen.verify(signed(email="a@b.example")).user_id == "a@b.example"
    assert chosen.verify(signed()).user_id == "7"
    assert chosen.verify(chosen.sign("9")).user_id == "9"


def test_token_without_exp_is_valid_for_the_maximum_age() -> None:
    now = int(time.time())
    chosen = TokenAuthority(SECRET, TokenRules(max_age=3600))
    assert chosen.verify(signed(exp=None, iat=now - 60)).expires_at == now + 3540
    assert chosen.verify(signed(exp=now + 9, iat=now - 60)).expires_at == now + 9
    for old in (signed(exp=None, iat=now - 3600), signed(exp=now + 9, iat=now - 3600)):
        with pytest.raises(ServiceError, match="Token expired"):
            chosen.verify(old)


@pytest.mark.parametrize(
    ("names", "claims", "role"),
    [
        ({"manager": "admin"}, {"role": "manager"}, "admin"),
        ({"manager": "admin", "*": "user"}, {"role": "viewer"}, "user"),
        ({"manager": "admin"}, {"role": None, "roles": ["viewer", "manager"]}, "admin"),
        ({}, {"role": None, "roles": ["admin", "user", "superadmin", 7]}, "superadmin"),
        ({}, {"role": None, "roles": ["admin", "user"]}, "admin"),
        ({}, {"role": None, "roles": []}, "user"),
        ({"*": "user"}, {"role": "superadmin"}, "superadmin"),
    ],
)
def test_other_names_of_roles_are_mapped(
    names: dict[str, str], claims: dict[str, Any], role: str
) -> None:
    chosen = TokenAuthority(SECRET, TokenRules(role_names=names))
    assert chosen.verify(signed(**claims)).role == role


@pytest.mark.parametrize(
    ("rules", "claims", "problem", "remedy"),
    [
        (TokenRules(), {"exp": None}, "the claim 'exp' is missing", "HEXTRACKR_JWT_MAX_AGE"),
        (TokenRules(), {"sub": None}, "the claim 'sub' is missing", "HEXTRACKR_JWT_USER_CLAIMS"),
        (TokenRules(user_claims=("uid",)), {}, "the claim 'uid' is missing", "JWT_USER_CLAIMS"),
        (TokenRules(max_age=60), {"exp": None}, "the claim 'iat' is missing", "noTimestamp"),
        (TokenRules(), {"role": "manager"}, "the claim 'role' has an unknown", "ROLE_NAMES"),
        (TokenRules(issuer="a"), {"iss": "b"}, "the claim 'iss' has another value", "JWT_ISSUER"),
        (TokenRules(issuer="a"), {}, "the claim 'iss' is missing", "JWT_ISSUER"),
        (TokenRules(), {"aud": "b"}, "the claim 'aud' has another value", "JWT_AUDIENCE"),
        (TokenRules(), {"nbf": 2**40}, "the token is not valid yet", "clocks"),
        (TokenRules(), {"sub": "a b"}, "the user ID or the name has an invalid", "1 to 128"),
    ],
)
def test_refusal_names_the_claim_in_the_response_and_the_remedy_in_the_log(
    caplog: pytest.LogCaptureFixture,
    rules: TokenRules,
    claims: dict[str, Any],
    problem: str,
    remedy: str,
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(ServiceError, match=problem):
        TokenAuthority(SECRET, rules).verify(signed(**claims))
    (record,) = caplog.records
    assert problem in record.__dict__["fields"]["reason"]
    assert remedy in record.__dict__["fields"]["remedy"]


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value",
    ["2000000000", "soon", 10**30, 1e300, float("nan"), float("inf"), -1, True, [2_000_000_000],
     {"seconds": 1}, 2_000_000_000_000],
)  # fmt: skip
@pytest.mark.parametrize("rules", [TokenRules(), TokenRules(max_age=3600)])
def test_time_that_is_not_a_number_of_seconds_is_refused(
    name: str, value: Any, rules: TokenRules
) -> None:
    claims: dict[str, Any] = {"sub": "7", "exp": int(time.time()) + 7200, "iat": int(time.time())}
    token = jwt.api_jws.encode(json.dumps(claims | {name: value}).encode(), SECRET)
    with pytest.raises(ServiceError) as refusal:
        TokenAuthority(SECRET, rules).verify(token)
    assert refusal.value.code is ErrorCode.UNAUTHORIZED


@pytest.mark.parametrize("rules", [TokenRules(), TokenRules(max_age=7200)])
def test_token_is_valid_after_the_clock_was_set_back_by_a_day(
    rules: TokenRules, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = TokenAuthority(SECRET, rules)
    token = chosen.sign("7")
    set_clock(monkeypatch, time.time() - 86_400)
    assert chosen.verify(token).user_id == "7"
    assert "issued in the future" in caplog.text
    assert caplog.records[0].__dict__["fields"]["seconds"] >= 86_399


async def test_token_from_the_future_is_refused_after_a_revocation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    identity = IdentityService(authority, LoopClock())
    token = authority.sign("7")
    set_clock(monkeypatch, time.time() - 86_400)
    assert identity.is_current(authority.verify(token))
    identity.revoke(user_id="7")
    assert not identity.is_current(authority.verify(token))


def test_future_time_of_issue_within_the_leeway_is_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = int(time.time())
    chosen = TokenAuthority(SECRET, TokenRules(leeway=60))
    assert chosen.verify(signed(iat=now + 30)).proven_at == now + 30
    assert not caplog.records


def test_claims_of_a_forged_token_are_not_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(ServiceError, match=r"^Invalid token$"):
        authority.verify(signed(secret=b"x" * 32, exp=None))
    assert not caplog.records


def test_expired_token_is_refused_with_its_reason() -> None:
    with pytest.raises(ServiceError, match="Token expired"):
        authority.verify(signed(exp=int(time.time()) - 1))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_bearer_scheme_is_case_insensitive(scheme: str) -> None:
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
def test_malformed_authorization_header_is_refused(header: str | None) -> None:
    with pytest.raises(ServiceError) as refusal:
        authority.from_authorization(header)
    assert refusal.value.code is ErrorCode.UNAUTHORIZED


def test_handshake_accepts_a_token_in_auth() -> None:
    assert authority.from_handshake({}, {"token": signed()}).user_id == "7"


def test_invalid_header_is_refused_despite_a_valid_auth_token() -> None:
    with pytest.raises(ServiceError):
        authority.from_handshake({"authorization": "Bearer nonsense"}, {"token": signed()})


@pytest.mark.parametrize(
    "auth", [{}, {"token": ""}, {"token": 5}, {"token": None}, {"userId": "7"}]
)
def test_handshake_without_a_token_is_refused(auth: dict[str, Any]) -> None:
    with pytest.raises(ServiceError, match="Authentication required"):
        authority.from_handshake({}, auth)


def test_role_in_auth_is_ignored() -> None:
    principal = authority.from_handshake({}, {"token": signed(), "role": "superadmin", "userId": 7})
    assert principal == Principal("7", "7", "user")
    assert not principal.is_admin


def test_handshake_with_the_id_of_another_user_is_refused() -> None:
    with pytest.raises(ServiceError) as refusal:
        authority.from_handshake({}, {"token": signed(), "userId": "8"})
    assert refusal.value.code is ErrorCode.UNAUTHORIZED


@pytest.mark.parametrize(("user", "role"), [("", "user"), ("a b", "user"), ("7", "root")])
def test_sign_refuses_invalid_users_and_roles(user: str, role: str) -> None:
    with pytest.raises(ValueError):
        authority.sign(user, role=role)

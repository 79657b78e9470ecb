"""Tokens: JSON Web Tokens as sent, and any claims with a valid signature.

An input that starts with a brace is a set of claims, which the target signs; all others are tokens.
"""

from __future__ import annotations

import json
import math
import time
from typing import Any

import jwt

from fuzz.escapes import Escapes
from fuzz.target import JSON_BORDERS, Target
from hextrackr_server.config.roles import ROLES
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.security.principal import (
    Principal,
    TokenAuthority,
    TokenRules,
    is_user_id,
)

SECRET = b"a secret of thirty-two bytes, or more"
AUTHORITY = TokenAuthority(SECRET)
STRICT = TokenAuthority(
    SECRET, TokenRules(issuer="a", audience="b", leeway=5, max_age=60, role_names={"*": "user"})
)
LATER = 99_999_999_999
ALICE = jwt.encode({"sub": "alice", "exp": LATER}, SECRET)
SIGNER = jwt.PyJWS()

ESCAPES = Escapes("hextrackr_server")


def verify(authority: TokenAuthority, token: str) -> Principal | None:
    """Return the principal of a token, checked; None if it is refused."""
    try:
        principal = authority.verify(token)
    except ServiceError as error:
        assert error.code is ErrorCode.UNAUTHORIZED  # noqa: PT017
        return None
    assert is_user_id(principal.user_id)
    assert principal.role in ROLES
    assert principal.username.isprintable() or len(principal.username) <= 128
    assert principal.expires_at is not None
    assert math.isfinite(principal.expires_at)
    assert principal.expires_at > time.time() - 1
    assert math.isfinite(principal.proven_at)
    assert 0 <= principal.proven_at <= time.time() + 6
    return principal


def run(data: bytes) -> None:
    """Verify a token, or a token with the claims of the input."""
    with ESCAPES:
        verify_input(data)


def verify_input(data: bytes) -> None:
    """Verify the token of an input."""
    if data[:1] == b"{":
        token = SIGNER.encode(data, SECRET, algorithm="HS256")
        for authority in (AUTHORITY, STRICT):
            verify(authority, token)
        return
    text = data.decode("utf-8", "replace")
    principal = verify(AUTHORITY, text)
    assert principal is None or principal.user_id == "alice", "a token that nothing has signed"
    try:
        AUTHORITY.from_handshake({"authorization": text}, {"token": text, "userId": text[:9]})
    except ServiceError as error:
        assert error.code is ErrorCode.UNAUTHORIZED  # noqa: PT017


def claims(**changes: Any) -> bytes:
    """Return usual claims with changes, as JSON."""
    usual = {"sub": "7", "role": "admin", "username": "a", "exp": LATER, "iat": 1_700_000_000}
    return json.dumps(usual | changes).encode()


TARGET = Target(
    "tokens (JWT): any text, and any claims with a valid signature",
    lambda: [
        ALICE.encode(), b"Bearer " + ALICE.encode(), ALICE.rpartition(".")[0].encode() + b".",
        jwt.encode({"sub": "7", "exp": LATER}, None, algorithm="none").encode(),
        claims(), claims(sub=7), claims(exp="2000000000"), claims(exp=1e30), claims(nbf=LATER),
        claims(roles=["admin", "x"], role=None), claims(iss="a", aud=["b", "c"], iat=LATER),
        claims(iss="a", aud="b", iat=int(time.time())), claims(preferred_username="\u0000x"),
        b"{}", b"[]", b'{"exp":NaN}', b'{"exp":1e999}', b'{"sub":"\\ud800","exp":99999999999}',
    ],
    run,
    (
        b".", b"eyJhbGciOiJub25lIn0", b"eyJhbGciOiJIUzI1NiJ9", b'"sub":', b'"exp":', b'"iat":',
        b'"nbf":', b'"aud":', b'"iss":', b'"role":', b'"roles":["user"]', b"null", b"true", b"1e30",
        b"-1", b"{}", b"[]", b"99999999999", b'"userId":', b"NaN", b"Infinity", b"\\ud800",
    ),
    borders=JSON_BORDERS,
)  # fmt: skip

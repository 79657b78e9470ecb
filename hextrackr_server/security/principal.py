"""Principals (authenticated users) and the tokens that prove them.

Tokens are JSON Web Tokens (HS256, RS256, EdDSA) in the bearer header or in the `auth` object of a
CONNECT packet. Only a verified token makes a principal; other statements of a client about itself
are compared with the token, never trusted.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from hextrackr_server.config.roles import ROLES, role_named
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.rooms import user_room
from hextrackr_server.telemetry import log_setup

logger = logging.getLogger(__name__)

ALGORITHM = "HS256"
MAXIMUM_TOKEN_LENGTH = 8192
DEFAULT_LIFETIME = 24 * 3600.0
#: Later times, in seconds since 1970 (the year 5138), are milliseconds or mistakes.
LATEST_TIME = 100_000_000_000

_USER_ID = re.compile(r"[A-Za-z0-9._@:+-]{1,128}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user, with the time and session of the proof and its expiry.

    Times are seconds since 1970. `expires_at` is None for a proof without expiry.
    """

    user_id: str
    username: str
    role: str
    session_id: str | None = field(default=None, compare=False, repr=False)
    proven_at: float = field(default=0.0, compare=False, repr=False)
    expires_at: float | None = field(default=None, compare=False, repr=False)

    @property
    def is_admin(self) -> bool:
        """Return whether the user may access the imports of other users."""
        return self.role in {"admin", "superadmin"}

    @property
    def room(self) -> str:
        """Return the name of the room of all sockets of the user."""
        return user_room(self.user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """Requirements for tokens; HS256 uses the secret, the other algorithms the public key.

    The first of `user_claims` that a token has is the user ID. With a `max_age` in seconds, a token
    is valid for that time from `iat` and needs no `exp`. `role_names` maps further names of roles
    to ROLES; the name `*` stands for all other names.
    """

    algorithms: tuple[str, ...] = (ALGORITHM,)
    public_key: bytes = b""
    issuer: str | None = None
    audience: str | None = None
    leeway: float = 0.0
    user_claims: tuple[str, ...] = ("sub", "userId")
    max_age: float = 0.0
    role_names: Mapping[str, str] = field(default_factory=dict)


class TokenAuthority:
    """Signer and verifier of tokens; raises ServiceError UNAUTHORIZED for invalid ones."""

    def __init__(self, secret: bytes, rules: TokenRules = TokenRules()) -> None:
        self._secret = secret
        self._rules = rules

    def sign(
        self,
        user_id: str,
        *,
        role: str = "user",
        username: str | None = None,
        lifetime: float = DEFAULT_LIFETIME,
    ) -> str:
        """Return a token for a user; ValueError if no server would accept it."""
        if not is_user_id(user_id):
            raise ValueError(
                f"a user ID must have 1 to 128 letters, digits or . _ @ : + -, got {user_id!r}"
            )
        if role not in ROLES:
            raise ValueError(f"the role must be one of {', '.join(ROLES)}, got {role!r}")
        now = int(time.time())
        claims: dict[str, Any] = {
            self._rules.user_claims[0]: user_id,
            "username": username or user_id,
            "role": role,
            "iat": now,
            "exp": now + int(lifetime),
        }
        claims |= {"iss": self._rules.issuer} if self._rules.issuer else {}
        claims |= {"aud": self._rules.audience} if self._rules.audience else {}
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def verify(self, token: str) -> Principal:
        """Return the principal of a token."""
        if len(token) > MAXIMUM_TOKEN_LENGTH:
            raise _unauthorized("Invalid token")
        rules = self._rules
        try:
            algorithm = jwt.get_unverified_header(token).get("alg")
            # The algorithm selects the key, so that a public key cannot verify as a shared secret.
            key = self._secret if algorithm == ALGORITHM else rules.public_key
            if algorithm not in rules.algorithms or not key:
                raise _unauthorized("Invalid token")
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=rules.issuer,
                audience=rules.audience,
                leeway=rules.leeway,
                options={
                    "require": [] if rules.max_age else ["exp"],
                    # jsonwebtoken (npm, 9.0) signs a numeric `sub`, which RFC 7519 forbids.
                    "verify_sub": False,
                    # RFC 7519, section 4.1.6, rejects no token for its `iat`: see `_issue_of`.
                    "verify_iat": False,
                },
            )
            _check_times(claims)
            return _principal_of(claims, rules)
        except jwt.ExpiredSignatureError as error:
            raise _unauthorized("Token expired") from error
        except jwt.MissingRequiredClaimError as error:
            remedy = _REMEDIES.get(error.claim, _REMEDIES["sub"])
            raise _unusable(f"the claim {error.claim!r} is missing", remedy) from error
        except (jwt.InvalidIssuerError, jwt.InvalidAudienceError) as error:
            name = "iss" if isinstance(error, jwt.InvalidIssuerError) else "aud"
            raise _unusable(f"the claim {name!r} has another value", _REMEDIES[name]) from error
        except jwt.ImmatureSignatureError as error:
            text = "the token is not valid yet ('nbf')"
            raise _unusable(text, "compare the clocks of both machines") from error
        # PyJWT 2.10.0 raises the last two for times that are not numbers.
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError) as error:
            raise _unauthorized("Invalid token") from error

    def from_authorization(self, header: str | None) -> Principal:
        """Return the principal of an `Authorization: Bearer <token>` header."""
        if not header:
            raise _unauthorized("Authentication required")
        if len(header) > MAXIMUM_TOKEN_LENGTH:
            raise _unauthorized("Invalid token")
        parts = header.split(" ")
        if len(parts) != 2 or parts[0].lower() != "bearer" or not parts[1]:
            raise _unauthorized("The authorization header must be: Bearer <token>")
        return self.verify(parts[1])

    def from_handshake(self, headers: Mapping[str, str], auth: Mapping[str, Any]) -> Principal:
        """Return the principal of a connecting socket, from the bearer header or `auth.token`.

        Raises ServiceError if `auth.userId` names another user: such a client would wait for events
        that it cannot receive.
        """
        header, token = headers.get("authorization"), auth.get("token")
        if header:
            principal = self.from_authorization(header)
        elif isinstance(token, str) and token:
            principal = self.verify(token)
        else:
            raise _unauthorized("Authentication required")
        refuse_other_user(principal, auth)
        return principal


def refuse_other_user(principal: Principal, auth: Mapping[str, Any]) -> None:
    """Raise ServiceError UNAUTHORIZED if `auth.userId` is not the ID of the principal."""
    claimed = auth.get("userId")
    if claimed is not None and str(claimed) != principal.user_id:
        raise _unauthorized("Unauthorized")


def is_user_id(text: str) -> bool:
    """Return whether a text is a valid user ID."""
    return _USER_ID.fullmatch(text) is not None


def principal_from(
    user_id: Any,
    username: Any,
    role: str,
    *,
    session_id: str | None = None,
    proven_at: float = 0.0,
    expires_at: float | None = None,
) -> Principal | None:
    """Return a principal, or None for an invalid ID or name; remove control characters."""
    if not isinstance(user_id, str) or not is_user_id(user_id):
        return None
    if not isinstance(username, str):
        return None
    name = _CONTROL.sub("", username)[:128]
    return Principal(user_id, name, role, session_id, proven_at, expires_at)


def _principal_of(claims: Mapping[str, Any], rules: TokenRules) -> Principal:
    user_id = _user_id_of(claims, rules)
    username = claims.get("preferred_username", claims.get("username", user_id))
    principal = principal_from(
        user_id,
        username,
        _role_of(claims, rules),
        proven_at=_issue_of(claims, rules),
        expires_at=_expiry_of(claims, rules),
    )
    if principal is None:
        raise _unusable("the user ID or the name has an invalid value", _USER_ID_RULE)
    return principal


def _check_times(claims: Mapping[str, Any]) -> None:
    """Refuse times that are not numbers of seconds (NumericDate of RFC 7519, section 2).

    PyJWT (2.10) also accepts a text such as "2000000000", and any number.
    """
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name, 0)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= LATEST_TIME:  # not true for NaN
            raise _unusable(f"the claim {name!r} must be a number of seconds since 1970", _TIMES)


def _issue_of(claims: Mapping[str, Any], rules: TokenRules) -> float:
    """Return the time of issue; 0.0, before any revocation, if it is missing or in the future.

    A clock that was set back must not refuse every token. A token from the future is therefore
    valid, unless logins of its user were revoked: whether it was issued later is not known.
    """
    issued = float(claims.get("iat", 0))
    ahead = issued - rules.leeway - time.time()
    if ahead <= 0:
        return issued
    logger.warning(
        "a token was issued in the future: compare the clocks of both machines",
        extra=log_setup.fields(seconds=math.ceil(ahead)),
    )
    return 0.0


def _user_id_of(claims: Mapping[str, Any], rules: TokenRules) -> Any:
    """Return the user ID; a number becomes a text, as in HexTrackr's sessions."""
    for name in rules.user_claims:
        value = claims.get(name)
        if value is not None:
            is_number = isinstance(value, int) and not isinstance(value, bool)
            return str(value) if is_number else value
    raise jwt.MissingRequiredClaimError(rules.user_claims[0])


def _expiry_of(claims: Mapping[str, Any], rules: TokenRules) -> float:
    """Return the time of expiry; raise ExpiredSignatureError if `max_age` is over."""
    ends = [float(claims["exp"])] if "exp" in claims else []
    if rules.max_age:
        if "iat" not in claims:
            raise jwt.MissingRequiredClaimError("iat")
        ends.append(float(claims["iat"]) + rules.max_age)
    end = min(ends) + rules.leeway
    if end <= time.time():
        raise jwt.ExpiredSignatureError
    return end


def _role_of(claims: Mapping[str, Any], rules: TokenRules) -> str:
    """Return the claim `role`, or the highest known role of the claim `roles`, or `user`."""
    if "role" in claims or not isinstance(claims.get("roles"), list):
        role = role_named(claims.get("role", "user"), rules.role_names)
        if role is None:
            raise _unusable("the claim 'role' has an unknown value", _REMEDIES["role"])
        return role
    found = {role_named(name, rules.role_names) for name in claims["roles"]}
    return next((role for role in reversed(ROLES) if role in found), "user")


_TIMES = "sign with times in seconds: JavaScript's Date.now() returns milliseconds"
_USER_ID_RULE = "a user ID has 1 to 128 letters, digits or . _ @ : + -"
#: The remedy for a claim, for the log.
_REMEDIES = {
    "exp": "sign with an expiry (expiresIn), or set HEXTRACKR_JWT_MAX_AGE",
    "iat": "HEXTRACKR_JWT_MAX_AGE requires the time of issue: do not sign with noTimestamp",
    "sub": "sign with the user ID, or set HEXTRACKR_JWT_USER_CLAIMS",
    "iss": "compare it with JWT_ISSUER",
    "aud": "compare it with JWT_AUDIENCE",
    "role": "map the role with HEXTRACKR_ROLE_NAMES",
}


def _unusable(problem: str, remedy: str) -> ServiceError:
    """Log why a correctly signed token is not usable, and return the error for its client."""
    logger.info("token rejected", extra=log_setup.fields(reason=problem, remedy=remedy))
    return _unauthorized(f"Invalid token: {problem}")


def _unauthorized(message: str) -> ServiceError:
    return ServiceError(ErrorCode.UNAUTHORIZED, message)

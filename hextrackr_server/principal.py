"""Who the server knows the client to be.

Knows: JSON Web Tokens (HS256), the bearer header, the `auth` of a CONNECT.
Does not know: sockets, HTTP responses, rooms.
Only a verified token makes a principal; what the client says of itself beside it is compared,
never believed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from hextrackr_server.errors import ErrorCode, ServiceError

ALGORITHM = "HS256"
ROLES = ("user", "admin", "superadmin")
MAXIMUM_TOKEN_LENGTH = 8192
DEFAULT_LIFETIME = 24 * 3600.0

_USER_ID = re.compile(r"[A-Za-z0-9._@:+-]{1,128}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Principal:
    """A client whose token was verified."""

    user_id: str
    username: str
    role: str

    @property
    def is_admin(self) -> bool:
        """Whether others' imports are open to this client."""
        return self.role in {"admin", "superadmin"}

    @property
    def room(self) -> str:
        """The room that all of this user's sockets are in."""
        return f"user-{self.user_id}"


class TokenAuthority:
    """Signs tokens and turns verified ones into principals; raises ServiceError UNAUTHORIZED."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(
        self,
        user_id: str,
        *,
        role: str = "user",
        username: str | None = None,
        lifetime: float = DEFAULT_LIFETIME,
    ) -> str:
        """A token for a user; ValueError where no server would accept it."""
        if not _USER_ID.fullmatch(user_id):
            raise ValueError(
                f"a user id has 1 to 128 letters, digits or . _ @ : + -, not {user_id!r}"
            )
        if role not in ROLES:
            raise ValueError(f"a role is one of {', '.join(ROLES)}, not {role!r}")
        now = int(time.time())
        claims = {
            "sub": user_id,
            "username": username or user_id,
            "role": role,
            "iat": now,
            "exp": now + int(lifetime),
        }
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def verify(self, token: str) -> Principal:
        """The principal of a token."""
        if len(token) > MAXIMUM_TOKEN_LENGTH:
            raise _unauthorized("Invalid token")
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                options={"require": ["exp", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise _unauthorized("Token expired") from error
        except (jwt.InvalidTokenError, ValueError) as error:
            raise _unauthorized("Invalid token") from error
        return _principal_of(claims)

    def from_authorization(self, header: str | None) -> Principal:
        """The principal of an `Authorization: Bearer <token>` header."""
        if not header:
            raise _unauthorized("Authentication required")
        if len(header) > MAXIMUM_TOKEN_LENGTH:
            raise _unauthorized("Invalid token")
        parts = header.split(" ")
        if len(parts) != 2 or parts[0].lower() != "bearer" or not parts[1]:
            raise _unauthorized("The authorization header must be: Bearer <token>")
        return self.verify(parts[1])

    def from_handshake(self, headers: Mapping[str, str], auth: Mapping[str, Any]) -> Principal:
        """The principal of a connecting socket: the bearer header, else `auth.token`.

        An `auth.userId` that is not the principal's own is refused: such a client takes itself
        for somebody else, and would wait for events that never come.
        """
        header, token = headers.get("authorization"), auth.get("token")
        if header:
            principal = self.from_authorization(header)
        elif isinstance(token, str) and token:
            principal = self.verify(token)
        else:
            raise _unauthorized("Authentication required")
        claimed = auth.get("userId")
        if claimed is not None and str(claimed) != principal.user_id:
            raise _unauthorized("Unauthorized")
        return principal


def _principal_of(claims: Mapping[str, Any]) -> Principal:
    user_id, role = claims["sub"], claims.get("role", "user")
    username = claims.get("username", user_id)
    if not isinstance(user_id, str) or not _USER_ID.fullmatch(user_id):
        raise _unauthorized("Invalid token")
    if role not in ROLES or not isinstance(username, str):
        raise _unauthorized("Invalid token")
    return Principal(user_id, _CONTROL.sub("", username)[:128], role)


def _unauthorized(message: str) -> ServiceError:
    return ServiceError(ErrorCode.UNAUTHORIZED, message)

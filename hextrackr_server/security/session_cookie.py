"""Session cookies of express-session, and read access to HexTrackr's session store.

The store belongs to another program; this module never writes to it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from hextrackr_server.config.roles import ROLES
from hextrackr_server.errors import HexTrackrError
from hextrackr_server.security.principal import Principal, principal_from

BUSY_SECONDS = 0.25
MAXIMUM_COOKIE_LENGTH = 1024
# The store contains ISO times; SQLite's datetime() makes both comparable.
_QUERY = """
    SELECT sess, CAST(strftime('%s', expire) AS INTEGER) FROM sessions
    WHERE sid = ? AND datetime(?, 'unixepoch') < datetime(expire)
"""


class StoreUnavailableError(HexTrackrError):
    """The session store is not readable, so logins cannot be verified."""


class SessionCookies:
    """Verifier of the signed session ID in a cookie."""

    def __init__(self, name: str, secrets: Sequence[bytes]) -> None:
        self._prefix = f"{name}="
        self._secrets = tuple(secrets)

    def raw(self, cookie_header: str) -> str | None:
        """Return the cookie's value as sent; the first of several counts, as in Express."""
        if self._prefix not in cookie_header:
            return None
        for part in cookie_header.split(";"):
            pair = part.strip()
            if pair.startswith(self._prefix):
                return pair[len(self._prefix) :].strip('"')
        return None

    def session_id(self, cookie_header: str) -> str | None:
        """Return the session ID if the cookie is present and signed with one of the secrets."""
        raw = self.raw(cookie_header)
        if raw is None or len(raw) > MAXIMUM_COOKIE_LENGTH:
            return None
        value = unquote(raw)
        session_id, dot, signature = value.removeprefix("s:").rpartition(".")
        if not value.startswith("s:") or not dot or not session_id:
            return None
        signed, found = signature.encode(), False
        for secret in self._secrets:
            found |= hmac.compare_digest(signature_of(session_id, secret), signed)
        return session_id if found else None

    def sign(self, session_id: str) -> str:
        """Return the cookie value that Express would set for a session ID."""
        signature = signature_of(session_id, self._secrets[0]).decode()
        return quote(f"s:{session_id}.{signature}", safe="")


def signature_of(session_id: str, secret: bytes) -> bytes:
    """Return the HMAC-SHA256 of a session ID in Base64 without padding."""
    digest = hmac.new(secret, session_id.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).rstrip(b"=")


class SessionStore:
    """HexTrackr's `sessions.db`, opened read-only for each query; blocking, so use a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._address = f"file:{quote(str(path.absolute()))}?mode=ro"

    def find(self, session_id: str, now: float) -> Principal | None:
        """Return the user of a session; None if it is expired, unknown or anonymous."""
        try:
            with closing(
                sqlite3.connect(self._address, uri=True, timeout=BUSY_SECONDS)
            ) as connection:
                row = connection.execute(_QUERY, (session_id, int(now))).fetchone()
        except sqlite3.Error as error:
            text = f"the session store {self._path} cannot be read: {error}"
            raise StoreUnavailableError(text) from error
        return None if row is None else _principal_of(session_id, row, now)


def _principal_of(session_id: str, row: tuple[Any, Any], now: float) -> Principal | None:
    try:
        session = json.loads(row[0])
    except (TypeError, ValueError):
        return None
    # A session without a userId is anonymous: Express keeps its CSRF token there.
    if not isinstance(session, dict) or not session.get("userId"):
        return None
    user_id = str(session["userId"])
    role = session.get("role")
    return principal_from(
        user_id,
        session.get("username") or user_id,
        role if role in ROLES else "user",
        session_id=session_id,
        proven_at=now,
        expires_at=None if row[1] is None else float(row[1]),
    )

"""The cookies of express-session, and the store in which HexTrackr keeps what they stand for.

Knows: signed cookies, the table `sessions` of HexTrackr's store.
Does not know: sockets, HTTP responses, tokens.  It never writes: the store is another program's.
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

from hextrackr_server.errors import HexTrackrError
from hextrackr_server.security.principal import Principal, principal_from
from hextrackr_server.security.roles import ROLES

BUSY_SECONDS = 0.25
MAXIMUM_COOKIE_LENGTH = 1024
# The store writes ISO times, SQLite compares both as its own.
_QUERY = """
    SELECT sess, CAST(strftime('%s', expire) AS INTEGER) FROM sessions
    WHERE sid = ? AND datetime(?, 'unixepoch') < datetime(expire)
"""


class StoreUnavailable(HexTrackrError):
    """The store cannot be asked now: nobody is known to be logged in, or out."""


class SessionCookies:
    """Finds the session id that a request proves with its cookie."""

    def __init__(self, name: str, secrets: Sequence[bytes]) -> None:
        self._prefix = f"{name}="
        self._secrets = tuple(secrets)

    def raw(self, cookie_header: str) -> str | None:
        """The value of the cookie as it was sent; the first of several counts, as in Express."""
        if self._prefix not in cookie_header:
            return None
        for part in cookie_header.split(";"):
            pair = part.strip()
            if pair.startswith(self._prefix):
                return pair[len(self._prefix) :].strip('"')
        return None

    def session_id(self, cookie_header: str) -> str | None:
        """The session id, if the cookie is there and one of the secrets has signed it."""
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
        """The value that Express would set."""
        signature = signature_of(session_id, self._secrets[0]).decode()
        return quote(f"s:{session_id}.{signature}", safe="")


def signature_of(session_id: str, secret: bytes) -> bytes:
    """Base64 of the HMAC-SHA256, without padding."""
    digest = hmac.new(secret, session_id.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).rstrip(b"=")


class SessionStore:
    """HexTrackr's `sessions.db`, opened read-only for each look.  It blocks: use a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._address = f"file:{quote(str(path.absolute()))}?mode=ro"

    def find(self, session_id: str, now: float) -> Principal | None:
        """Who is logged in by a session; None for one that is over, unknown or anonymous."""
        try:
            with closing(
                sqlite3.connect(self._address, uri=True, timeout=BUSY_SECONDS)
            ) as connection:
                row = connection.execute(_QUERY, (session_id, int(now))).fetchone()
        except sqlite3.Error as error:
            text = f"the store of sessions {self._path} cannot be read: {error}"
            raise StoreUnavailable(text) from error
        return None if row is None else _principal_of(session_id, row, now)


def _principal_of(session_id: str, row: tuple[Any, Any], now: float) -> Principal | None:
    try:
        session = json.loads(row[0])
    except (TypeError, ValueError):
        return None
    # Without a userId it is an anonymous session: Express keeps one for its CSRF token.
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

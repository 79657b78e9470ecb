"""Session cookies of express-session: signatures and session IDs.

`security.session_store` finds the session of an ID.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import quote, unquote

MAXIMUM_COOKIE_LENGTH = 1024


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

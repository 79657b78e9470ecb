"""Identity of clients by cookie, bearer header or token, and re-validation of identities."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from engineio_core.http.cors import is_same_host
from hextrackr_server.clock import Clock
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.security.principal import Principal, TokenAuthority, refuse_other_user
from hextrackr_server.security.session_cookie import SessionCookies
from hextrackr_server.security.session_store import (
    SessionStore,
    StoredSession,
    StoreUnavailableError,
)
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.failures import log_failure

logger = logging.getLogger(__name__)

MAXIMUM_REVOKED = 100_000
LOGIN_THREADS = 2
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class IdentityService:
    """Resolver of credentials to principals; raises ServiceError, such as UNAUTHORIZED."""

    def __init__(
        self,
        authority: TokenAuthority,
        clock: Clock,
        cookies: SessionCookies | None = None,
        store: SessionStore | None = None,
        limit: Callable[[Principal], None] = lambda _: None,
    ) -> None:
        """Set up the resolver; `limit` raises RATE_LIMITED for a user with too many requests."""
        self._limit = limit
        # Separate threads: logins work while other threads are busy.
        self._threads = ThreadPoolExecutor(LOGIN_THREADS, thread_name_prefix="hextrackr-login")
        self._authority = authority
        self._clock = clock
        self._cookies = cookies
        self._store = store
        self._revoked_sessions: OrderedDict[str, None] = OrderedDict()
        self._revoked_users: OrderedDict[str, float] = OrderedDict()

    # -- identification

    async def from_handshake(
        self, headers: Mapping[str, str], auth: Mapping[str, Any]
    ) -> Principal:
        """Return the principal of a connecting socket; a session cookie precedes a token."""
        session_id = self.session_id(headers)
        session = None if session_id is None else await self._stored(session_id)
        principal = None if session is None else session.principal
        if principal is not None:
            refuse_other_user(principal, auth)
        elif session_id is None or headers.get("authorization") or auth.get("token"):
            principal = self._authority.from_handshake(headers, auth)
        elif session is not None:
            # The keys show whether the login stores its user elsewhere.
            logger.info(
                "the session is anonymous", extra=log_setup.fields(keys=", ".join(session.keys))
            )
            raise ServiceError(
                ErrorCode.UNAUTHORIZED, "Authentication required: the session has no user"
            )
        else:
            raise ServiceError(ErrorCode.SESSION_EXPIRED, "The session has expired: log in again")
        if self.is_revoked(principal):
            raise ServiceError(ErrorCode.UNAUTHORIZED, "This login was revoked: log in again")
        return principal

    async def from_request(self, method: str, headers: Mapping[str, str]) -> Principal:
        """Return the principal of an HTTP request: its bearer header, else its session cookie."""
        if not headers.get("authorization") and self.session_id(headers) is not None:
            _refuse_other_site(method, headers)
            principal = await self.from_handshake(headers, {})
        else:
            principal = self._authority.from_authorization(headers.get("authorization"))
        if self.is_revoked(principal):
            raise ServiceError(ErrorCode.UNAUTHORIZED, "This login was revoked: log in again")
        self._limit(principal)
        return principal

    def session_id(self, headers: Mapping[str, str]) -> str | None:
        """Return the session ID that the cookie of a request proves, or None."""
        cookie = headers.get("cookie")
        if not cookie or self._cookies is None:
            return None
        return self._cookies.session_id(cookie)

    async def _stored(self, session_id: str) -> StoredSession | None:
        try:
            return await self._find_session(session_id)
        except StoreUnavailableError as error:
            log_failure(logger, "the session store is not readable", error)
            raise ServiceError(
                ErrorCode.UNAVAILABLE, "Sessions cannot be verified at the moment: try again later"
            ) from error

    async def _find_session(self, session_id: str) -> StoredSession | None:
        if self._store is None or session_id in self._revoked_sessions:
            return None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._store.find, session_id, self._now())

    # -- re-validation

    def is_current(self, principal: Principal) -> bool:
        """Return whether a principal is not revoked and not expired, without reading the store."""
        return not (self.is_revoked(principal) or self.is_over(principal))

    def is_over(self, principal: Principal) -> bool:
        """Return whether the token or session has expired, by its expiry when it was verified."""
        return principal.expires_at is not None and self._now() >= principal.expires_at

    def is_revoked(self, principal: Principal) -> bool:
        """Return whether the session was revoked, or the user after the login."""
        if principal.session_id is not None and principal.session_id in self._revoked_sessions:
            return True
        revoked_at = self._revoked_users.get(principal.user_id)
        return revoked_at is not None and principal.proven_at <= revoked_at

    def seconds_left(self, principal: Principal) -> float | None:
        """Return the seconds until a principal expires, or None if it does not expire."""
        end = principal.expires_at
        return None if end is None else max(0.0, end - self._now())

    async def recheck(self, principals: Iterable[Principal]) -> list[Principal]:
        """Return the principals that are no longer valid, with one store query per session.

        A prolonged session is valid. A session with another user or role is not. While the store is
        not readable, sessions stay valid.
        """
        gone: list[Principal] = []
        by_session: dict[str, list[Principal]] = {}
        for principal in principals:
            if self.is_revoked(principal):
                gone.append(principal)
            elif principal.session_id is not None:
                by_session.setdefault(principal.session_id, []).append(principal)
            elif self.is_over(principal):
                gone.append(principal)
        for session_id, holders in by_session.items():
            try:
                session = await self._find_session(session_id)
            except StoreUnavailableError as error:
                log_failure(logger, "the session store is not readable", error)
                break
            found = None if session is None else session.principal
            gone += [each for each in holders if each != found]
        return gone

    def revoke(self, *, session_id: str | None = None, user_id: str | None = None) -> None:
        """Reject a session, or all logins of a user up to now, from now on."""
        if session_id is not None:
            _remember(self._revoked_sessions, session_id, None)
        if user_id is not None:
            _remember(self._revoked_users, user_id, self._now())

    def close(self) -> None:
        """Drop waiting queries of the session store; each thread ends after its current query."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _now(self) -> float:
        return self._clock.epoch_ms() / 1000


def _remember(table: OrderedDict[str, Any], key: str, value: Any) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > MAXIMUM_REVOKED:
        table.popitem(last=False)


def _refuse_other_site(method: str, headers: Mapping[str, str]) -> None:
    """Reject a request that changes data if its cookie comes with another site's Origin (CSRF)."""
    origin = headers.get("origin")
    if method in _SAFE_METHODS or origin is None:
        return
    host = headers.get("x-forwarded-host") or headers.get("host", "")
    if not is_same_host(origin, host):
        raise ServiceError(
            ErrorCode.FORBIDDEN, "Requests with a session cookie must come from the same site"
        )

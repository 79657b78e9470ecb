"""Who a client is: cookie, bearer header, token, else nobody; and whether it still is.

Knows: the order of the proofs, what was revoked.  Does not know: sockets, HTTP responses.
"""

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
from hextrackr_server.security.session_cookie import SessionCookies, SessionStore, StoreUnavailable
from hextrackr_server.telemetry import log_setup

logger = logging.getLogger(__name__)

MAXIMUM_REVOKED = 100_000
LOGIN_THREADS = 2
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class IdentityService:
    """Resolves proofs to principals; raises ServiceError UNAUTHORIZED and its like."""

    def __init__(
        self,
        authority: TokenAuthority,
        clock: Clock,
        cookies: SessionCookies | None = None,
        store: SessionStore | None = None,
        limit: Callable[[Principal], None] = lambda _: None,
    ) -> None:
        """`limit` raises RATE_LIMITED for whoever asks too often over HTTP."""
        self._limit = limit
        # Of their own: whatever keeps other threads busy, people can log in.
        self._threads = ThreadPoolExecutor(LOGIN_THREADS, thread_name_prefix="hextrackr-login")
        self._authority = authority
        self._clock = clock
        self._cookies = cookies
        self._store = store
        self._revoked_sessions: OrderedDict[str, None] = OrderedDict()
        self._revoked_users: OrderedDict[str, float] = OrderedDict()

    # -- who it is

    async def from_handshake(
        self, headers: Mapping[str, str], auth: Mapping[str, Any]
    ) -> Principal:
        """The principal of a connecting socket; a session cookie counts before a token."""
        session_id = self.session_id(headers)
        principal = None if session_id is None else await self._logged_in(session_id)
        if principal is not None:
            refuse_other_user(principal, auth)
        elif session_id is None or headers.get("authorization") or auth.get("token"):
            principal = self._authority.from_handshake(headers, auth)
        else:
            raise ServiceError(ErrorCode.SESSION_EXPIRED, "The session is over: log in again")
        if self.is_revoked(principal):
            raise ServiceError(ErrorCode.UNAUTHORIZED, "This login was revoked: log in again")
        return principal

    async def from_request(self, method: str, headers: Mapping[str, str]) -> Principal:
        """The principal of an HTTP request: its bearer header, else its session cookie."""
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
        """The session id that a request's cookie proves."""
        cookie = headers.get("cookie")
        if not cookie or self._cookies is None:
            return None
        return self._cookies.session_id(cookie)

    async def _logged_in(self, session_id: str) -> Principal | None:
        try:
            return await self._look_up(session_id)
        except StoreUnavailable as error:
            logger.error("sessions cannot be checked", extra=log_setup.fields(reason=str(error)))
            raise ServiceError(
                ErrorCode.UNAVAILABLE, "Sessions cannot be checked now: try again later"
            ) from error

    async def _look_up(self, session_id: str) -> Principal | None:
        if self._store is None or session_id in self._revoked_sessions:
            return None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._store.find, session_id, self._now())

    # -- whether it still is

    def is_current(self, principal: Principal) -> bool:
        """Whether nothing that is known here speaks against a principal: asks no store."""
        return not (self.is_revoked(principal) or self.is_over(principal))

    def is_over(self, principal: Principal) -> bool:
        """Whether the token's or session's time is up, as it was when it was proved."""
        return principal.expires_at is not None and self._now() >= principal.expires_at

    def is_revoked(self, principal: Principal) -> bool:
        """Whether its session was revoked, or its user after it was proved."""
        if principal.session_id is not None and principal.session_id in self._revoked_sessions:
            return True
        revoked_at = self._revoked_users.get(principal.user_id)
        return revoked_at is not None and principal.proven_at <= revoked_at

    def seconds_left(self, principal: Principal) -> float | None:
        """How long it is good; None for one without an end."""
        end = principal.expires_at
        return None if end is None else max(0.0, end - self._now())

    async def recheck(self, principals: Iterable[Principal]) -> list[Principal]:
        """Those who are not good any more: the store is asked once for each session.

        A session that was prolonged is good; one whose user or role has changed is not. While the
        store cannot be asked, sessions stay as they are.
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
                found = await self._look_up(session_id)
            except StoreUnavailable as error:
                logger.error("sessions cannot be checked", extra=log_setup.fields(reason=error))
                break
            gone += [each for each in holders if each != found]
        return gone

    def revoke(self, *, session_id: str | None = None, user_id: str | None = None) -> None:
        """Believe a session, or all that a user has proved so far, no more."""
        if session_id is not None:
            _remember(self._revoked_sessions, session_id, None)
        if user_id is not None:
            _remember(self._revoked_users, user_id, self._now())

    def _now(self) -> float:
        return self._clock.epoch_ms() / 1000


def _remember(table: OrderedDict[str, Any], key: str, value: Any) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > MAXIMUM_REVOKED:
        table.popitem(last=False)


def _refuse_other_site(method: str, headers: Mapping[str, str]) -> None:
    """A cookie comes by itself: what changes something must come from a page of this host."""
    origin = headers.get("origin")
    if method in _SAFE_METHODS or origin is None:
        return
    host = headers.get("x-forwarded-host") or headers.get("host", "")
    if not is_same_host(origin, host):
        raise ServiceError(ErrorCode.FORBIDDEN, "Another site may not ask in a user's name")

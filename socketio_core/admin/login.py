"""The login of admins: a middleware of the admin namespace, its sessions and its limit of guesses.

The UI sends a user name and a password once, receives the ID of a session, and sends only that when
it connects again.
"""

from __future__ import annotations

import hashlib
import inspect
import ipaddress
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, final

from socketio_core.admin.credentials import Check
from socketio_core.errors import ConnectError
from socketio_core.namespace import Namespace
from socketio_core.socket import Socket

logger = logging.getLogger("socketio_core")

SESSION_DURATION: Final = 86400.0
"""Seconds for which a session is valid; the duration of Node's RedisStore."""
MAX_SESSIONS: Final = 1000
GUESSES: Final = 10
"""The number of failed logins of one address, after which it must wait."""
GUESS_INTERVAL: Final = 6.0
"""Seconds after which an address gets one of its guesses back."""
MAX_ADDRESSES: Final = 4096
MAX_PENDING: Final = 16
"""The number of passwords that are being checked."""
MAX_LENGTH: Final = 1024
SESSION_EVENT: Final = "admin_session"
"""The event that shares a session with the other servers."""

REFUSED: Final = "invalid credentials"  # the UI shows its login form again for this text
TOO_MANY: Final = "too many attempts, try again later"


@final
class Sessions:
    """The valid sessions by the hash of their ID, so that a lookup leaks nothing by its time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ends: OrderedDict[str, float] = OrderedDict()

    def create(self) -> tuple[str, str]:
        """Return the ID of a new session, and its hash."""
        session_id = secrets.token_hex(16)
        digest = _digest(session_id)
        self.add(digest)
        return session_id, digest

    def add(self, digest: str) -> None:
        """Add a session, by its hash; the oldest one ends if there are too many."""
        self._ends[digest] = self._now() + SESSION_DURATION
        self._ends.move_to_end(digest)
        while len(self._ends) > MAX_SESSIONS:
            self._ends.popitem(last=False)

    def has(self, session_id: Any) -> bool:
        """Return whether a session is valid."""
        if not isinstance(session_id, str) or len(session_id) > MAX_LENGTH:
            return False
        end = self._ends.get(_digest(session_id))
        return end is not None and self._now() < end

    def __len__(self) -> int:
        return len(self._ends)


def _digest(session_id: str) -> str:
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()


@final
class GuessLimit:
    """The guesses that each address has left; those of IPv6 count by their first 64 bits."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        # address -> used guesses, and the time of that number; the oldest change first
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> bool:
        """Use one guess; return False if none is left."""
        key = _network(address)
        now = self._now()
        used, since = self._used.get(key, (0.0, now))
        used = max(0.0, used - (now - since) / GUESS_INTERVAL)
        if used > GUESSES - 1:
            return False
        self._used[key] = (used + 1, now)
        self._used.move_to_end(key)
        while len(self._used) > MAX_ADDRESSES:
            self._used.popitem(last=False)
        return True

    def give_back(self, address: str) -> None:
        """Give back all guesses: the password was right."""
        self._used.pop(_network(address), None)

    def __len__(self) -> int:
        return len(self._used)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


@final
class Login:
    """The middleware of an admin namespace. Any doubt refuses the client."""

    def __init__(self, namespace: Namespace, check: Check, now: Callable[[], float]) -> None:
        self._namespace = namespace
        self._check = check
        self._pending = 0
        self.sessions = Sessions(now)
        self.guesses = GuessLimit(now)
        namespace.use(self._admit)
        namespace.on_server_event(SESSION_EVENT, self._share)

    def _share(self, digest: str) -> None:
        """Add a session of another server."""
        if len(digest) == 64:
            self.sessions.add(digest)

    async def _admit(self, socket: Socket[Any]) -> None:
        auth = socket.handshake.auth
        if self.sessions.has(auth.get("sessionId")):
            return
        username, password = _read_text(auth, "username"), _read_text(auth, "password")
        address = socket.handshake.address
        if not username or not password:
            raise ConnectError(REFUSED)
        if self._pending >= MAX_PENDING or not self.guesses.take(address):
            logger.warning("a login to the admin UI from %s was refused: %s", address, TOO_MANY)
            raise ConnectError(TOO_MANY)
        if not await self._is_valid(username, password):
            logger.warning("a login to the admin UI from %s was refused: %s", address, REFUSED)
            raise ConnectError(REFUSED)
        self.guesses.give_back(address)
        logger.info("admin %s logged in from %s", socket.id, address)
        session_id, digest = self.sessions.create()
        socket.emit("session", session_id)
        await self._namespace.server_side_emit(SESSION_EVENT, digest)

    async def _is_valid(self, username: str, password: str) -> bool:
        self._pending += 1
        try:
            result = self._check(username, password)
            if inspect.isawaitable(result):
                result = await result
        finally:
            self._pending -= 1
        if not isinstance(result, bool):
            raise TypeError(f"the function `auth` must return True or False, got {result!r:.100}")
        return result


def _read_text(auth: dict[str, Any], name: str) -> str:
    """Return a text of the client; an empty one if it is missing or too long."""
    value = auth.get(name)
    return value if isinstance(value, str) and len(value) <= MAX_LENGTH else ""

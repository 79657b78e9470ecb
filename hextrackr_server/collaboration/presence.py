"""Tracks the editors of resources, so that users notice concurrent edits.

A user edits a resource as long as one of their sockets does: other users receive an event for the
first and for the last of these sockets. Editors are removed after an idle time, and after a grace
period if their connection is lost. Callers check permissions and manage rooms.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hextrackr_server.clock import Clock, Timer
from hextrackr_server.errors import ErrorCode, ServiceError, invalid
from hextrackr_server.rooms import Announcer, resource_room
from hextrackr_server.security.principal import Principal

RESOURCE_TYPES = frozenset({"ticket", "vulnerability", "device", "import", "template"})
MAXIMUM_ID_LENGTH = 128
MAXIMUM_PER_SOCKET = 20
MAXIMUM_EDITORS = 10_000
SWEEP_SECONDS = 30.0

Key = tuple[str, str]


class _Editor:
    """One socket that edits one resource."""

    __slots__ = ("resource_id", "seen_at", "start_time", "user_id", "username")

    def __init__(self, principal: Principal, resource_id: str | int, clock: Clock) -> None:
        self.user_id = principal.user_id
        self.username = principal.username
        # Kept as a number or a string, because clients compare it with the value they sent.
        self.resource_id = resource_id
        self.start_time = clock.epoch_ms()
        self.seen_at = clock.monotonic()


class EditingSessions:
    """The editors of all resources; used on the event loop's thread."""

    def __init__(
        self,
        announcer: Announcer,
        clock: Clock,
        *,
        idle_seconds: float,
        grace_seconds: float,
        watchers_only: bool = False,
    ) -> None:
        """Create a tracker without editors.

        With `watchers_only`, events go to the sockets that watch the resource, which includes its
        editors; otherwise to all logged-in sockets.
        """
        self._announcer = announcer
        self._clock = clock
        self._idle = idle_seconds
        self._grace = grace_seconds
        self._watchers_only = watchers_only
        self._editors: dict[Key, dict[str, _Editor]] = {}
        self._keys_of: dict[str, set[Key]] = {}
        self._leaving: dict[str, Timer] = {}
        self._sweep: Timer | None = None

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._keys_of.values())

    def start(
        self, socket_id: str, principal: Principal, resource_type: Any, resource_id: Any
    ) -> list[dict[str, Any]]:
        """Add or renew a socket as an editor; return all editors of the resource.

        Raises ServiceError CONFLICT if the socket or the server has too many editors.
        """
        key = _key(resource_type, resource_id)
        editors = self._editors.get(key, {})
        if socket_id in editors:
            editors[socket_id].seen_at = self._clock.monotonic()
            return _users(self._editors[key], socket_id)
        keys = self._keys_of.get(socket_id, set())
        if len(keys) >= MAXIMUM_PER_SOCKET or len(self) >= MAXIMUM_EDITORS:
            text = (
                f"A socket may edit {MAXIMUM_PER_SOCKET} resources, all sockets together "
                f"{MAXIMUM_EDITORS}: stop editing one first"
            )
            raise ServiceError(ErrorCode.CONFLICT, text)
        editor = _Editor(principal, resource_id, self._clock)
        is_first = not _edits(editors, principal.user_id)
        self._editors.setdefault(key, editors)[socket_id] = editor
        self._keys_of.setdefault(socket_id, keys).add(key)
        self._schedule_sweep()
        if is_first:
            self._emit("user-started-editing", key, editor, socket_id)
        return _users(self._editors[key], socket_id)

    def current(self, socket_id: str, resource_type: Any, resource_id: Any) -> list[dict[str, Any]]:
        """Return the editors of a resource, for a socket that watches the resource."""
        return _users(self._editors.get(_key(resource_type, resource_id), {}), socket_id)

    def is_editing(self, socket_id: str, resource_type: Any, resource_id: Any) -> bool:
        """Return whether a socket edits a resource."""
        return _key(resource_type, resource_id) in self._keys_of.get(socket_id, ())

    def stop(self, socket_id: str, resource_type: Any, resource_id: Any) -> None:
        """Remove a socket from the editors of a resource, if it is one of them."""
        self._remove(socket_id, _key(resource_type, resource_id))

    def lost(self, socket_id: str, *, may_return: bool) -> None:
        """End all edits of a closed socket, after the grace period if it may return."""
        if socket_id not in self._keys_of:
            return
        if may_return and self._grace > 0:
            timer = self._clock.call_later(self._grace, lambda: self._leave(socket_id))
            self._leaving[socket_id] = timer
        else:
            self._leave(socket_id)

    def returned(self, socket_id: str) -> None:
        """Keep the edits of a socket that returned within the grace period."""
        timer = self._leaving.pop(socket_id, None)
        if timer is not None:
            timer.cancel()

    def visible(self, rooms: Collection[str]) -> list[dict[str, Any]]:
        """Return the editors that a socket in these rooms may see, without socket IDs.

        The list has one entry per user and resource: `{resourceType, resourceId, userId, username,
        startTime}`.
        """
        found: list[dict[str, Any]] = []
        for key, editors in self._editors.items():
            if self._watchers_only and resource_room(*key) not in rooms:
                continue
            resource_id = next(iter(editors.values())).resource_id
            resource = {"resourceType": key[0], "resourceId": resource_id}
            found += [resource | user for user in _users(editors)]
        return found

    def close(self) -> None:
        """Remove all editors and cancel all timers."""
        for timer in (*self._leaving.values(), *([self._sweep] if self._sweep else [])):
            timer.cancel()
        self._leaving.clear()
        self._editors.clear()
        self._keys_of.clear()
        self._sweep = None

    def _leave(self, socket_id: str) -> None:
        self._leaving.pop(socket_id, None)
        for key in list(self._keys_of.get(socket_id, ())):
            self._remove(socket_id, key)

    def _remove(self, socket_id: str, key: Key) -> None:
        editors = self._editors.get(key, {})
        editor = editors.pop(socket_id, None)
        if editor is None:
            return
        keys = self._keys_of[socket_id]
        keys.discard(key)
        if not keys:
            del self._keys_of[socket_id]
        if not editors:
            del self._editors[key]
        if not _edits(editors, editor.user_id):
            self._emit("user-stopped-editing", key, editor, socket_id)

    def _emit(self, event: str, key: Key, editor: _Editor, socket_id: str) -> None:
        payload = {
            "resourceType": key[0],
            "resourceId": editor.resource_id,
            "userId": editor.user_id,
            "user": {"id": editor.user_id, "username": editor.username},
            "timestamp": self._clock.epoch_ms(),
        }
        room = resource_room(*key) if self._watchers_only else None
        self._announcer.to_others(socket_id, event, payload, room)

    def _schedule_sweep(self) -> None:
        if self._sweep is None:
            delay = min(SWEEP_SECONDS, self._idle)
            self._sweep = self._clock.call_later(delay, self._remove_idle)

    def _remove_idle(self) -> None:
        # A forgotten tab must not appear as an editor forever.
        self._sweep = None
        limit = self._clock.monotonic() - self._idle
        idle = [
            (socket_id, key)
            for key, editors in self._editors.items()
            for socket_id, editor in editors.items()
            if editor.seen_at <= limit
        ]
        for socket_id, key in idle:
            self._remove(socket_id, key)
        if self._editors:
            self._schedule_sweep()


def watch_room(resource_type: Any, resource_id: Any) -> str:
    """Return the room of a resource's watchers; raise ServiceError if the resource is invalid."""
    return resource_room(*_key(resource_type, resource_id))


def _users(editors: dict[str, _Editor], own_socket: str | None = None) -> list[dict[str, Any]]:
    """Return each user once in order of arrival, with the socket ID of `own_socket` only."""
    found: dict[str, dict[str, Any]] = {}
    for socket_id, editor in editors.items():
        entry = found.setdefault(
            editor.user_id,
            {
                "userId": editor.user_id,
                "username": editor.username,
                "startTime": editor.start_time,
            },
        )
        if socket_id == own_socket:
            entry["socketId"] = socket_id
    return list(found.values())


def _edits(editors: dict[str, _Editor], user_id: str) -> bool:
    return any(each.user_id == user_id for each in editors.values())


def _key(resource_type: Any, resource_id: Any) -> Key:
    """Return the validated key of a resource; the ID may contain any printable character."""
    problems = []
    if not isinstance(resource_type, str) or resource_type not in RESOURCE_TYPES:
        known = ", ".join(sorted(RESOURCE_TYPES))
        problems.append(("resourceType", f"must be one of {known}"))
    is_number = isinstance(resource_id, int) and not isinstance(resource_id, bool)
    is_text = isinstance(resource_id, str) and resource_id.isprintable()
    if not (is_number or is_text) or not 0 < len(str(resource_id)) <= MAXIMUM_ID_LENGTH:
        problems.append(
            ("resourceId", f"must be a number or a string of 1 to {MAXIMUM_ID_LENGTH} characters")
        )
    if problems:
        raise invalid("Invalid resource", problems)
    return resource_type, str(resource_id)

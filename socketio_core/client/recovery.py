"""Connection state recovery of one socket: its private ID and the offset of its last event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final


@final
class RecoveryState:
    """The data of the CONNECT packet with which a socket requests its previous session."""

    __slots__ = ("_offset", "_pid", "is_recovered")

    def __init__(self) -> None:
        self._pid: str | None = None
        self._offset: str | None = None
        self.is_recovered = False
        """Whether the server has restored the previous session at the last connection."""

    def connect_data(self, auth: Any) -> dict[str, Any] | None:
        """Return the data of a CONNECT packet. Raises TypeError for an invalid result of `auth`."""
        data: dict[str, Any] = {}
        if self._pid is not None:
            data["pid"] = self._pid
            if self._offset is not None:
                data["offset"] = self._offset
        if auth is not None:
            if not isinstance(auth, Mapping):
                raise TypeError(f"auth must return a dict or None, got {auth!r}")
            data.update(auth)
        return data or None

    def accepted(self, pid: Any) -> None:
        """Keep the private ID of the session, None without recovery."""
        self.is_recovered = pid is not None and pid == self._pid
        if not self.is_recovered:
            self._offset = None
        self._pid = pid if isinstance(pid, str) else None

    def event_received(self, data: list[Any], ack_id: int | None, strip: bool) -> None:
        """Keep the offset of an event, `[name, *args]`; with `strip`, remove it from the event.

        The official client takes every string at the end of an event without an ack for an offset.
        """
        if self._pid is not None and ack_id is None and len(data) > 1 and isinstance(data[-1], str):
            self._offset = data[-1]
            if strip:
                del data[-1]

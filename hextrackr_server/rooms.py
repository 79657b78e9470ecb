"""How services reach clients: who is meant, never which sockets they are.

Knows: the seam.  Does not know: sockets, namespaces.
"""

from __future__ import annotations

from typing import Any, Protocol


class Announcer(Protocol):
    """Brings events to everybody who is logged in; must not raise because of one receiver."""

    def to_user(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        """To all sockets of a user."""

    def to_all(self, event: str, payload: dict[str, Any]) -> None:
        """To everybody in the namespace `/`."""

    def to_others(
        self, socket_id: str, event: str, payload: dict[str, Any], room: str | None = None
    ) -> None:
        """To everybody in the namespace `/`, or in a room of it, but one socket."""

    def everywhere(self, event: str, payload: dict[str, Any]) -> None:
        """To everybody in every namespace."""


class Asker(Protocol):
    """Asks users, and waits for what their clients answer."""

    async def ask_user(
        self, user_id: str, event: str, payload: dict[str, Any], seconds: float
    ) -> bool:
        """Send to all sockets of a user; whether one of them has acked in that time.

        It does not take longer than that, and no time where he has no socket.
        """

"""Validates and sends notifications: to one user, to all users, or to all namespaces.

The module owns `system-notification`, `user-notification` and `system-announcement` and their
limits. Callers check permissions; `delivery` repeats notifications until they are acknowledged.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from hextrackr_server.clock import Clock
from hextrackr_server.collaboration.delivery import EVENT, NotificationDelivery
from hextrackr_server.errors import invalid
from hextrackr_server.rooms import Announcer

PRIORITIES = ("low", "normal", "high", "critical")
MAXIMUM_MESSAGE = 2000
_TYPE = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# Control characters, which could manipulate a terminal, and surrogates, which UTF-8 excludes.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Notifications:
    """The sender of notifications, each with an ID.

    With a delivery, user notifications are repeated until they are acknowledged; without one,
    they are sent once.
    """

    def __init__(
        self, announcer: Announcer, clock: Clock, delivery: NotificationDelivery | None = None
    ) -> None:
        self._announcer = announcer
        self._clock = clock
        self._delivery = delivery

    def system(self, kind: Any, message: Any, maintenance_id: str | None = None) -> str:
        """Send a `system-notification` to all users and return its ID.

        `maintenance_id` is the maintenance window that the notification is about.
        """
        payload = self._payload({"type": check_type(kind), "message": check_message(message)})
        if maintenance_id is not None:
            payload["maintenanceId"] = maintenance_id
        self._announcer.to_all("system-notification", payload)
        return str(payload["id"])

    def user(self, user_id: str, kind: Any, message: Any, data: Any = None) -> str:
        """Send a `user-notification` to one user and return its ID."""
        payload = self._payload({"type": check_type(kind), "message": check_message(message)})
        if data is not None:
            payload["data"] = data
        if self._delivery is None:
            self._announcer.to_user(user_id, EVENT, payload)
        else:
            self._delivery.send(user_id, payload)
        return str(payload["id"])

    def announce(self, message: Any, priority: Any, sender: str) -> str:
        """Send a `system-announcement` to all namespaces and return its ID.

        A priority of None means normal.
        """
        if priority is None:
            priority = "normal"
        if priority not in PRIORITIES:
            text = f"must be one of {', '.join(PRIORITIES)}"
            raise invalid("Invalid announcement", [("priority", text)])
        payload = self._payload({"message": check_message(message), "priority": priority})
        payload["from"] = sender
        self._announcer.everywhere("system-announcement", payload)
        return str(payload["id"])

    def _payload(self, content: dict[str, Any]) -> dict[str, Any]:
        return {"id": secrets.token_hex(8), **content, "timestamp": self._clock.epoch_ms()}


def check_message(message: Any, path: str = "message") -> str:
    """Return a message of 1 to 2000 characters without its control characters.

    Raises ServiceError VALIDATION_ERROR for any other value.
    """
    if not isinstance(message, str) or not 0 < len(message.strip()) <= MAXIMUM_MESSAGE:
        raise invalid(
            "Invalid message", [(path, f"must be a string of 1 to {MAXIMUM_MESSAGE} characters")]
        )
    return _CONTROL.sub("", message)


def check_type(kind: Any) -> str:
    """Return a valid type of notification; raise ServiceError VALIDATION_ERROR otherwise."""
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise invalid("Invalid type", [("type", "must be 1 to 64 letters, digits or . _ : -")])
    return kind

"""The events of this server for the admins of all servers; `watcher` and `statistics` send them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, final

from socketio_core.namespace import Namespace

logger = logging.getLogger("socketio_core")


@final
class Feed:
    """Sends events to the admin namespace, which is an ordinary broadcast in a cluster.

    `now` returns the seconds since 1970.
    """

    def __init__(self, namespace: Namespace, is_clustered: bool, now: Callable[[], float]) -> None:
        self.namespace = namespace
        self.now = now
        self._is_clustered = is_clustered
        self._has_failed = False

    @property
    def is_watched(self) -> bool:
        """Whether an admin may receive events: with other servers, that is not known."""
        return self._is_clustered or bool(self.namespace.sockets)

    def send(self, event: str, *args: Any) -> None:
        """Send an event to all admins; a value that cannot be sent is logged once."""
        if not self.is_watched:
            return
        try:
            self.namespace.emit(event, *args)
        except (TypeError, ValueError):
            if not self._has_failed:
                self._has_failed = True
                logger.warning("an event %r of the admin UI cannot be sent", event, exc_info=True)

    def send_dated(self, event: str, *args: Any) -> None:
        """Send an event with the time as its last argument, in milliseconds like a Date."""
        if self.is_watched:
            milliseconds = int(self.now() * 1000)
            date = datetime.fromtimestamp(milliseconds // 1000, UTC)
            self.send(event, *args, date.replace(microsecond=milliseconds % 1000 * 1000))

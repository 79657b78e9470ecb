"""The order in which the imports of several users run.

A user has one running import at a time. If imports of several users wait, the user whose last
import began the longest time ago is next. The imports of a user run in their order.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Waiting items by user, which several threads take."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # Users with waiting items, and those that run an item, the next user first.
        self._waiting: OrderedDict[str, deque[Item]] = OrderedDict()
        self._running: set[str] = set()
        self._is_closed = False

    def add(self, user: str, item: Item) -> None:
        """Put an item behind the other items of its user."""
        with self._changed:
            self._waiting.setdefault(user, deque()).append(item)
            self._changed.notify()

    def take(self) -> tuple[str, Item] | None:
        """Wait for an item and return it with its user; None if the turns are closed and empty.

        The user gets no other item until `done`.
        """
        with self._changed:
            while True:
                for user, items in self._waiting.items():
                    if user not in self._running and items:
                        self._running.add(user)
                        self._waiting.move_to_end(user)
                        return user, items.popleft()
                if self._is_closed and not any(self._waiting.values()):
                    return None
                self._changed.wait()

    def done(self, user: str) -> None:
        """Let the next item of a user run."""
        with self._changed:
            self._running.discard(user)
            if not self._waiting[user]:
                del self._waiting[user]
            self._changed.notify_all()

    def close(self) -> None:
        """End the wait of all threads as soon as no item waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

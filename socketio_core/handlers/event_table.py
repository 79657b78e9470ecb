"""The table of event handlers behind `on`, `once` and `off`.

`handler` describes how a handler is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from socketio_core.handlers.handler import Handler


def event_name(name: Any) -> str:
    """Return the key of an event name: JavaScript converts numbers to strings."""
    if isinstance(name, float) and name.is_integer():
        return str(int(name))
    return str(name)


class EventTable:
    """Handlers by event, in the order in which they were registered."""

    __slots__ = ("handlers", "once")

    def __init__(self) -> None:
        self.handlers: dict[str, tuple[Handler, ...]] = {}
        self.once: set[Handler] = set()

    def add(self, event: str, handler: Handler, *, once: bool = False, first: bool = False) -> None:
        """Add a handler after the others, or before them with `first`."""
        others = self.handlers.get(event, ())
        self.handlers[event] = (handler, *others) if first else (*others, handler)
        if once:
            self.once.add(handler)

    def remove(self, event: str | None, function: Callable[..., Any] | None) -> None:
        """Remove the handlers of a function, of an event, or all."""
        for name in [event] if event is not None else list(self.handlers):
            # Each access to a bound method returns another, equal object.
            self._keep(name, lambda each: function is not None and each.function != function)

    def find(self, event: str) -> tuple[Handler, ...]:
        """Return the handlers of an event, and remove the handlers registered with `once`."""
        found = self.handlers.get(event, ())
        if self.once and not self.once.isdisjoint(found):
            self._keep(event, lambda each: each not in self.once)
        return found

    def _keep(self, event: str, wanted: Callable[[Handler], bool]) -> None:
        before = self.handlers.get(event, ())
        kept = tuple(filter(wanted, before))
        self.once.difference_update(set(before) - set(kept))
        if kept:
            self.handlers[event] = kept
        else:
            self.handlers.pop(event, None)

    def update(self, other: EventTable) -> None:
        """Add the handlers that another table has now."""
        self.handlers.update(other.handlers)
        self.once |= other.once

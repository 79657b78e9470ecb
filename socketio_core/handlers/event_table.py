"""Which handlers an event has: the tables behind `on`, `once` and `off`.

Knows: names, order, handlers that serve once.  Does not know: how a handler is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from socketio_core.handlers.handler import Handler


def event_name(name: Any) -> str:
    """Return the name under which handlers are kept: JavaScript makes strings of numbers."""
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
        """Add a handler: behind the others, or `first`."""
        others = self.handlers.get(event, ())
        self.handlers[event] = (handler, *others) if first else (*others, handler)
        if once:
            self.once.add(handler)

    def remove(self, event: str | None, function: Callable[..., Any] | None) -> None:
        """Remove a function's handlers, or an event's, or all."""
        for name in [event] if event is not None else list(self.handlers):
            # A bound method is another object each time, but an equal one.
            self._keep(name, lambda each: function is not None and each.function != function)

    def find(self, event: str) -> tuple[Handler, ...]:
        """Return the handlers of an event; those that serve once are gone afterwards."""
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
        """Take over the handlers of another table, as they are now."""
        self.handlers.update(other.handlers)
        self.once |= other.once

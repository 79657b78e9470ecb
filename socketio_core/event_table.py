"""Which handlers an event has: the tables behind `on`, `once` and `off`.

Knows: names, order, handlers that serve once.  Does not know: how a handler is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .handler import Handler

LIFECYCLE: Final = ("connection", "disconnecting", "disconnect")
"""Events that a server tells itself; a client that sends one of these names means its own."""


def event_name(name: Any) -> str:
    """Return the name under which handlers are kept: JavaScript makes strings of numbers."""
    if isinstance(name, float) and name.is_integer():
        return str(int(name))
    return str(name)


class EventTable:
    """Handlers by event, in the order in which they were registered."""

    __slots__ = ("_once", "handlers")

    def __init__(self) -> None:
        self.handlers: dict[str, tuple[Handler, ...]] = {}
        self._once: set[Handler] | None = None

    def add(self, event: str, handler: Handler, *, once: bool = False, first: bool = False) -> None:
        """Add a handler: behind the others, or `first`."""
        others = self.handlers.get(event, ())
        self.handlers[event] = (handler, *others) if first else (*others, handler)
        if once:
            self._once = (self._once or set()) | {handler}

    def remove(self, event: str | None, function: Callable[..., Any] | None) -> None:
        """Remove a function's handlers, or an event's, or all."""
        for name in [event] if event is not None else list(self.handlers):
            kept = tuple(
                handler
                for handler in self.handlers.get(name, ())
                if function is not None and handler.function is not function
            )
            if kept:
                self.handlers[name] = kept
            else:
                self.handlers.pop(name, None)

    def find(self, event: str) -> tuple[Handler, ...]:
        """Return the handlers of an event; those that serve once are gone afterwards."""
        found = self.handlers.get(event, ())
        if found and self._once:
            for handler in found:
                if handler in self._once:
                    self._once.discard(handler)
                    self.remove(event, handler.function)
        return found

    @property
    def has_once(self) -> bool:
        """Whether `find` has to be asked, because a handler may be due to go."""
        return bool(self._once)

"""The adapter of servers that do not choose one: memory, or the workers of a supervisor."""

from __future__ import annotations

from collections.abc import Callable

from socketio_core.adapters.interface import AdapterFactory

_make_factory: list[Callable[[], AdapterFactory]] = []


def use_by_default(make_factory: Callable[[], AdapterFactory] | None) -> None:
    """Set the adapter of all servers that are created from now on; None restores memory.

    A worker process calls it before it imports the application.
    """
    _make_factory[:] = [] if make_factory is None else [make_factory]


def default_factory() -> AdapterFactory | None:
    """Return the factory of a new server without the option `adapter`; None means memory."""
    return _make_factory[0]() if _make_factory else None

"""Bounded caches of mapped cells: the results of mapping by the cells that they are read from.

Exports repeat hosts, plugins and values in row after row. A row with a warning is not cached, so
that each such row is warned of.
"""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

ENTRIES: Final = 16384
# Characters of the cells that one cache holds, and that a cached entry may have.
CHARACTERS: Final = 8 << 20
CHARACTERS_OF_ENTRY: Final = 64 << 10

Value = TypeVar("Value")


class RowCache(dict[Any, Value], Generic[Value]):
    """A cache that empties itself when it is full; keys are a cell or a tuple of cells."""

    __slots__ = ("_characters", "_entries")

    def __init__(self, entries: int = ENTRIES) -> None:
        """Create a cache of at most that many results."""
        super().__init__()
        self._characters = 0
        self._entries = entries

    def keep(self, key: Any, value: Value) -> None:
        """Store a value, unless its cells are very long."""
        size = len(key) if isinstance(key, str) else sum(map(len, key))
        if size > CHARACTERS_OF_ENTRY:
            return
        if len(self) >= self._entries or self._characters + size > CHARACTERS:
            self.clear()
            self._characters = 0
        self[key] = value
        self._characters += size

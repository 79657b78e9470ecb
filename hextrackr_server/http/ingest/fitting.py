"""Shortening of reports that end a session: the hub never rejects them because of their size.

The functions return new values and do not change their arguments.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

#: Maximum number of items of each list in a summary that is too large; the first that fits applies.
_LIST_ITEMS = (500, 100, 10, 0)
_TEXT_LENGTH = 1000
# Without the C encoder, which encodes a value in one call.
_encode_in_chunks = json.JSONEncoder().iterencode


def size_of(value: Any) -> int:
    """Return the number of characters of a value as JSON."""
    return len(json.dumps(value))


def _fits(value: Any, most: int) -> bool:
    """Return whether a value has at most `most` characters as JSON, without encoding the rest."""
    size = 0
    for chunk in _encode_in_chunks(value):
        size += len(chunk)
        if size > most:
            return False
    return True


def fit_summary(value: Any, most: int) -> Any:
    """Return a summary of at most `most` characters, or None if shorter lists do not suffice.

    An object whose lists were cut contains `truncated: true` and `omitted`: the number of missing
    items of each list.
    """
    if _fits(value, most):
        return value
    for items in _LIST_ITEMS:
        try:
            shortened = _Shortened(items, most).copy(value)
        except _TooManyValuesError:
            continue
        if _fits(shortened, most):
            return shortened
    return None


def fit_metadata(metadata: Mapping[str, Any], kept: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Return metadata without its largest values, so that it fits next to `kept`.

    `truncated` contains the names of the omitted values.
    """
    fitted, omitted = dict(metadata), []
    # The size of an object is the sum of the sizes of objects with one property each.
    sizes = {name: size_of({name: value}) for name, value in metadata.items()}
    former = {name: size_of({name: value}) for name, value in kept.items()}
    total = sum((former | sizes).values())
    for name in sorted(metadata, key=lambda each: sizes[each] - size_of(each), reverse=True):
        if total <= most:
            break
        del fitted[name]
        omitted.append(name[:64])
        total -= sizes[name] - former.get(name, 0)
    return fitted | ({"truncated": omitted[:64]} if omitted else {})


class _TooManyValuesError(Exception):
    """A value that cannot fit: its copy has too many values."""


class _Shortened:
    """A copy of a value with lists of at most `items` items, and of at most `most` characters."""

    def __init__(self, items: int, most: int) -> None:
        self._items = items
        # A value takes two characters at least: those of a list, or a separator.
        self._left = most // 2 + 1

    def _take(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise _TooManyValuesError

    def copy(self, value: Any) -> Any:
        """Return the copy; raise _TooManyValuesError."""
        items = self._items
        if isinstance(value, str):
            return value[:_TEXT_LENGTH]
        if isinstance(value, list):
            self._take(min(len(value), items))
            return [self.copy(each) for each in value[:items]]
        if not isinstance(value, dict):
            return value
        # A name takes six characters at least, with its quotes and separators.
        self._take(3 * len(value))
        shortened = {name: self.copy(each) for name, each in value.items()}
        omitted = {
            name: len(each) - items
            for name, each in value.items()
            if isinstance(each, list) and len(each) > items
        }
        return shortened | ({"truncated": True, "omitted": omitted} if omitted else {})

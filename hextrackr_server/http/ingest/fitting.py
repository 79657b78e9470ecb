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


def size_of(value: Any) -> int:
    """Return the number of characters of a value as JSON."""
    return len(json.dumps(value))


def fit_summary(value: Any, most: int) -> Any:
    """Return a summary of at most `most` characters, or None if shorter lists do not suffice.

    An object whose lists were cut contains `truncated: true` and `omitted`: the number of missing
    items of each list.
    """
    if size_of(value) <= most:
        return value
    for items in _LIST_ITEMS:
        shortened = _with_short_lists(value, items)
        if size_of(shortened) <= most:
            return shortened
    return None


def fit_metadata(metadata: Mapping[str, Any], kept: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Return metadata without its largest values, so that it fits next to `kept`.

    `truncated` contains the names of the omitted values.
    """
    fitted, omitted = dict(metadata), []
    for name in sorted(metadata, key=lambda each: size_of(metadata[each]), reverse=True):
        if size_of({**kept, **fitted}) <= most:
            break
        del fitted[name]
        omitted.append(name[:64])
    return fitted | ({"truncated": omitted[:64]} if omitted else {})


def _with_short_lists(value: Any, items: int) -> Any:
    if isinstance(value, str):
        return value[:_TEXT_LENGTH]
    if isinstance(value, list):
        return [_with_short_lists(each, items) for each in value[:items]]
    if not isinstance(value, dict):
        return value
    omitted = {
        name: len(each) - items
        for name, each in value.items()
        if isinstance(each, list) and len(each) > items
    }
    shortened = {name: _with_short_lists(each, items) for name, each in value.items()}
    return shortened | ({"truncated": True, "omitted": omitted} if omitted else {})

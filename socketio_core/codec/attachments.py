"""Binary inside events, and values that a codec has no form for.

Knows: placeholders and attachments, which Python values have a plain form and which.
Does not know: packets, namespaces, the bytes that a codec makes of a plain tree.
What is given to be sent is never changed; what was received is the decoder's own, and is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from math import isfinite
from typing import Any

import msgspec
import orjson

from socketio_core.errors import PacketError

MAX_DEPTH = 254  # levels of lists and objects in what is sent: orjson's own limit

BINARY_TYPES = (bytes, bytearray, memoryview)
# What msgspec is to leave alone when it takes an object apart: our converters see to it.
_CONVERTED_LATER = (*BINARY_TYPES, datetime)
_NON_STR_KEYS = orjson.OPT_NON_STR_KEYS


class Attachments:
    """Takes the binary values out of one event: call it with each, in the order of the text."""

    __slots__ = ("_limit", "found")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.found: list[bytes] = []

    def convert(self, value: Any) -> Any:
        """Return the placeholder of a binary value, or else the plain form."""
        if not isinstance(value, BINARY_TYPES):
            return convert_value(value)
        number = len(self.found)
        # Official decoders refuse more since CVE-2026-33151, so it must fail where it was sent.
        if number == self._limit:
            raise ValueError(f"an event carries at most {self._limit} attachments")
        self.found.append(bytes(value))
        return {"_placeholder": True, "num": number}


def reconstruct(tree: Any, attachments: list[bytes]) -> None:
    """Put the attachments where their placeholders stand, in place.

    An attachment may stand in several places, or in none. Raises `PacketError`.
    """
    # A list of what is still to be seen, not recursion: the peer chooses how deep it nests.
    pending = [tree]
    while pending:
        node = pending.pop()
        items = enumerate(node) if isinstance(node, list) else node.items()
        for key, value in items:
            if isinstance(value, dict):
                if value.get("_placeholder") is True:
                    node[key] = _resolve(value.get("num"), attachments)
                else:
                    pending.append(value)
            elif isinstance(value, list):
                pending.append(value)


def _resolve(number: Any, attachments: list[bytes]) -> bytes:
    # CVE-2022-2421: a number that is no index must not reach the lookup; True is no number here.
    if type(number) is not int or not 0 <= number < len(attachments):
        raise PacketError("illegal_attachments", "illegal attachments")
    return attachments[number]


def convert_value(value: Any) -> Any:
    """Return the plain form of a value that JSON has none for; binary is refused.

    Times become what `Date.prototype.toJSON` gives (a naive one is taken as UTC), tuples and sets
    lists; dataclasses, `msgspec.Struct`, enums, UUIDs and decimals what msgspec makes of them.
    """
    if isinstance(value, datetime):
        instant = to_utc(value).replace(tzinfo=None)
        return instant.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(value)
    if not isinstance(value, BINARY_TYPES):
        try:
            return msgspec.to_builtins(value, builtin_types=_CONVERTED_LATER, str_keys=True)
        except RecursionError:
            raise _too_deep() from None
        except TypeError:
            pass  # its text speaks of msgspec's encoding, ours of sending
    raise TypeError(f"a value of type {type(value).__name__} cannot be sent")


def to_utc(moment: datetime) -> datetime:
    """Return the moment in UTC; a naive one is taken as UTC already."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"in UTC, {moment} lies beyond the calendar") from None


def to_plain(
    value: Any,
    convert: Callable[[Any], Any],
    leaves: frozenset[type] = frozenset(),
    depth: int = MAX_DEPTH,
) -> Any:
    """Return a copy made of dicts with string keys, lists, strings, numbers, booleans and None.

    Anything else goes through `convert` until it is plain, or of a type in `leaves`. Says clearly
    what cannot be sent: too deep or circular, beyond 64 bits, of a type without a plain form.
    """
    kind = type(value)
    if value is None or kind is str or kind is bool or kind in leaves:
        return value
    if isinstance(value, int | float | str):
        return _plain_scalar(value)
    if depth == 0:
        raise _too_deep()
    # Loops, since a comprehension would cost a second frame of the stack for each level.
    if isinstance(value, dict):
        copy: dict[str, Any] = {}
        for key, item in value.items():
            copy[key if type(key) is str else _plain_key(key)] = to_plain(
                item, convert, leaves, depth - 1
            )
        return copy
    if isinstance(value, list):
        items = []
        for item in value:
            items.append(to_plain(item, convert, leaves, depth - 1))  # noqa: PERF401 (as above)
        return items
    # The value itself is no level: what is made of it takes its place.
    return to_plain(convert(value), convert, leaves, depth)


def _plain_scalar(value: int | float | str) -> int | float | str | None:
    if isinstance(value, str):
        return str.__str__(value)
    if not isinstance(value, int):
        # JSON.stringify: "NaN and Infinity regardless of sign are represented as null".
        return float(value) if isfinite(value) else None
    if -(2**63) <= value < 2**64:
        return int(value)
    raise ValueError("an integer beyond 64 bits cannot be sent; send it as a string")


def _plain_key(key: Any) -> str:
    """Return the string that JavaScript would make of a key that is none."""
    try:
        copy: dict[str, None] = orjson.loads(orjson.dumps({key: None}, option=_NON_STR_KEYS))
    except TypeError:
        raise TypeError(f"a key of type {type(key).__name__} cannot be sent") from None
    return next(iter(copy))


def _too_deep() -> ValueError:
    return ValueError(f"the data is circular, or nested deeper than {MAX_DEPTH} levels")

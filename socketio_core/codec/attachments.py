"""Conversion of Python values to the plain values of a codec, and binary attachments.

The codecs write plain values. Values passed to `emit` are never changed; received values belong
to the decoder and are changed in place. docs/values.md has the table of all conversions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from enum import Enum
from inspect import isawaitable, isroutine
from math import isfinite, isnan
from typing import Any, Final

import msgspec
import orjson

from socketio_core.codec.models import dump_model
from socketio_core.errors import PacketError

MAX_DEPTH = 254  # nesting of lists and objects in sent data: the limit of orjson

BINARY_TYPES = (bytes, bytearray, memoryview)
# Types that msgspec leaves as they are in the fields of an object, for our converters.
_CONVERTED_LATER = (*BINARY_TYPES, datetime)
_NON_STR_KEYS = orjson.OPT_NON_STR_KEYS
# Types of which each value is plain.
_ATOMS: Final = frozenset({str, bool, type(None)})
_SCALARS: Final = (int, float, str)
_KEY_TYPES: Final = frozenset({bool, type(None)})
_KEYS: Final = {None: "null", True: "true", False: "false"}
_EXACT: Final = 2**53  # JavaScript writes integers below with all their digits
# Keys that orjson may have written differently from JavaScript: 1.0, 1e16, NaN
FLOAT_KEY: Final = re.compile(rb'"(?:-?[0-9.]+(?:\.0|e[-+]?[0-9]+)|null)":')


class Attachments:
    """The binary values of one event; `convert` collects them in the order of the text."""

    __slots__ = ("_limit", "found")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.found: list[bytes] = []

    def convert(self, value: Any) -> Any:
        """Return the placeholder of a binary value, or the plain form of another value."""
        if not isinstance(value, BINARY_TYPES):
            return convert_value(value)
        number = len(self.found)
        # Official decoders refuse more since CVE-2026-33151, so the sender must get the error.
        if number == self._limit:
            raise ValueError(
                f"an event must not carry more than {self._limit} attachments: send several "
                "events, or raise the limit with JsonParser(max_attachments=...)"
            )
        self.found.append(bytes(value))
        return {"_placeholder": True, "num": number}


def reconstruct(tree: Any, attachments: list[bytes]) -> None:
    """Replace the placeholders in a received tree by their attachments, in place.

    An attachment may have several placeholders or none. Raises `PacketError`.
    """
    # A list of pending nodes instead of recursion: the peer chooses the depth. Empty nodes are left
    # out, and the order of the checks is that of their frequency: the peer chooses the number too.
    pending = [tree]
    while pending:
        node = pending.pop()
        items = enumerate(node) if isinstance(node, list) else node.items()
        for key, value in items:
            kind = value.__class__
            if kind is list:
                if value:
                    pending.append(value)
            elif kind is dict and value:
                if value.get("_placeholder") is True:
                    node[key] = _resolve(value.get("num"), attachments)
                else:
                    pending.append(value)


def _resolve(number: Any, attachments: list[bytes]) -> bytes:
    # CVE-2022-2421: only a valid index may reach the lookup; True does not count as a number.
    if type(number) is not int or not 0 <= number < len(attachments):
        raise PacketError("illegal_attachments", "illegal attachments")
    return attachments[number]


def convert_value(value: Any) -> Any:
    """Return the plain form of a value that JSON has no form for. Raises TypeError for binary.

    A datetime becomes the text of `Date.prototype.toJSON`; tuples and sets become lists. Other
    types are converted by `msgspec.to_builtins`.
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
            return msgspec.to_builtins(
                value, builtin_types=_CONVERTED_LATER, str_keys=True, enc_hook=dump_model
            )
        except RecursionError:
            raise _too_deep() from None
        except TypeError:
            pass  # our own text names the value and the remedy
    if isinstance(value, str):
        return str.__str__(value)  # msgspec refuses sub-classes of str, such as ServerEvent
    if isawaitable(value):
        remedy = "await it first"
    elif isroutine(value):
        remedy = "pass a callback as ack=..., or await emit_with_ack()"
    else:
        remedy = "convert it to a dict, a list or a string"
    raise TypeError(f"a value of type {type(value).__name__} cannot be sent: {remedy}")


def to_utc(moment: datetime) -> datetime:
    """Return a datetime in UTC. Raises ValueError for one without time zone."""
    if moment.tzinfo is None:
        raise ValueError(
            f"a datetime must have a time zone to be sent, got {moment!r}: use datetime.now(UTC), "
            "or value.astimezone() for a local time"
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{moment} has no date in UTC between the years 1 and 9999") from None


def to_plain(
    value: Any,
    convert: Callable[[Any], Any],
    leaves: frozenset[type] = frozenset(),
    depth: int = MAX_DEPTH,
) -> Any:
    """Return a copy made of dicts with string keys, lists, strings, numbers, booleans and None.

    Other values are passed to `convert` until they are plain or have a type in `leaves`. Raises
    TypeError or ValueError, with the reason, for a value that cannot be sent.
    """
    kind = type(value)
    if kind in _ATOMS or kind in leaves:
        return value
    if isinstance(value, _SCALARS):
        return _plain_scalar(value)
    if depth == 0:
        raise _too_deep()
    depth -= 1
    # Loops, since a comprehension costs a second stack frame per level before Python 3.12. The
    # peer chooses the number of values, so frequent ones do not cost a call each.
    if isinstance(value, dict):
        copy: dict[str, Any] = {}
        for key, item in value.items():
            if type(key) is not str:
                key = _KEYS[key] if type(key) in _KEY_TYPES else _plain_key(key)
            copy[key] = item if type(item) in _ATOMS else to_plain(item, convert, leaves, depth)
        return copy
    if isinstance(value, list):
        items: list[Any] = []
        for item in value:
            if type(item) in _ATOMS:
                items.append(item)
            elif item or depth == 0 or type(item) is not list:
                items.append(to_plain(item, convert, leaves, depth))
            else:
                items.append([])
        return items
    # The converted value replaces this one, on the same level.
    return to_plain(convert(value), convert, leaves, depth + 1)


def _plain_scalar(value: int | float | str) -> int | float | str | None:
    if isinstance(value, str):
        return str.__str__(value)
    if not isinstance(value, int):
        # JSON.stringify: "NaN and Infinity regardless of sign are represented as null".
        return float(value) if isfinite(value) else None
    if -(2**63) <= value < 2**64:
        return int(value)
    raise ValueError("an integer must fit into 64 bits to be sent: send it as a string")


def _plain_key(key: Any) -> str:
    """Return the string that JavaScript makes of a key that is not a string."""
    if key.__class__ is int and -_EXACT < key < _EXACT:
        return str(key)
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, float):
        return format_number(key)
    try:
        copy: dict[str, None] = orjson.loads(orjson.dumps({key: None}, option=_NON_STR_KEYS))
    except TypeError:
        raise TypeError(
            f"a key of type {type(key).__name__} cannot be sent: use a string"
        ) from None
    return next(iter(copy))


def format_number(number: float) -> str:
    """Return a float as JavaScript converts it to a string (ECMA-262, Number::toString)."""
    if not isfinite(number):
        return "NaN" if isnan(number) else "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.DIGITS times ten to the power of `point`.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"


def _too_deep() -> ValueError:
    return ValueError(
        f"data must not be circular or nested deeper than {MAX_DEPTH} levels to be sent"
    )

"""Parses the JSON that orjson refuses and `JSON.parse` accepts: texts with lone surrogates.

JavaScript strings contain a lone surrogate if a program cuts a text within an emoji. The parser is
slower than orjson, and Python code has to visit its values later, so their number is limited.
"""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any, Final, NoReturn

from socketio_core.codec.large import decode_uncollected
from socketio_core.codec.packet import refuse_payload
from socketio_core.errors import PacketError

#: Characters outside of strings that a message with a lone surrogate may have. Each value takes at
#: least two; text itself is parsed as quickly as elsewhere and has no limit.
MAX_STRUCTURE: Final = 32 * 1024
# A number beyond 64 bits or the largest float has so many digits, or such an exponent.
_LARGE_NUMBER: Final = re.compile(r"[0-9]{19}|[eE]\+?[0-9]{3}")
# A string with its quotation marks. The quantifiers are possessive: matching takes linear time.
_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def load_leniently(payload: str, max_structure: int | None = MAX_STRUCTURE) -> Any:
    """Return the value of a JSON text that orjson has refused.

    `max_structure` limits the characters outside of strings; None is for data of other servers.
    Converting each number in a callback took 132 ms for 0.9 MB of numbers, parsing and checking
    them afterwards 50 ms (Python 3.11; orjson: 5 ms). Raises PacketError.
    """
    if "\\u" not in payload:
        refuse_payload()
    if max_structure is not None and _count_strings(payload) > max_structure:
        _refuse_structure(max_structure)  # before the work per string
    structure = _STRING.sub("", payload)
    if max_structure is not None and len(structure) > max_structure:
        _refuse_structure(max_structure)
    try:
        value = decode_uncollected(_load, payload)
        if _LARGE_NUMBER.search(structure) is not None:
            holder = [value]
            _convert_large_numbers(holder)
            value = holder[0]
    except (ValueError, OverflowError, RecursionError):
        refuse_payload()
    return value


def _count_strings(payload: str) -> int:
    """Return a lower bound of half the number of strings, each of which begins with a quote."""
    return (payload.count('"') - payload.count('\\"')) // 2


def _refuse_structure(limit: int) -> NoReturn:
    raise PacketError(
        "invalid_payload",
        f"a message with a lone surrogate may have at most {limit} characters outside of strings",
    )


def _load(payload: str) -> Any:
    return json.loads(payload, parse_constant=_refuse_constant)


def _refuse_constant(literal: str) -> float:
    raise ValueError(literal)  # "NaN" and "Infinity", which the json module accepts


def _convert_large_numbers(value: list[Any]) -> None:
    """Convert integers beyond 64 bits to floats, like orjson and JavaScript; refuse infinity.

    The json module converts 1e999 to infinity as `JSON.parse` does, which cannot be sent as JSON.
    """
    pending: list[Any] = [value]
    while pending:
        container = pending.pop()
        items = container.items() if container.__class__ is dict else enumerate(container)
        for key, item in items:
            kind = item.__class__
            if kind is int:
                if not -(2**63) <= item < 2**64:
                    container[key] = float(item)
            elif kind is float:
                if not isfinite(item):
                    raise ValueError(item)
            elif kind is list or kind is dict:
                pending.append(item)

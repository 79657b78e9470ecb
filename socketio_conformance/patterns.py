"""Compares the patterns of a dialogue with received messages.

Implements the patterns of `spec-vectors/README.md` and stores captured values. The module needs
neither connections nor steps.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, NamedTuple

Captures = dict[str, str]

_PLACEHOLDER = re.compile(r"\$\{([a-z_0-9]+)\}")
_VALUE_KEYS = {"$is", "$matches", "$capture", "$not"}
_SHOWN = 200


class Pong(NamedTuple):
    """A pong frame in the queue of messages."""

    payload: bytes


Message = str | bytes | Pong


class UnknownCaptureError(ValueError):
    """The use of a value that the dialogue has not captured."""


def fill(text: str, captures: Captures) -> str:
    """Replace each `${name}` with its captured value. Raises UnknownCaptureError."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in captures:
            raise UnknownCaptureError(f"the dialogue captured no value as {name!r}")
        return captures[name]

    return _PLACEHOLDER.sub(value, text)


def expand(value: Any, captures: Captures) -> str | bytes:
    """Return the value of a text, a `$base64` or a `$repeat`."""
    if isinstance(value, str):
        return fill(value, captures)
    if "$base64" in value:
        return base64.b64decode(value["$base64"])
    unit, times = value["$repeat"]
    text: str = value.get("before", "") + unit * times + value.get("after", "")
    return text


def match(pattern: Any, actual: Message, captures: Captures) -> str | None:
    """Return a description of the mismatch, or None; store the captured values."""
    if isinstance(pattern, str) or "$base64" in pattern or "$repeat" in pattern:
        expected = expand(pattern, captures)
        return None if actual == expected else f"not {show(expected)}"
    if "any_of" in pattern:
        return _match_any(pattern["any_of"], actual, captures)
    if "pong" in pattern:
        pong = Pong(fill(pattern["pong"], captures).encode())
        return None if actual == pong else f"not {show(pong)}"
    if not isinstance(actual, str):
        return "not a text"
    if "matches" in pattern:
        expression = fill(pattern["matches"], captures)
        return None if re.search(expression, actual) else f"does not match {expression}"
    return _match_packet(pattern, actual, captures)


def _match_any(patterns: list[Any], actual: Message, captures: Captures) -> str | None:
    for each in patterns:
        tried = dict(captures)
        if match(each, actual, tried) is None:
            captures.update(tried)
            return None
    return "matches none of the alternatives"


def _match_packet(pattern: Any, actual: str, captures: Captures) -> str | None:
    prefix = fill(pattern.get("prefix", ""), captures)
    if not actual.startswith(prefix):
        return f"does not begin with {prefix!r}"
    try:
        value = json.loads(actual[len(prefix) :])
    except ValueError:
        return f"invalid JSON after {prefix!r}"
    return match_json(pattern["json"], value, captures)


def match_json(pattern: Any, actual: Any, captures: Captures, at: str = "the JSON") -> str | None:
    """Compare a JSON value like `match`; the result contains `at`, the place of the mismatch."""
    if isinstance(pattern, dict):
        if pattern and pattern.keys() <= _VALUE_KEYS:
            return _match_value(pattern, actual, captures, at)
        return _match_object(pattern, actual, captures, at)
    if isinstance(pattern, list):
        return _match_array(pattern, actual, captures, at)
    if isinstance(pattern, str):
        pattern = fill(pattern, captures)
    is_same = pattern == actual and isinstance(pattern, bool) == isinstance(actual, bool)
    return None if is_same else f"{at} is {show(actual)}, not {show(pattern)}"


def _match_object(pattern: Any, actual: Any, captures: Captures, at: str) -> str | None:
    if not isinstance(actual, dict):
        return f"{at} is not an object"
    if pattern.keys() != actual.keys():
        return f"{at} has the keys {sorted(actual)}, not {sorted(pattern)}"
    mismatches = (
        match_json(value, actual[key], captures, f"{at}.{key}") for key, value in pattern.items()
    )
    return next((each for each in mismatches if each is not None), None)


def _match_array(pattern: list[Any], actual: Any, captures: Captures, at: str) -> str | None:
    if not isinstance(actual, list) or len(actual) != len(pattern):
        return f"{at} is not an array of {len(pattern)} items: {show(actual)}"
    mismatches = (
        match_json(value, actual[index], captures, f"{at}[{index}]")
        for index, value in enumerate(pattern)
    )
    return next((each for each in mismatches if each is not None), None)


def _match_value(pattern: Any, actual: Any, captures: Captures, at: str) -> str | None:
    kind = pattern.get("$is", "any")
    if not _is_a(kind, actual):
        return f"{at} is not of type {kind}: {show(actual)}"
    if "$matches" in pattern and not (
        isinstance(actual, str) and re.search(pattern["$matches"], actual)
    ):
        return f"{at} does not match {pattern['$matches']}: {show(actual)}"
    if "$not" in pattern and actual == fill(pattern["$not"], captures):
        return f"{at} must not be {show(actual)}"
    if "$capture" in pattern:
        captures[pattern["$capture"]] = actual if isinstance(actual, str) else json.dumps(actual)
    return None


def _is_a(kind: str, value: Any) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return kind == "any"
    types: dict[str, Any] = {
        "any": object,
        "string": str,
        "integer": int,
        "number": (int, float),
        "array": list,
        "object": dict,
    }
    return isinstance(value, types[kind])


def show(value: object) -> str:
    """Return a value for a report, shortened if it is long."""
    if isinstance(value, Pong):
        return f"a pong of {value.payload!r}"
    if isinstance(value, bytes):
        text = f"binary {value[:40].hex(' ')}" + (f"… ({len(value)} bytes)" if value[40:] else "")
        return text if value else "empty binary"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"

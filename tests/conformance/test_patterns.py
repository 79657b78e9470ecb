"""A pattern matches the intended messages only."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_conformance.patterns import Message, Pong, match

MATCHING: list[tuple[Any, Message]] = [
    ("4a", "4a"),
    ("4${name}", "4value"),
    ({"$base64": "AQI="}, b"\1\2"),
    ({"$repeat": ["ab", 2], "before": "<", "after": ">"}, "<abab>"),
    ({"prefix": "0", "json": {"a": 1}}, '0{"a":1}'),
    ({"prefix": "0", "json": {"a": 1}}, '0{ "a" : 1.0 }'),
    ({"json": ["${name}", None, True]}, '["value",null,true]'),
    ({"json": {"$is": "any"}}, "null"),
    ({"json": {"$is": "integer"}}, "3"),
    ({"json": {"$is": "number"}}, "3.5"),
    ({"json": {"$matches": "^a+$"}}, '"aaa"'),
    ({"json": {"$not": "${name}"}}, '"other"'),
    ({"matches": "^4[a-z]$"}, "4q"),
    ({"any_of": ["1", "6"]}, "6"),
    ({"pong": "x"}, Pong(b"x")),
]
DIFFERENT: list[tuple[Any, Message]] = [
    ("4a", "4b"),
    ("4a", b"4a"),
    ({"$base64": "AQI="}, "\1\2"),
    ({"prefix": "0", "json": {"a": 1}}, '1{"a":1}'),
    ({"prefix": "0", "json": {"a": 1}}, '0{"a":1,"b":2}'),
    ({"prefix": "0", "json": {"a": 1, "b": 2}}, '0{"a":1}'),
    ({"prefix": "0", "json": {"a": 1}}, "0"),
    ({"prefix": "0", "json": [1]}, "0[1,2]"),
    ({"json": 1}, "true"),
    ({"json": False}, "0"),
    ({"json": {"$is": "integer"}}, "true"),
    ({"json": {"$is": "string"}}, "1"),
    ({"json": {"$matches": "^a+$"}}, "1"),
    ({"json": {"$not": "${name}"}}, '"value"'),
    ({"matches": "^4[a-z]$"}, b"4q"),
    ({"any_of": ["1", "6"]}, "61"),
    ({"pong": "x"}, Pong(b"y")),
    ({"pong": "x"}, "x"),
    ("x", Pong(b"x")),
]


@pytest.mark.parametrize(("pattern", "message"), MATCHING)
def test_pattern_matches(pattern: Any, message: Message) -> None:
    assert match(pattern, message, {"name": "value"}) is None


@pytest.mark.parametrize(("pattern", "message"), DIFFERENT)
def test_pattern_does_not_match(pattern: Any, message: Message) -> None:
    assert match(pattern, message, {"name": "value"}) is not None


def test_alternative_captures_no_value_when_it_does_not_match() -> None:
    captures: dict[str, str] = {}
    first = {"json": [{"$capture": "wrong"}, 1]}
    second = {"json": [{"$capture": "right"}, 2]}
    assert match({"any_of": [first, second]}, "[7,2]", captures) is None
    assert captures == {"right": "7"}


def test_mismatch_contains_its_place() -> None:
    pattern = {"prefix": "0", "json": {"a": [1, {"b": 2}]}}
    assert match(pattern, '0{"a":[1,{"b":3}]}', {}) == "the JSON.a[1].b is 3, not 2"

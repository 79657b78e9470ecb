"""HTTP messages: request targets, queries and headers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engineio_core.http.message import (
    HttpRequest,
    InvalidTargetError,
    encode_header,
    join_headers,
    parse_query,
    split_target,
)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", ("/", "")),
        ("/a?b=c#d", ("/a", "b=c")),
        ("/a?b?c", ("/a", "b?c")),
        ("http://host/a?b", ("/a", "b")),
        ("HTTPS://host", ("/", "")),
        ("//a", ("//a", "")),
    ],
)
def test_target_is_split_into_path_and_query(target: str, expected: tuple[str, str]) -> None:
    assert split_target(target) == expected


@pytest.mark.parametrize("target", ["", "**", "a", "ftp://a/", "/a b", "/\x7f", "/\u20ac", "://"])
def test_invalid_target_is_rejected(target: str) -> None:
    with pytest.raises(InvalidTargetError):
        split_target(target)


@settings(max_examples=200)
@given(st.text())
def test_any_query_is_parsed(query: str) -> None:
    assert all(isinstance(value, str) for value in parse_query(query).values())


def test_repeated_headers_are_joined_by_commas_and_cookies_by_semicolons() -> None:
    raw = [(b"Cookie", b"a=1"), (b"A", b"1"), (b"cookie", b"b=2"), (b"a", b"\xff")]
    assert join_headers(raw) == {"cookie": "a=1; b=2", "a": "1, \xff"}


@pytest.mark.parametrize(
    ("name", "value"), [("", "x"), ("a:", "x"), ("a", "x\ny"), ("a", "\u20ac"), (None, "x")]
)
def test_invalid_header_raises_value_error(name: object, value: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        encode_header(name, value)


def test_request_keeps_values_of_middlewares_for_itself() -> None:
    first, second = (HttpRequest("GET", "/a?b=1&c=%31", {}) for _ in range(2))
    first.state["user"] = "ada"
    first.response_headers["X-Seen"] = "1"
    assert (first.state, first.response_headers) == ({"user": "ada"}, {"X-Seen": "1"})
    assert (second.state, second.response_headers) == ({}, {})
    second.state = {"user": "eve"}
    assert second.state == {"user": "eve"}
    assert (first.path, first.query_string, first.query) == (
        "/a",
        "b=1&c=%31",
        {"b": "1", "c": "1"},
    )

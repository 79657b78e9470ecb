"""The scripts and forms of JSONP, as engine.io 6.6.13 on Node writes and reads them."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any
from urllib.parse import quote

import pytest

from engineio_core.codec.jsonp import (
    MAX_INVALID_ESCAPES,
    decode_form,
    encode_script,
    function_name,
)
from engineio_core.errors import ProtocolError


@pytest.mark.parametrize(
    ("index", "name"),
    [
        ("3", "___eio[3]"), ("", "___eio[]"), ("1);alert(2", "___eio[12]"),
        ("9" * 99, "___eio[9999999999]"), ("\N{ARABIC-INDIC DIGIT ONE}", "___eio[]"),
    ],
)  # fmt: skip
def test_function_name_contains_only_digits_of_the_client(index: str, name: str) -> None:
    assert function_name(index) == name


def test_script_is_a_call_with_the_payload_as_a_string_of_javascript() -> None:
    # Observed: the response to a poll after the message of the next test
    script = encode_script("___eio[3]", '4a\nb\\n\u2028"\\\\n\u00e9'.encode())
    assert script.decode() == '___eio[3]("4a\\nb\\\\n\\u2028\\"\\\\\\\\n\u00e9");'
    assert encode_script("f", "\u2029".encode()) == b'f("\\u2029");'


@pytest.mark.parametrize(
    ("field", "payload"),
    [
        ("4hello", "4hello"),
        ("4a b", "4a b"),
        # Observed: the client writes a newline as \n, and \n as \ and \n.
        ('4a\\nb\\\\n\u2028"\\\\\\n\u00e9', '4a\nb\\n\u2028"\\\\n\u00e9'),
        ("4a\x1e4b", "4a\x1e4b"),
    ],
)
def test_form_contains_the_payload_with_escaped_newlines(field: str, payload: str) -> None:
    assert decode_form(f"d={quote(field)}".encode()).decode() == payload


@pytest.mark.parametrize("body", [b"", b"x=1", b"d=1&d=2", b"\xff", b"&".join([b"a=1"] * 99)])
def test_form_without_a_single_field_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_form(body)


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        ("4%61%+b", "4a% b"), ("4%zz%4", "4%zz%4"), ("4%5Cn%5c%5cn", "4\n\\n"),
        ("4\\x41%5Cx41", "4\\x41\\x41"), ("4%FF%C3a", "4\ufffd\ufffda"),
        ("4\u00e9%C3%A9", "4\u00e9\u00e9"), ("4=%00\x01%26", "4=\x00\x01&"),
    ],
)  # fmt: skip
def test_escapes_of_a_form_are_read_like_those_of_a_url(value: str, payload: str) -> None:
    assert decode_form(f"a=1&%64={value}&b".encode()).decode() == payload


UNITS = ("%41", "%41a", "%5Cn", "\\n", "\\\\n", "\\", "+", "%FF", "\u00e9%C3", "\x01")


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("form", ["d={}", "{}=1&d=1", "d=1&a={}"])
def test_form_is_read_without_calls_per_escape(form: str, unit: str) -> None:
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    body = form.format(unit * 1000).encode()
    former = sys.getprofile()
    sys.setprofile(count)
    try:
        decode_form(body)
    finally:
        sys.setprofile(former)
    assert calls < 60


@pytest.mark.parametrize("unit", ["%", "%z", "%4", "%4z"])
def test_invalid_escapes_of_a_form_are_limited(unit: str) -> None:
    form = f"d={unit * MAX_INVALID_ESCAPES}x".encode()
    assert decode_form(form) == form[2:]
    with pytest.raises(ProtocolError, match="too many invalid escapes"):
        decode_form(form + b"%")

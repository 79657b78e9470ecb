"""Tests of the session cookies of express-session."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote

import pytest

from hextrackr_server.security.session_cookie import SessionCookies

OLD, NEW = b"o" * 32, b"n" * 32
COOKIES = SessionCookies("hextrackr.sid", [NEW, OLD])


def signed(sid: str, secret: bytes = NEW) -> str:
    digest = hmac.new(secret, sid.encode(), hashlib.sha256).digest()
    return f"s:{sid}.{base64.b64encode(digest).decode().rstrip('=')}"


def cookie(value: str, *, quoted: bool = True) -> str:
    return f"a=b; hextrackr.sid={quote(value, safe='') if quoted else value}; c=d"


@pytest.mark.parametrize("sid", ["abc", "a.b.c", "with/and+", "é"])
@pytest.mark.parametrize("secret", [OLD, NEW])
def test_cookie_signed_with_any_secret_yields_its_session(sid: str, secret: bytes) -> None:
    assert COOKIES.session_id(cookie(signed(sid, secret))) == sid


def test_cookie_with_a_longer_name_is_ignored() -> None:
    other = "xhextrackr.sid=" + quote(signed("other"))
    assert COOKIES.session_id(f"{other}; {cookie(signed('abc'))}") == "abc"


def test_cookie_is_accepted_without_encoding() -> None:
    assert COOKIES.session_id(cookie(signed("abc"), quoted=False)) == "abc"


def test_signed_cookie_yields_its_session() -> None:
    for number in range(50):  # includes signatures with / and +
        assert COOKIES.session_id(f"hextrackr.sid={COOKIES.sign(f's{number}')}") == f"s{number}"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "other=1",
        "xhextrackr.sid=" + quote(signed("abc")),
        cookie("abc"),
        cookie("s:abc"),
        cookie("s:abc."),
        cookie("s:." + signed("")[3:]),
        cookie(signed("abc")[2:]),
        cookie(signed("abc", b"x" * 32)),
        cookie(signed("abc").replace("abc", "abd")),
        cookie(signed("abc") + "="),
        cookie(signed("x" * 2000)),
        cookie("s:abc.é"),
        cookie(signed("evil", b"x" * 32)) + "; " + cookie(signed("abc")),
    ],
)
def test_invalid_cookie_yields_no_session(header: str) -> None:
    assert COOKIES.session_id(header) is None

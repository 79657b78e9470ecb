"""Tests of session cookies and the session store."""

from __future__ import annotations

import base64
import hashlib
import hmac
import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest

from hextrackr_server.security.principal import Principal
from hextrackr_server.security.session_cookie import (
    SessionCookies,
    SessionStore,
    StoreUnavailableError,
)

OLD, NEW = b"o" * 32, b"n" * 32
COOKIES = SessionCookies("hextrackr.sid", [NEW, OLD])
NOW = 1_759_000_000.0


def signed(sid: str, secret: bytes = NEW) -> str:
    digest = hmac.new(secret, sid.encode(), hashlib.sha256).digest()
    return f"s:{sid}.{base64.b64encode(digest).decode().rstrip('=')}"


def cookie(value: str, *, quoted: bool = True) -> str:
    return f"a=b; hextrackr.sid={quote(value, safe='') if quoted else value}; c=d"


@pytest.mark.parametrize("sid", ["abc", "a.b.c", "with/and+", "é"])
@pytest.mark.parametrize("secret", [OLD, NEW])
def test_cookie_signed_with_any_secret_yields_its_session(sid: str, secret: bytes) -> None:
    assert COOKIES.session_id(cookie(signed(sid, secret))) == sid


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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sessions.db"
    rows = {
        "good": ('{"userId": "7", "username": "al\\u0000ice", "role": "admin"}', "2030-01-01"),
        "number": ('{"userId": 7}', "2030-01-01T00:00:00.000Z"),
        "expired": ('{"userId": "7"}', "2025-01-01T00:00:00.000Z"),
        "anonymous": ('{"csrfToken": "x"}', "2030-01-01"),
        "empty": ('{"userId": ""}', "2030-01-01"),
        "strange": ('{"userId": "7", "role": "owner"}', "2030-01-01"),
        "broken": ("{", "2030-01-01"),
        "list": ("[1]", "2030-01-01"),
        "odd": ('{"userId": "a b"}', "2030-01-01"),
        "endless": ('{"userId": "7"}', None),
    }
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE sessions (sid TEXT PRIMARY KEY, sess JSON, expire TEXT)")
        for sid, (session, expire) in rows.items():
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?)", (sid, session, expire))
    connection.close()
    return path


def test_session_with_a_user_yields_its_principal(path: Path) -> None:
    store = SessionStore(path)
    found = store.find("good", NOW)
    assert found == Principal("7", "alice", "admin")
    assert found is not None
    assert (found.session_id, found.expires_at) == ("good", 1893456000.0)
    assert store.find("number", NOW) == Principal("7", "7", "user")
    assert store.find("strange", NOW) == Principal("7", "7", "user")


@pytest.mark.parametrize(
    "sid", ["expired", "anonymous", "empty", "broken", "list", "odd", "endless", "unknown", ""]
)
def test_session_without_a_valid_user_yields_no_principal(path: Path, sid: str) -> None:
    assert SessionStore(path).find(sid, NOW) is None


def test_session_store_is_not_changed_or_created(tmp_path: Path, path: Path) -> None:
    before = path.read_bytes()
    SessionStore(path).find("good", NOW)
    assert path.read_bytes() == before
    with pytest.raises(StoreUnavailableError, match=str(tmp_path)):
        SessionStore(tmp_path / "missing.db").find("good", NOW)
    assert not (tmp_path / "missing.db").exists()


def test_locked_session_store_is_unavailable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hextrackr_server.security.session_cookie.BUSY_SECONDS", 0.01)
    writer = sqlite3.connect(path)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailableError):
        SessionStore(path).find("good", NOW)
    writer.close()

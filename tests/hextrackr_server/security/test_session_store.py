"""Tests of the session stores of express-session."""

from __future__ import annotations

import json
import socketserver
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.config import settings
from hextrackr_server.errors import SettingsError
from hextrackr_server.security.principal import Principal
from hextrackr_server.security.session_store import (
    MAXIMUM_REPLY,
    PostgresStore,
    RedisStore,
    SessionFields,
    SqliteStore,
    StoreUnavailableError,
    session_store,
)

NOW = 1_759_000_000.0
ALICE = {"userId": "7", "username": "alice", "role": "admin"}


def principal_of(store: SqliteStore, sid: str) -> Principal | None:
    session = store.find(sid, NOW)
    return None if session is None else session.principal


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
    store = SqliteStore(path)
    found = principal_of(store, "good")
    assert found == Principal("7", "alice", "admin")
    assert found is not None
    assert (found.session_id, found.expires_at) == ("good", 1893456000.0)
    assert principal_of(store, "number") == Principal("7", "7", "user")
    assert principal_of(store, "strange") == Principal("7", "7", "user")


@pytest.mark.parametrize(
    "sid", ["expired", "anonymous", "empty", "broken", "list", "odd", "endless", "unknown", ""]
)
def test_session_without_a_valid_user_yields_no_principal(path: Path, sid: str) -> None:
    assert principal_of(SqliteStore(path), sid) is None


def test_session_store_is_not_changed_or_created(tmp_path: Path, path: Path) -> None:
    before = path.read_bytes()
    SqliteStore(path).find("good", NOW)
    assert path.read_bytes() == before
    with pytest.raises(StoreUnavailableError, match=str(tmp_path)):
        SqliteStore(tmp_path / "missing.db").find("good", NOW)
    assert not (tmp_path / "missing.db").exists()


def test_locked_session_store_is_unavailable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hextrackr_server.security.session_store.BUSY_SECONDS", 0.01)
    writer = sqlite3.connect(path)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailableError):
        SqliteStore(path).find("good", NOW)
    writer.close()


@pytest.mark.parametrize("sid", ["anonymous", "empty"])
def test_anonymous_session_differs_from_an_expired_one(path: Path, sid: str) -> None:
    session = SqliteStore(path).find(sid, NOW)
    assert session is not None
    assert session.principal is None
    assert SqliteStore(path).find("expired", NOW) is None


@pytest.mark.parametrize(
    ("fields", "session", "expected"),
    [
        # passport 0.7 stores the value of serializeUser in `passport.user`.
        (SessionFields(), {"passport": {"user": 7}}, ("7", "7", "user")),
        (SessionFields(), {"passport": {"user": "u-7"}}, ("u-7", "u-7", "user")),
        (
            SessionFields(),
            {"passport": {"user": {"id": 7, "username": "alice", "role": "admin"}}},
            ("7", "alice", "admin"),
        ),
        (SessionFields(), {"passport": {"user": {"name": "x"}}}, None),
        (SessionFields(), {"passport": {}}, None),
        (SessionFields(user=("account.uid",)), {"account": {"uid": "7"}}, ("7", "7", "user")),
        (SessionFields(user=("account.uid",)), {"userId": "7"}, None),
        (
            SessionFields(role=("account.groups",), role_names={"manager": "admin"}),
            {"userId": "7", "account": {"groups": "manager"}},
            ("7", "7", "admin"),
        ),
        (SessionFields(), {"userId": True}, None),
    ],
)
def test_user_is_read_from_the_configured_paths(
    fields: SessionFields, session: dict[str, Any], expected: tuple[str, str, str] | None
) -> None:
    stored = fields.read("sid", json.dumps(session), None, NOW)
    assert stored is not None
    found = stored.principal
    assert (found and (found.user_id, found.username, found.role)) == expected


def test_store_of_connect_sqlite3_is_read(tmp_path: Path) -> None:
    # The statement of connect-sqlite3 0.9.18; `expired` is a number of milliseconds.
    path = tmp_path / "sessions"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE sessions (sid PRIMARY KEY, expired, sess)")
        for sid, left_ms in (("good", 1500.0), ("expired", -1.0)):
            values = (sid, NOW * 1000 + left_ms, json.dumps(ALICE))
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?)", values)
    store = SqliteStore(path)
    store.check()
    found = principal_of(store, "good")
    assert found == Principal("7", "alice", "admin")
    assert found is not None
    assert found.expires_at == NOW + 1.5
    assert store.find("expired", NOW) is None


def test_table_of_the_store_is_configurable(tmp_path: Path) -> None:
    path = tmp_path / "sessions"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE logins (sid PRIMARY KEY, expired, sess)")
        values = ("good", NOW * 1000 + 1, json.dumps(ALICE))
        connection.execute("INSERT INTO logins VALUES (?, ?, ?)", values)
    store = SqliteStore(path, table="logins")
    store.check()
    assert principal_of(store, "good") == Principal("7", "alice", "admin")
    with pytest.raises(SettingsError, match="HEXTRACKR_SESSIONS_TABLE must be the name"):
        SqliteStore(path, table='x"; DROP TABLE logins')


def test_check_names_the_content_of_another_store(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE web_sessions (id, data, expires)")
    with pytest.raises(SettingsError, match=r"found: web_sessions \(data, expires, id\)\. Set"):
        SqliteStore(path).check()
    with pytest.raises(StoreUnavailableError, match="web_sessions"):
        SqliteStore(path).find("good", NOW)
    (tmp_path / "dump.json").write_text('{"sid": {"userId": 7}, "other": "text"}')
    with pytest.raises(SettingsError, match="must be a SQLite file, but it begins with"):
        SqliteStore(tmp_path / "dump.json").check()
    with pytest.raises(SettingsError, match="found a directory"):
        SqliteStore(tmp_path).check()
    with pytest.raises(StoreUnavailableError, match="does not exist"):
        SqliteStore(tmp_path / "later.db").check()


class _Redis(socketserver.StreamRequestHandler):
    """The commands of a Redis server that the store sends, in the protocol RESP 2."""

    def handle(self) -> None:
        state: Any = self.server
        while count := self.rfile.readline():
            parts = []
            for _ in range(int(count[1:])):
                length = int(self.rfile.readline()[1:])
                parts.append(self.rfile.read(length + 2)[:-2].decode())
            state.commands.append(parts)
            self.wfile.write(self.reply(parts, state.values))

    @staticmethod
    def reply(parts: list[str], values: dict[str, str]) -> bytes:
        match parts:
            case ["GET", key] if key in values:
                value = values[key].encode()
                return b"$%d\r\n%s\r\n" % (len(value), value)
            case ["GET", _]:
                return b"$-1\r\n"
            case ["PTTL", "sess:endless"]:
                return b":-1\r\n"
            case ["PTTL", key]:
                return b":5000\r\n" if key in values else b":-2\r\n"
            case ["AUTH", *words]:
                return b"+OK\r\n" if words[-1] == "pass word" else b"-WRONGPASS invalid\r\n"
            case _:
                return b"+OK\r\n"


@contextmanager
def running_redis(values: dict[str, str]) -> Iterator[Any]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Redis) as server:
        server.daemon_threads = True
        state: Any = server
        state.values, state.commands = values, []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_store_of_connect_redis_is_read() -> None:
    with running_redis({"sess:good": json.dumps(ALICE)}) as server:
        where = f"127.0.0.1:{server.server_address[1]}"
        store = RedisStore(f"redis://user:pass%20word@{where}/2")
        store.check()
        session = store.find("good", NOW)
        assert store.find("unknown", NOW) is None
        assert ["AUTH", "user", "pass word"] in server.commands
        assert ["SELECT", "2"] in server.commands
        assert RedisStore(f"redis://{where}", prefix="other:").find("good", NOW) is None
        with pytest.raises(StoreUnavailableError, match="WRONGPASS") as refusal:
            RedisStore(f"redis://:secret@{where}").check()
    assert "secret" not in str(refusal.value)
    assert session is not None
    assert session.principal == Principal("7", "alice", "admin")
    assert session.principal is not None
    assert session.principal.expires_at == NOW + 5


def test_session_in_redis_without_an_expiry_is_endless() -> None:
    with running_redis({"sess:endless": json.dumps(ALICE)}) as server:
        store = RedisStore(f"redis://127.0.0.1:{server.server_address[1]}")
        session = store.find("endless", NOW)
    assert session is not None
    assert session.principal is not None
    assert session.principal.expires_at is None


def test_session_in_redis_that_is_too_long_is_not_read() -> None:
    with running_redis({"sess:long": json.dumps(ALICE | {"x": "x" * MAXIMUM_REPLY})}) as server:
        store = RedisStore(f"redis://127.0.0.1:{server.server_address[1]}")
        with pytest.raises(StoreUnavailableError, match="must have at most 1048576 bytes"):
            store.find("long", NOW)


def test_store_without_a_server_is_unavailable() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), _Redis) as closed:
        port = closed.server_address[1]
    for store in (
        RedisStore(f"redis://:secret@127.0.0.1:{port}"),
        PostgresStore(f"postgresql://u:secret@127.0.0.1:{port}/x"),
    ):
        with pytest.raises(StoreUnavailableError, match=r"(?i)refused") as refusal:
            store.check()
        assert "secret" not in str(refusal.value)


def test_settings_select_the_store(path: Path) -> None:
    common = {"SESSION_SECRET": "s" * 32, "HEXTRACKR_SESSIONS_DATABASE": str(path)}
    fields = {"HEXTRACKR_SESSION_USER": "account", "HEXTRACKR_ROLE_NAMES": "owner=admin"}
    for url, kind in (
        ("", SqliteStore),
        ("redis://127.0.0.1", RedisStore),
        ("postgres://127.0.0.1/x", PostgresStore),
    ):
        loaded = settings.load(common | ({"HEXTRACKR_SESSIONS_URL": url} if url else {}))
        assert isinstance(session_store(loaded), kind)
    renamed = session_store(settings.load(common | {"HEXTRACKR_ROLE_NAMES": "owner=admin"}))
    strange = renamed.find("strange", NOW)
    assert strange is not None
    assert strange.principal == Principal("7", "7", "admin")
    elsewhere = session_store(settings.load(common | fields)).find("good", NOW)
    assert elsewhere is not None
    assert elsewhere.principal is None

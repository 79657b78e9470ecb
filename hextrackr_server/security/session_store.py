"""Read access to the session stores of express-session.

The stores belong to another program; this module never writes to them. It reads the tables and keys
of connect-sqlite3 0.9, better-sqlite3-session-store 0.1, connect-pg-simple 10 and connect-redis 9.
All functions block, so callers use a thread.
"""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import ssl
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol
from urllib.parse import quote, unquote, urlsplit

from hextrackr_server.config.roles import names_of_roles, role_named
from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import SettingsError, UnavailableError
from hextrackr_server.security.principal import Principal, principal_from

BUSY_SECONDS = 0.25
CONNECT_SECONDS = 2
MAXIMUM_REPLY = 1 << 20
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?")

# SQLite's datetime() makes the ISO times of better-sqlite3-session-store comparable.
_BETTER_SQLITE3 = """
    SELECT sess, CAST(strftime('%s', expire) AS INTEGER) FROM "{table}"
    WHERE sid = ? AND datetime(?, 'unixepoch') < datetime(expire)
"""
# connect-sqlite3 writes milliseconds.
_CONNECT_SQLITE3 = """
    SELECT sess, expired / 1000.0 FROM "{table}" WHERE sid = ? AND ? * 1000 <= expired
"""
_CONNECT_PG_SIMPLE = """
    SELECT sess, extract(epoch FROM expire::timestamptz) FROM {table}
    WHERE sid = %s AND expire >= to_timestamp(%s)
"""


class StoreUnavailableError(UnavailableError):
    """The session store is not readable at the moment, so logins cannot be verified."""


class StoredSession(NamedTuple):
    """An unexpired session: its user, or None for an anonymous session, and its top-level keys."""

    principal: Principal | None
    keys: tuple[str, ...]


class SessionStore(Protocol):
    """A session store of express-session."""

    def find(self, session_id: str, now: float) -> StoredSession | None:
        """Return an unexpired session, or None; StoreUnavailableError if it cannot be read."""

    def check(self) -> None:
        """Raise SettingsError if the store has another form, StoreUnavailableError if it is absent.

        The text names the content of the store.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFields:
    """The paths to the user in a session; the first path that has a value counts."""

    user: tuple[str, ...] = ("userId", "passport.user", "passport.user.id")
    username: tuple[str, ...] = ("username", "passport.user.username")
    role: tuple[str, ...] = ("role", "passport.user.role")
    role_names: Mapping[str, str] = field(default_factory=dict)

    def read(
        self, session_id: str, content: Any, expires_at: float | None, now: float
    ) -> StoredSession | None:
        """Return the session with its user; None for unusable content."""
        try:
            session = json.loads(content) if isinstance(content, str | bytes) else content
        except ValueError:
            return None
        if not isinstance(session, dict):
            return None
        user_id = _first(session, self.user)
        # Express keeps values such as a CSRF token in sessions without a user.
        principal = None
        if user_id is not None:
            principal = principal_from(
                user_id,
                _first(session, self.username) or user_id,
                role_named(_first(session, self.role), self.role_names) or "user",
                session_id=session_id,
                proven_at=now,
                expires_at=expires_at,
            )
        return StoredSession(principal, tuple(str(key) for key in session))


class SqliteStore:
    """A SQLite file of better-sqlite3-session-store or connect-sqlite3, opened for each query."""

    def __init__(
        self, path: Path, fields: SessionFields | None = None, table: str | None = None
    ) -> None:
        self._path = path
        self._fields = fields or SessionFields()
        self._table = _table_name(table or "sessions")
        self._address = f"file:{quote(str(path.absolute()))}?mode=ro"

    def find(self, session_id: str, now: float) -> StoredSession | None:
        """Return an unexpired session."""
        try:
            with closing(self._connect()) as connection:
                query = self._query(connection)
                row = connection.execute(query, (session_id, int(now))).fetchone()
        except (sqlite3.Error, SettingsError) as error:
            text = f"the session store {self._path} cannot be read: {error}"
            raise StoreUnavailableError(text) from error
        if row is None:
            return None
        expires_at = None if row[1] is None else float(row[1])
        return self._fields.read(session_id, row[0], expires_at, now)

    def check(self) -> None:
        """Read the columns of the table."""
        if not self._path.exists():
            raise StoreUnavailableError(f"the session store {self._path} does not exist")
        if not self._path.is_file():
            raise SettingsError(
                f"the session store {self._path} must be a SQLite file, found a directory: set "
                "HEXTRACKR_SESSIONS_DATABASE to the file"
            )
        try:
            with closing(self._connect()) as connection:
                self._query(connection)
        except sqlite3.OperationalError as error:
            text = f"the session store {self._path} cannot be read: {error}"
            raise StoreUnavailableError(text) from error
        except sqlite3.DatabaseError as error:
            with self._path.open("rb") as file:
                begin = file.read(16)
            raise SettingsError(
                f"the session store {self._path} must be a SQLite file, but it begins with "
                f"{begin!r}"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._address, uri=True, timeout=BUSY_SECONDS)

    def _query(self, connection: sqlite3.Connection) -> str:
        """Return the query for the columns of the table, which name the writer."""
        columns = _sqlite_columns(connection, self._table)
        if {"sid", "sess", "expire"} <= columns:
            return _BETTER_SQLITE3.format(table=self._table)
        if {"sid", "sess", "expired"} <= columns:
            return _CONNECT_SQLITE3.format(table=self._table)
        master = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        names = [str(name) for (name,) in master]
        if not names:
            raise sqlite3.OperationalError("it has no tables")
        found = [
            f"{name} ({', '.join(sorted(_sqlite_columns(connection, name)))})" for name in names
        ]
        raise _other_form(str(self._path), self._table, found)


class PostgresStore:
    """A table of connect-pg-simple in PostgreSQL."""

    def __init__(
        self, url: str, fields: SessionFields | None = None, table: str | None = None
    ) -> None:
        self._url = url
        self._fields = fields or SessionFields()
        self._table = _table_name(table or "session")
        quoted = ".".join(f'"{part}"' for part in self._table.split("."))
        self._query = _CONNECT_PG_SIMPLE.format(table=quoted)
        # The name without user and password.
        parts = urlsplit(url)
        self._name = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"

    def find(self, session_id: str, now: float) -> StoredSession | None:
        """Return an unexpired session."""
        rows = self._fetch(self._query, (session_id, now))
        if not rows:
            return None
        content, expires_at = rows[0]
        return self._fields.read(session_id, content, float(expires_at), now)

    def check(self) -> None:
        """Read the columns of the table."""
        schema, _, table = self._table.rpartition(".")
        rows = self._fetch(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns "
            "WHERE table_schema NOT IN ('information_schema', 'pg_catalog') ORDER BY 1, 2, 3",
            (),
        )
        columns: dict[tuple[str, str], list[str]] = {}
        for in_schema, name, column in rows:
            columns.setdefault((in_schema, name), []).append(column)
        for (in_schema, name), found in columns.items():
            is_table = name == table and in_schema == (schema or in_schema)
            if is_table and {"sid", "sess", "expire"} <= set(found):
                return
        if not columns:
            # connect-pg-simple creates its table when it stores the first session.
            raise StoreUnavailableError(f"the session store {self._name} has no tables")
        tables = [f"{name} ({', '.join(found)})" for (_, name), found in columns.items()]
        raise _other_form(self._name, self._table, tables)

    def _fetch(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            import psycopg  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as error:
            raise SettingsError(
                "a session store in PostgreSQL requires the extra postgres: "
                "run `pip install 'hextrackr-server[hub,postgres]'`"
            ) from error
        try:
            with psycopg.connect(
                self._url, connect_timeout=CONNECT_SECONDS, options="-c statement_timeout=2000"
            ) as connection:
                return connection.execute(query, values).fetchall()
        except psycopg.Error as error:
            reason = str(error).strip().replace("\n", " ")
            text = f"the session store {self._name} cannot be read: {reason}"
            raise StoreUnavailableError(text) from error


class RedisStore:
    """Keys of connect-redis: JSON texts, of which the key's time to live is the expiry."""

    def __init__(
        self, url: str, fields: SessionFields | None = None, prefix: str | None = None
    ) -> None:
        self._parts = urlsplit(url)
        self._fields = fields or SessionFields()
        self._prefix = "sess:" if prefix is None else prefix
        self._name = f"{self._parts.scheme}://{self._parts.hostname or ''}{self._parts.path}"

    def find(self, session_id: str, now: float) -> StoredSession | None:
        """Return a session whose key exists."""
        key = self._prefix + session_id
        content, left_ms = self._run(("GET", key), ("PTTL", key))
        if content is None:
            return None
        expires_at = now + left_ms / 1000 if left_ms >= 0 else None
        return self._fields.read(session_id, content, expires_at, now)

    def check(self) -> None:
        """Connect, and read a key."""
        self._run(("PING",), ("GET", f"{self._prefix}-"))

    def _run(self, *commands: tuple[str, ...]) -> list[Any]:
        """Run commands on a new connection and return their replies."""
        parts = self._parts
        first: list[tuple[str, ...]] = []
        if parts.password:
            user = (unquote(parts.username),) if parts.username else ()
            first.append(("AUTH", *user, unquote(parts.password)))
        database = parts.path.strip("/")
        if database and parts.scheme != "unix":
            first.append(("SELECT", database))
        try:
            with self._connect() as connection, connection.makefile("rb") as stream:
                connection.sendall(b"".join(_encoded(each) for each in (*first, *commands)))
                replies = [_reply(stream) for _ in (*first, *commands)]
        except (OSError, ValueError) as error:
            text = f"the session store {self._name} cannot be read: {error}"
            raise StoreUnavailableError(text) from error
        return replies[len(first) :]

    def _connect(self) -> socket.socket:
        parts = self._parts
        if parts.scheme == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(parts.path)
            return connection
        host = parts.hostname or "127.0.0.1"
        connection = socket.create_connection((host, parts.port or 6379), CONNECT_SECONDS)
        if parts.scheme == "rediss":
            return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
        return connection


def session_store(settings: Settings) -> SessionStore:
    """Return the store of the settings: PostgreSQL or Redis by its URL, else the SQLite file."""
    fields = SessionFields(
        user=settings.session_user,
        username=settings.session_username,
        role=settings.session_role,
        role_names=names_of_roles(settings.role_names),
    )
    url, table = settings.sessions_url, settings.sessions_table
    if url is None:
        return SqliteStore(settings.sessions_database, fields, table)
    if urlsplit(url).scheme in {"postgres", "postgresql"}:
        return PostgresStore(url, fields, table)
    return RedisStore(url, fields, table)


def _first(session: Mapping[str, Any], paths: Sequence[str]) -> str | None:
    """Return the text or integer at the first path that has one, as text."""
    for path in paths:
        value: Any = session
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value:
            return value
    return None


def _table_name(name: str) -> str:
    if _TABLE.fullmatch(name) is None:
        raise SettingsError(
            f"HEXTRACKR_SESSIONS_TABLE must be the name of a table, got {name[:100]!r}"
        )
    return name


def _sqlite_columns(connection: sqlite3.Connection, table: str) -> set[str]:
    rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return {str(name) for (name,) in rows}


def _other_form(where: str, table: str, found: Sequence[str]) -> SettingsError:
    shown = "; ".join(found)[:500] or "no tables"
    return SettingsError(
        f"the session store {where} must have a table {table} with the columns sid, sess and "
        f"expire (better-sqlite3-session-store, connect-pg-simple) or expired (connect-sqlite3); "
        f"found: {shown}. Set HEXTRACKR_SESSIONS_TABLE, or use one of these stores in Express"
    )


def _encoded(command: Sequence[str]) -> bytes:
    """Return a command in the Redis protocol (RESP 2)."""
    parts = [each.encode() for each in command]
    return b"*%d\r\n" % len(parts) + b"".join(
        b"$%d\r\n%s\r\n" % (len(each), each) for each in parts
    )


def _reply(stream: IO[bytes]) -> Any:
    """Return a simple string, an integer, or a bulk string; ValueError for an error reply."""
    line = stream.readline(4096)
    kind, text = line[:1], line[1:].strip()
    if kind == b"+":
        return text.decode()
    if kind == b":":
        return int(text)
    if kind == b"$":
        length = int(text)
        if length < 0:
            return None
        if length > MAXIMUM_REPLY:
            raise ValueError(f"a value must have at most {MAXIMUM_REPLY} bytes, got {length}")
        value = stream.read(length)
        stream.readline(4)
        return value
    if kind == b"-":
        raise ValueError(text.decode(errors="replace"))
    raise ValueError(f"expected a reply of Redis, got {line[:32]!r}")

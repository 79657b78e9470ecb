"""The session store of connect-pg-simple."""

from __future__ import annotations

import json
import time

import psycopg
import pytest

from hextrackr_server.errors import SettingsError
from hextrackr_server.security.principal import Principal
from hextrackr_server.security.session_store import PostgresStore, StoreUnavailableError

# The columns of table.sql in connect-pg-simple 10.0.
TABLE = "CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6))"
INSERT = "INSERT INTO session (sess, expire, sid) SELECT %s, to_timestamp(%s), %s"


def test_store_of_connect_pg_simple_is_read(empty_postgres: str) -> None:
    store, now = PostgresStore(empty_postgres), time.time()
    with pytest.raises(StoreUnavailableError, match="has no tables"):
        store.check()
    with psycopg.connect(empty_postgres) as connection:
        connection.execute("CREATE TABLE other (id int)")
    with pytest.raises(SettingsError, match=r"found: other \(id\)"):
        store.check()
    session = json.dumps({"passport": {"user": 7}})
    with psycopg.connect(empty_postgres) as connection:
        connection.execute(TABLE)
        connection.execute(INSERT, (session, now + 60, "good"))
        connection.execute(INSERT, (session, now - 60, "expired"))
    store.check()
    found = store.find("good", now)
    assert found is not None
    assert found.principal == Principal("7", "7", "user")
    assert found.principal is not None
    assert found.principal.expires_at == pytest.approx(now + 60, abs=0.01)
    assert store.find("expired", now) is None
    assert PostgresStore(empty_postgres, table="public.session").find("good", now) == found

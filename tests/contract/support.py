"""Harness of the contract tests: the hub application with a manual clock, clients and HTTP."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from hextrackr_server.application import FEATURES, Application
from hextrackr_server.config.settings import Settings
from hextrackr_server.feature import Context, Feature
from hextrackr_server.security.session_cookie import SessionCookies
from socketio_core import ConnectError
from socketio_core.testing import TestClient, TestConnection, TestServer, settle
from tests.hextrackr_server.support import SECRET, FakeClock

METRICS_TOKEN = b"m" * 32
SESSION_SECRET = b"fedcba9876543210fedcba9876543210"
TIMEOUT = 300.0
POLLING = "/socket.io/?EIO=4&transport=polling"


class HubClock(FakeClock):
    """A manual clock that starts at the current time.

    Tokens that a test signs with the time of day are therefore valid.
    """

    def __init__(self) -> None:
        super().__init__()
        self._epoch_ms = int(time.time() * 1000) - round(self.now * 1000)

    def epoch_ms(self) -> int:
        return self._epoch_ms + round(self.now * 1000)


class SessionStore:
    """An Express session store in SQLite, and the signed cookies of its sessions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cookies = SessionCookies("hextrackr.sid", [SESSION_SECRET])
        self._write(
            "CREATE TABLE IF NOT EXISTS sessions (sid TEXT PRIMARY KEY, sess JSON, expire TEXT)"
        )

    def _write(self, statement: str, *values: Any) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement, values)

    def add(self, sid: str, *, lifetime: float = 86_400.0, **session: Any) -> dict[str, str]:
        """Store a session and return the headers that its browser sends."""
        expire = time.gmtime(time.time() + lifetime)
        self._write(
            "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)",
            sid,
            json.dumps({"cookie": {}, "csrfToken": "x"} | session),
            time.strftime("%Y-%m-%dT%H:%M:%S.000Z", expire),
        )
        return self.headers(sid)

    def log_in(self, user: str = "7", role: str = "user", **more: Any) -> dict[str, str]:
        """Store a session of a user and return the headers that its browser sends."""
        return self.add(f"sid-{user}", userId=user, username=f"user {user}", role=role, **more)

    def log_out(self, user: str = "7") -> None:
        self._write("DELETE FROM sessions WHERE sid = ?", f"sid-{user}")

    def headers(self, sid: str) -> dict[str, str]:
        return {"cookie": f"theme=dark; hextrackr.sid={self.cookies.sign(sid)}"}


class Response:
    """An HTTP response, parsed from its bytes."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status.split(" ")[1])
        pairs = [line.split(": ", 1) for line in lines]
        self.headers = {name.lower(): value for name, value in pairs}

    def json(self) -> Any:
        return json.loads(self.body)


class _BrowserServer(TestServer):
    """Connects clients with the User-Agent of a browser: the hub offers recovery to them."""

    def open_connection(
        self, *, headers: dict[str, str] | None = None, query: str = "", eio3: bool = False
    ) -> TestConnection:
        headers = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64)", **(headers or {})}
        return super().open_connection(headers=headers, query=query, eio3=eio3)


class HubHarness:
    """One hub application.

    Socket.IO clients connect without TCP. HTTP requests go to a port on the loopback interface.
    """

    def __init__(
        self,
        directory: Path,
        *,
        features: Sequence[Callable[[Context], Feature]] = FEATURES,
        **settings: Any,
    ) -> None:
        self.directory = directory
        self.session_store = SessionStore(directory / "sessions.db")
        defaults: dict[str, Any] = {
            "port": 0,
            "database": directory / "hub.db",
            "jwt_secret": SECRET,
            "session_secrets": (SESSION_SECRET,),
            "sessions_database": self.session_store.path,
            "cors_origins": ("https://app.example",),
            "metrics_token": METRICS_TOKEN,
            "shutdown_drain": 0.0,  # waves need the clock of the test
        }
        self.clock = HubClock()
        self.application = Application(
            Settings(**(defaults | settings)), clock=self.clock, features=features
        )
        self.io = self.application.io
        self.server = _BrowserServer(self.io)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> HubHarness:
        self.port = await self.application.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.application.shutdown()
        await settle()

    async def advance(self, seconds: float) -> None:
        """Advance the clocks of the sockets and of the services."""
        self.clock.advance(seconds)
        await self.server.advance(seconds)

    def token(self, user: str = "7", role: str = "user", **more: Any) -> str:
        return self.application.services.authority.sign(user, role=role, **more)

    async def client(
        self,
        user: str = "7",
        role: str = "user",
        namespace: str = "/",
        *,
        on_connection: TestConnection | None = None,
        **auth: Any,
    ) -> TestClient:
        """Connect a client that authenticates with a token, and return it."""
        auth = {"token": self.token(user, role)} | auth
        client = await self.server.connect(namespace, auth=auth, on_connection=on_connection)
        await settle()
        return client

    async def connect_error(
        self,
        namespace: str = "/",
        *,
        auth: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        on_connection: TestConnection | None = None,
    ) -> dict[str, Any]:
        """Connect a client that must be refused; return the message and data of the refusal."""
        try:
            await self.server.connect(
                namespace, auth=auth, headers=headers, on_connection=on_connection
            )
        except ConnectError as error:
            return {"message": error.message} | (error.data or {})
        raise AssertionError("the server must refuse the client, but accepted the connection")

    async def request(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: bytes | dict[str, Any] = b"",
        *,
        head_only: bool = False,
    ) -> Response:
        """Send an HTTP request; with `head_only`, do not wait for the body of the response."""
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        lines = {"host": f"127.0.0.1:{self.port}", "connection": "close"} | (headers or {})
        if body:
            lines |= {"content-length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            raw = await (reader.readuntil(b"\r\n\r\n") if head_only else reader.read())
            writer.close()
        return Response(raw)

    async def metrics(self) -> dict[str, Any]:
        """Return the metrics as JSON."""
        headers = {"authorization": f"Bearer {METRICS_TOKEN.decode()}"}
        response = await self.request("GET", "/socket-metrics", headers)
        assert response.status == 200, response.body
        return dict(response.json())

    async def open_polling(self, headers: dict[str, str] | None = None) -> str:
        """Open an Engine.IO session over polling and return its sid."""
        response = await self.request("GET", POLLING, headers)
        assert response.status == 200, response.body
        return str(json.loads(response.body[1:])["sid"])

    async def wait_until(self, condition: Any) -> None:
        """Wait until a condition holds that another thread may change."""
        async with asyncio.timeout(TIMEOUT):
            while not condition():  # noqa: ASYNC110 - a thread sets no asyncio event
                await asyncio.sleep(0.002)

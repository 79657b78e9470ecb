"""The whole application for the contract's tests: its clients, its HTTP, its time.

Knows: the application's seams, a store of sessions such as Express keeps.
Does not know: what any test wants.
"""

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

SESSION_SECRET = b"fedcba9876543210fedcba9876543210"
TIMEOUT = 60.0
POLLING = "/socket.io/?EIO=4&transport=polling"


class StageClock(FakeClock):
    """Time that begins now, so that tokens signed by others are good, and then stands still."""

    def __init__(self) -> None:
        super().__init__()
        self._epoch_ms = int(time.time() * 1000) - round(self.now * 1000)

    def epoch_ms(self) -> int:
        return self._epoch_ms + round(self.now * 1000)


class Logins:
    """HexTrackr's store of sessions, and the cookies that stand for them."""

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
        """Log somebody in; the headers that his browser sends from now on."""
        expire = time.gmtime(time.time() + lifetime)
        self._write(
            "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)",
            sid,
            json.dumps({"cookie": {}, "csrfToken": "x"} | session),
            time.strftime("%Y-%m-%dT%H:%M:%S.000Z", expire),
        )
        return self.headers(sid)

    def log_in(self, user: str = "7", role: str = "user", **more: Any) -> dict[str, str]:
        return self.add(f"sid-{user}", userId=user, username=f"user {user}", role=role, **more)

    def log_out(self, user: str = "7") -> None:
        self._write("DELETE FROM sessions WHERE sid = ?", f"sid-{user}")

    def headers(self, sid: str) -> dict[str, str]:
        return {"cookie": f"theme=dark; hextrackr.sid={self.cookies.sign(sid)}"}


class Answer:
    """A response over HTTP."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status.split(" ")[1])
        pairs = [line.split(": ", 1) for line in lines]
        self.headers = {name.lower(): value for name, value in pairs}

    def json(self) -> Any:
        return json.loads(self.body)


class Stage:
    """One application: sockets without TCP, and a port where a test needs bytes."""

    def __init__(
        self,
        directory: Path,
        *,
        features: Sequence[Callable[[Context], Feature]] = FEATURES,
        **settings: Any,
    ) -> None:
        self.directory = directory
        self.logins = Logins(directory / "sessions.db")
        defaults: dict[str, Any] = {
            "port": 0,
            "database": directory / "stage.db",
            "jwt_secret": SECRET,
            "session_secrets": (SESSION_SECRET,),
            "sessions_database": self.logins.path,
            "cors_origins": ("https://app.example",),
        }
        self.clock = StageClock()
        self.application = Application(
            Settings(**(defaults | settings)), clock=self.clock, features=features
        )
        self.io = self.application.io
        self.server = TestServer(self.io)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Stage:
        self.port = await self.application.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.application.shutdown()
        await settle()

    async def advance(self, seconds: float) -> None:
        """Let time pass, for the sockets and for the services."""
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
        """A connected client with a token."""
        given = {"token": self.token(user, role)} | auth
        client = await self.server.connect(namespace, auth=given, on_connection=on_connection)
        await settle()
        return client

    async def refusal(
        self,
        namespace: str = "/",
        *,
        auth: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        on_connection: TestConnection | None = None,
    ) -> dict[str, Any]:
        """Why a client is not let in: its message, and the data beside it."""
        try:
            await self.server.connect(
                namespace, auth=auth, headers=headers, on_connection=on_connection
            )
        except ConnectError as refused:
            return {"message": refused.message} | (refused.data or {})
        raise AssertionError("the client was let in")

    async def ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: bytes | dict[str, Any] = b"",
        *,
        only_head: bool = False,
    ) -> Answer:
        """Ask over HTTP; with `only_head`, do not wait for the body."""
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        lines = {"host": f"127.0.0.1:{self.port}", "connection": "close"} | (headers or {})
        if body:
            lines |= {"content-length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            raw = await (reader.readuntil(b"\r\n\r\n") if only_head else reader.read())
            writer.close()
        return Answer(raw)

    async def open_polling(self, headers: dict[str, str] | None = None) -> str:
        """Open a session by polling; its sid."""
        answer = await self.ask("GET", POLLING, headers)
        assert answer.status == 200, answer.body
        return str(json.loads(answer.body[1:])["sid"])

    async def settled(self, condition: Any) -> None:
        """Wait, as long as a thread may need, until something is so."""
        async with asyncio.timeout(TIMEOUT):
            while not condition():  # noqa: ASYNC110 - a thread tells no event
                await asyncio.sleep(0.002)

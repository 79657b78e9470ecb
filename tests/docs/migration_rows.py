"""Checks of the rows of a table, and a server with two clients for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from socketio_core import (
    Socket,
    SocketServer,
)
from socketio_core.testing import TestClient, TestServer
from tests.docs.tables import read_rows

Check = Callable[[], Awaitable[None]]


class Rows:
    """The checks of a document's table below the heading "API", by the first cell of their row."""

    def __init__(self, document: str) -> None:
        self.document = document
        self.checks: dict[str, Check] = {}

    def __call__(self, text: str) -> Callable[[Check], Check]:
        """Register the check of the row with this text in its first cell."""

        def register(check: Check) -> Check:
            assert text not in self.checks, text
            self.checks[text] = check
            return check

        return register

    def parameters(self) -> list[Any]:
        """Return the checks as parameters of a test."""
        return [pytest.param(check, id=text) for text, check in self.checks.items()]

    def compare(self) -> None:
        """Assert that each row has a check, and each check a row."""
        cells = [cells[0] for cells in read_rows(self.document, "API")]
        assert len(set(cells)) == len(cells)
        assert set(cells) == set(self.checks)


class Pair:
    """A server and two clients with their sockets."""

    def __init__(self, io: SocketServer) -> None:
        self.io = io
        self.server = TestServer(io)

    async def __aenter__(self) -> Pair:
        self.a: TestClient = await self.server.connect(auth={"token": "t"})
        self.b: TestClient = await self.server.connect()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.server.__aexit__(None, None, None)

    @property
    def socket(self) -> Socket:
        """The socket of the first client."""
        return self.io.sockets[self.a.id]

    def names(self) -> tuple[list[str], list[str]]:
        """Return the names of the events that the clients received since the last call."""
        names = [name for name, _ in self.a.received], [name for name, _ in self.b.received]
        self.a.received.clear()
        self.b.received.clear()
        return names


def pair() -> Pair:
    """Return a new server for two clients."""
    return Pair(SocketServer())

"""The synchronous client of the Python package `python-socketio` against the hub.

Its handlers run in threads; the hub has its default settings.
"""

from __future__ import annotations

import queue
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import socketio

from tests.contract.imports import VALID_CSV

from . import program
from .program import Server

pytestmark = pytest.mark.interop

LIMIT = 300.0
EVENTS = (
    "import-started",
    "import-progress",
    "import-finished",
    "import-failed",
    "progress-complete",
    "vulnerability-change",
    "application-error",
    "user-started-editing",
    "disconnect",
)


class Client:
    """A connected client that queues its events by name, each with one argument."""

    def __init__(self) -> None:
        self.io = socketio.Client(reconnection=False)
        self._events: dict[str, queue.SimpleQueue[Any]] = {}
        for name in EVENTS:
            self._events[name] = queue.SimpleQueue()
            # Not `*args`: with one more argument, the handler raises TypeError.
            self.io.on(name, self._handler(name))

    def _handler(self, name: str) -> Any:
        def handle(data: Any) -> None:
            # The ends of imports of earlier tests are not of interest.
            if not (isinstance(data, dict) and data.get("late")):
                self._events[name].put(data)

        return handle

    def next(self, name: str) -> Any:
        """Return the data of the next event of a name."""
        return self._events[name].get(timeout=LIMIT)

    def call(self, name: str, *args: Any) -> Any:
        """Emit an event and return its acknowledgement."""
        return self.io.call(name, args if len(args) > 1 else next(iter(args), None), timeout=LIMIT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with program.run_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(params=[["polling"], ["websocket"], ["polling", "websocket"]], ids="-".join)
def transports(request: pytest.FixtureRequest) -> list[str]:
    names: list[str] = request.param
    return names


@contextmanager
def connected(server: Server, token: str, transports: list[str]) -> Iterator[Client]:
    client = Client()
    client.io.connect(
        server.url, auth={"token": token}, transports=transports, wait_timeout=int(LIMIT)
    )
    try:
        yield client
    finally:
        client.io.disconnect()


def test_client_follows_an_import_from_its_ack_to_its_end(
    server: Server, tmp_path: Path, transports: list[str]
) -> None:
    session = f"sync-{'-'.join(transports)}"
    with connected(server, program.token(tmp_path, "7"), transports) as client:
        assert client.io.transport() == transports[-1]
        assert client.call("join-progress", session)["success"]
        request = {"source": "inline", "filename": "scan.csv", "csv": VALID_CSV}
        answer = client.call("start-import", request | {"sessionId": session})
        assert (answer["success"], answer["status"]) == (True, "queued"), answer
        assert client.next("import-started")["importId"] == answer["importId"]
        assert client.next("import-progress")["sessionId"] == session
        finished = client.next("import-finished")
        assert (finished["status"], finished["summary"]["rows"]) == ("completed", 20)
        assert client.next("progress-complete")["metadata"]["importSummary"]["sessionId"] == session
        assert client.next("vulnerability-change")["data"]["importId"] == answer["importId"]
        status = client.call("join-import-room", session)["status"]
        assert status["importId"] == answer["importId"] == finished["importId"]
        statistics = client.call("get-vulnerability-stats")
        assert statistics["data"]["totals"]["findings"] == 20


def test_client_receives_refusals_as_acks_and_as_events(
    server: Server, tmp_path: Path, transports: list[str]
) -> None:
    with connected(server, program.token(tmp_path, "7"), transports) as client:
        refused = client.call("start-import", {"source": "inline", "filename": "x"})
        assert (refused["success"], refused["code"]) == (False, "VALIDATION_ERROR")
        client.io.emit("cancel-import", "no-such-import")
        assert client.next("application-error")["code"] == "NOT_FOUND"
        request = {"source": "inline", "filename": "x.csv", "csv": "Location,Devices\n1,2\n"}
        number = client.call("start-import", request)["importId"]
        failed = client.next("import-failed")
        assert (failed["importId"], failed["code"]) == (number, "VALIDATION_ERROR")


def test_client_receives_the_events_of_other_users(
    server: Server, tmp_path: Path, transports: list[str]
) -> None:
    # A resource per case: the editor of the former case may not have left yet, and the hub reports
    # only the first editor of a user.
    ticket = "-".join(transports)
    tokens = [program.token(tmp_path, user) for user in ("7", "8")]
    with (
        connected(server, tokens[0], transports) as watcher,
        connected(server, tokens[1], transports) as editor,
    ):
        assert editor.call("start-editing", "ticket", ticket)["success"]
        assert watcher.next("user-started-editing")["resourceId"] == ticket


def test_client_without_a_valid_token_receives_the_reason(
    server: Server, transports: list[str]
) -> None:
    client = socketio.Client(reconnection=False)
    refusals: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client.on("connect_error", refusals.put)
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(server.url, auth={"token": "x"}, transports=transports, wait_timeout=300)
    assert refusals.get(timeout=LIMIT)["data"]["code"] == "UNAUTHORIZED"


def test_client_is_disconnected_when_the_hub_stops(tmp_path: Path, transports: list[str]) -> None:
    token = program.token(tmp_path, "7")
    with (
        program.run_server(tmp_path) as server,
        connected(server, token, transports) as client,
    ):
        exit_code, log = server.stop(signal.SIGTERM)
        assert client.next("disconnect") == client.io.reason.SERVER_DISCONNECT
    assert exit_code == 0
    assert "Traceback" not in log

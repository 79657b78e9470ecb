"""Following an import: live events, the fallback to the HTTP API, and servers that restart."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hextrackr_server.cli import import_watch
from hextrackr_server.cli.api_client import ClientError, UnreachableError
from hextrackr_server.cli.import_watch import follow
from socketio_core import AckError, Socket, SocketServer
from tests.interop.support import LoopThread, serving

RUNNING = {"importId": 5, "status": "staging", "overall": 10, "message": "Staged 1 of 10 rows"}
DONE = {"importId": 5, "status": "completed", "overall": 100, "message": "", "result": {}}


class Api:
    """The HTTP API of a server, with prepared answers."""

    path = ""
    token = "t"
    tls = None

    def __init__(self, origin: str, *answers: Any) -> None:
        self.origin = origin
        self._answers = list(answers)
        self.requests = 0

    def import_status(self, import_id: int) -> dict[str, Any]:
        assert import_id == 5
        self.requests += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        result: dict[str, Any] = answer
        return result


class Shown(list[tuple[int, str, str]]):
    """The calls of the function that displays progress."""

    def __call__(self, percent: int, phase: str, message: str) -> None:
        self.append((percent, phase, message))


def follow_import(api: Any) -> tuple[dict[str, Any], Shown]:
    shown = Shown()
    return follow(api, 5, shown), shown


def make_server(status: dict[str, Any] = RUNNING) -> SocketServer:
    io = SocketServer()

    @io.on("join-import-room")
    async def join(socket: Socket, import_id: int) -> dict[str, Any]:
        assert import_id == 5
        assert socket.handshake.auth == {"token": "t"}
        assert socket.handshake.headers["authorization"] == "Bearer t"
        await socket.join("import-5")
        return {"success": True, "status": status}

    return io


def test_progress_is_shown_from_events_and_the_end_is_requested() -> None:
    io = make_server()

    @io.on("connection")
    def connected(socket: Socket) -> None:
        for percent in (20, 30):
            socket.emit("import-progress", RUNNING | {"overall": percent})
        socket.emit("import-progress", RUNNING | {"importId": 6, "overall": 99})
        socket.emit("import-failed", {"importId": 6})
        socket.emit("import-completed", {"importId": 5})

    with serving(io) as (url, _):
        api = Api(url, DONE)
        status, shown = follow_import(api)
    assert status == DONE
    assert api.requests == 1
    percents = [percent for percent, _, _ in shown]
    assert sorted(percents) == percents or percents == [20, 30, 10]
    assert {20, 30} <= set(percents)


def test_import_that_has_ended_needs_no_request() -> None:
    with serving(make_server(DONE)) as (url, _):
        api = Api(url, AssertionError("no request"))
        assert follow_import(api) == (DONE, [])


def test_status_is_requested_without_live_events(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(import_watch, "POLL_SECONDS", 0.01)
    api = Api(f"http://127.0.0.1:{unused_tcp_port}", RUNNING, RUNNING, DONE)
    status, shown = follow_import(api)
    assert status == DONE
    assert shown == [(10, "staging", "Staged 1 of 10 rows")] * 2
    io = make_server()
    io.use(lambda socket: False)  # a server that refuses the socket
    with serving(io) as (url, _):
        assert follow_import(Api(url, RUNNING, DONE))[0] == DONE


def test_refused_room_leaves_the_status_to_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_watch, "POLL_SECONDS", 0.01)
    io = SocketServer()

    @io.on("join-import-room")
    def join(socket: Socket, import_id: int) -> None:
        raise AckError("RATE_LIMITED", "too many")

    with serving(io) as (url, _):
        assert follow_import(Api(url, RUNNING, DONE))[0] == DONE


@pytest.mark.parametrize("sends_disconnect", [True, False])
def test_client_returns_to_a_server_that_restarts(sends_disconnect: bool) -> None:
    first, second = make_server(), make_server(DONE | {"status": "failed"})
    joining = threading.Event()
    first.on_any(lambda socket, *event: joining.set())
    with LoopThread() as thread:
        port = thread.run(first.listen("127.0.0.1", 0)).port

        async def restart() -> None:
            if sends_disconnect:
                first.disconnect_sockets()
            await first.shutdown()
            await second.listen("127.0.0.1", port)

        restarting = threading.Thread(target=lambda: joining.wait(300) and thread.run(restart()))
        restarting.start()
        api = Api(f"http://127.0.0.1:{port}", UnreachableError("cannot connect"))
        status, shown = follow_import(api)
        restarting.join()
        thread.run(second.shutdown())
    assert status["status"] == "failed"
    assert ("reconnecting", "cannot connect") in {(phase, text) for _, phase, text in shown}


def test_unreachable_server_ends_the_command_in_time(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(import_watch, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(import_watch, "RECONNECT_SECONDS", 0.05)
    api = Api(f"http://127.0.0.1:{unused_tcp_port}", UnreachableError("cannot connect"))
    with pytest.raises(ClientError, match="cannot connect"):
        follow_import(api)

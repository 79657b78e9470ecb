"""A hub in several processes: gateways hold the connections, one process runs the application."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from hextrackr_server.cli.sample import write_sample
from tests.helpers.waiting import PATIENT
from tests.hextrackr_server.client import Client, connected
from tests.interop import program

WORKERS = 3
LIMIT = 300.0


class Server:
    """A running hub with gateways."""

    def __init__(self, process: subprocess.Popen[str], log: Path, url: str) -> None:
        self.process = process
        self.url = url
        self._log = log

    def log(self) -> str:
        """Return the log of all processes."""
        return self._log.read_text()

    def pid(self, worker: str) -> int:
        """Wait until a worker's start is logged, and return the process id of the last one."""
        end = time.monotonic() + LIMIT
        while not self.starts(worker):
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)  # no event reports a line of another process
        return int(re.findall(rf"worker {worker} started as process (\d+)", self.log())[-1])

    def starts(self, worker: str) -> int:
        """Return how often a worker was started."""
        return len(re.findall(rf"worker {worker} started", self.log()))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    log = tmp_path / "log"
    command = [program.PROGRAM, "serve", "--port", "0", "--workers", str(WORKERS)]
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "--database", str(tmp_path / "hub.db")],
            env=program.environment(JWT_SECRET=program.SECRET, PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    with process:
        assert process.stdout is not None
        banner = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", banner)
        assert found is not None, log.read_text()
        yield Server(process, log, found[0])
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=LIMIT)


@pytest.fixture
def user(tmp_path: Path) -> str:
    return program.token(tmp_path, "7")


@pytest.fixture
def admin(tmp_path: Path) -> str:
    return program.token(tmp_path, "1", "admin")


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - other processes change it
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def several(server: Server, token: str, count: int) -> AsyncIterator[list[Client]]:
    """Connect clients, which different gateways accept."""
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(connected(server.url, {"token": token}))
            for _ in range(count)
        ]


def exists(path: str) -> bool:
    return os.path.exists(path)


async def test_clients_of_all_gateways_share_the_state(
    server: Server, user: str, admin: str
) -> None:
    async with several(server, user, 9) as clients:
        reply = await clients[0].emit_with_ack("start-editing", "ticket", "5")
        assert reply["success"]
        for client in clients[1:]:
            event = await client.receive_event("user-started-editing")
            assert event["resourceId"] == "5"
        await until(lambda: len(set(re.findall(r"session .{6} opened", server.log()))) >= 9)
        current = await clients[-1].emit_with_ack("watch-resource", "ticket", "5")
        assert [each["userId"] for each in current["currentEditors"]] == ["7"]


async def test_progress_of_an_import_reaches_clients_of_all_gateways(
    server: Server, admin: str, tmp_path: Path
) -> None:
    file = tmp_path / "sample.csv"
    write_sample(file, 500, 1)
    async with several(server, admin, 6) as clients:
        imported = await asyncio.to_thread(
            program.run, "import", str(file), "--url", server.url, "--token", admin, cwd=tmp_path
        )
        assert imported.returncode == 0, imported.stderr
        ends = [await client.receive_event("import-finished") for client in clients]
        assert len({end["importId"] for end in ends}) == 1


async def test_requests_of_a_polling_client_reach_the_gateway_of_its_session(
    server: Server, user: str
) -> None:
    def request(sid: str = "", body: bytes | None = None) -> str:
        """Send one request over a connection of its own, which any gateway may accept."""
        url = f"{server.url}/socket.io/?EIO=4&transport=polling{sid and '&sid='}{sid}"
        with urllib.request.urlopen(url, body, timeout=LIMIT) as response:
            return str(response.read().decode())

    def session() -> None:
        sid = json.loads(request()[1:])["sid"]
        assert request(sid, b'40{"token":"' + user.encode() + b'"}') == "ok"
        received = request(sid)
        for number in range(10):
            event = f'42{number}["get-data",{{"resource":"kev"}}]'
            assert request(sid, event.encode()) == "ok"
            while f"43{number}[" not in received:
                received += request(sid)

    await asyncio.gather(*(asyncio.to_thread(session) for _ in range(6)))
    await until(lambda: len(re.findall("opened over polling", server.log())) >= 6)


async def test_upgrade_reaches_the_gateway_of_its_session(server: Server, user: str) -> None:
    address = f"{server.url}/socket.io/?EIO=4&transport="
    for _ in range(6):
        with await asyncio.to_thread(urllib.request.urlopen, address + "polling") as response:
            sid = json.loads(response.read()[1:])["sid"]
        url = address.replace("http", "ws", 1) + f"websocket&sid={sid}"
        async with connect(url, **PATIENT) as websocket:
            await websocket.send("2probe")
            assert await websocket.recv() == "3probe"
            await websocket.send("5")
            await websocket.send('40{"token":"' + user + '"}')
            assert str(await websocket.recv()).startswith("40")


async def test_clients_of_other_gateways_stay_when_a_gateway_is_killed(
    server: Server, user: str
) -> None:
    async with several(server, user, 12) as clients:
        os.kill(server.pid("gateway 1"), signal.SIGKILL)
        await until(lambda: server.starts("gateway 1") == 2)
        await until(lambda: server.log().count("a gateway connected; 3 in total") == 2)
        left = 0
        for client in clients:
            if client.reader.done():
                left += 1
            else:
                assert (await client.emit_with_ack("get-data", {"resource": "kev"}))["success"]
        assert left < len(clients)
        async with connected(server.url, {"token": user}) as again:
            assert (await again.emit_with_ack("get-data", {"resource": "kev"}))["success"]


async def test_application_starts_again_when_it_was_killed(server: Server, user: str) -> None:
    async with several(server, user, 3) as clients:
        os.kill(server.pid("application"), signal.SIGKILL)
        for client in clients:
            await client.reader  # its connection is closed, so that it connects again
        await until(lambda: server.starts("application") == 2)
        await until(lambda: server.log().count("a gateway connected; 3 in total") == 2)
        async with connected(server.url, {"token": user}) as again:
            assert (await again.emit_with_ack("get-data", {"resource": "kev"}))["success"]
    assert all(server.starts(f"gateway {number}") == 1 for number in (1, 2, 3))


async def test_hangup_restarts_the_gateways_and_keeps_the_application(
    server: Server, user: str
) -> None:
    server.process.send_signal(signal.SIGHUP)
    await until(lambda: all(server.starts(f"gateway {number}") == 2 for number in (1, 2, 3)))
    # Three links of the first start, and one of each gateway that starts again.
    await until(lambda: server.log().count("a gateway connected") == 6)
    assert "starts again" not in server.log()
    assert server.starts("application") == 1
    async with connected(server.url, {"token": user}) as client:
        assert (await client.emit_with_ack("get-data", {"resource": "kev"}))["success"]


async def test_all_processes_end_after_sigterm(server: Server, user: str) -> None:
    pids = [server.pid("application"), *(server.pid(f"gateway {n}") for n in (1, 2, 3))]
    (path,) = re.findall(r"unix:(\S+)/http.sock", server.log())
    assert exists(path)
    async with several(server, user, 4) as clients:
        server.process.send_signal(signal.SIGTERM)
        for client in clients:
            await client.receive_event("system-notification")
            await client.reader
    assert await asyncio.to_thread(server.process.wait, LIMIT) == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not exists(path)


def test_http_request_receives_503_while_the_application_is_down(server: Server) -> None:
    def request() -> tuple[int, str | None]:
        try:
            with urllib.request.urlopen(f"{server.url}/health", timeout=LIMIT) as response:
                return response.status, response.headers["retry-after"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["retry-after"]

    end = time.monotonic() + LIMIT
    seen: set[tuple[int, str | None]] = set()
    while time.monotonic() < end and len(seen) < 2:
        if (503, "1") not in seen:  # on a busy machine, the application may be back before
            with contextlib.suppress(ProcessLookupError):
                os.kill(server.pid("application"), signal.SIGKILL)
        seen.add(request())
    assert seen == {(200, None), (503, "1")}


def test_upload_of_a_client_that_leaves_is_abandoned(server: Server, admin: str) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    head = (
        "POST /api/imports HTTP/1.1\r\nHost: a\r\nContent-Type: text/csv\r\n"
        f"Authorization: Bearer {admin}\r\nContent-Length: 1000000\r\n\r\n"
    )
    end = time.monotonic() + LIMIT
    # On a busy machine, the client may leave before the application has the request.
    seconds = 0.3
    while "the client left during POST /api/imports" not in server.log():
        assert time.monotonic() < end
        with socket.create_connection((host, int(port)), timeout=LIMIT) as connection:
            connection.sendall(head.encode() + b"x" * 10_000)
            time.sleep(seconds)
        time.sleep(0.3)
        seconds *= 2
    assert "Traceback" not in server.log()


def test_second_server_reports_the_database_in_use(server: Server, tmp_path: Path) -> None:
    second = program.run(
        "serve", "--port", "0", "--workers", "2", "--database", str(tmp_path / "hub.db"),
        cwd=tmp_path,
    )  # fmt: skip
    assert second.returncode == 1
    assert "is in use by another server" in second.stderr

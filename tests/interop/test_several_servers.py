"""Several servers with one PostgreSQL database: one is active, the others stand by."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from hextrackr_server.cli.sample import write_sample
from tests.helpers.ports import reserve_port
from tests.helpers.waiting import PATIENT
from tests.hextrackr_server.client import Refused, connected
from tests.hextrackr_server.postgres.server import running_postgres
from tests.interop import program

pytestmark = pytest.mark.postgres

LIMIT = 300.0


class Server:
    """One server of the cluster, with its gateways."""

    def __init__(self, folder: Path, database: str) -> None:
        self._log = folder / "log"
        folder.mkdir()
        self.port, tunnel = reserve_port(), reserve_port()
        self.url = f"http://127.0.0.1:{self.port}"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [program.PROGRAM, "serve", "--port", str(self.port)],
                env=program.environment(
                    JWT_SECRET=program.SECRET,
                    DATABASE=str(folder / "uploads.db"),
                    DATABASE_URL=database,
                    HEXTRACKR_CLUSTER_ADDRESS=f"127.0.0.1:{tunnel}",
                ),
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        """Return the log of all processes of the server."""
        return self._log.read_text()

    async def ready(self, role: str) -> None:
        """Wait until the server is `active` or a `standby`, and its gateway serves clients."""
        text = "standby: another server is active" if role == "standby" else "HexTrackr listens"
        await until(lambda: text in self.log() and "linked to the origin" in self.log())

    def kill(self) -> None:
        """Kill all processes of the server at once, as a power failure does."""
        for pid in re.findall(r"started as process (\d+)", self.log()):
            os.kill(int(pid), signal.SIGKILL)
        self.process.kill()

    def stop(self) -> None:
        """Stop the server, if it runs."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(LIMIT)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - other processes change it
            await asyncio.sleep(0.05)


async def ask(server: Server, token: str) -> bool:
    """Connect as soon as the server accepts clients; return whether it answers a query."""
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                async with connected(server.url, {"token": token}) as client:
                    reply = await client.emit_with_ack("get-data", {"resource": "kev"})
                    return bool(reply["success"])
            except (OSError, Refused):
                pass
            except Exception as error:
                # The handshake receives 503 while no server is active.
                if "503" not in str(error) and "did not receive a valid" not in str(error):
                    raise
            await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture
def servers(tmp_path: Path, database: str) -> Iterator[tuple[Server, Server]]:
    first = Server(tmp_path / "first", database)
    asyncio.run(first.ready("active"))
    second = Server(tmp_path / "second", database)
    asyncio.run(second.ready("standby"))
    yield first, second
    for server in (first, second):
        server.stop()


@pytest.fixture
def user(tmp_path: Path) -> str:
    return program.token(tmp_path, "7")


@pytest.fixture
def admin(tmp_path: Path) -> str:
    return program.token(tmp_path, "1", "admin")


async def test_clients_of_both_servers_share_the_state(
    servers: tuple[Server, Server], user: str, admin: str, tmp_path: Path
) -> None:
    active, standby = servers
    file = tmp_path / "sample.csv"
    write_sample(file, 200, 1)
    async with (
        connected(active.url, {"token": user}) as one,
        connected(standby.url, {"token": admin}) as other,
    ):
        await one.emit_with_ack("start-editing", "ticket", "5")
        assert (await other.receive_event("user-started-editing"))["userId"] == "7"
        await announce(standby, admin)
        assert (await one.receive_event("system-announcement"))["message"] == "hello"
        imported = await asyncio.to_thread(
            program.run, "import", str(file), "--url", standby.url, "--token", admin, cwd=tmp_path
        )
        assert imported.returncode == 0, imported.stderr
        assert (await other.receive_event("import-finished"))["summary"]["rows"] == 200
        await one.receive_event("vulnerability-updated")


async def announce(server: Server, admin: str) -> None:
    """Send an announcement through the namespace of administrators."""
    address = server.url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    async with connect(address, **PATIENT) as websocket:
        await websocket.recv()
        await websocket.send('40/admin,{"token":"' + admin + '"}')
        await websocket.recv()
        await websocket.send('42/admin,1["broadcast-announcement",{"message":"hello"}]')
        await websocket.recv()


async def test_standby_takes_over_when_the_active_server_dies(
    servers: tuple[Server, Server], user: str
) -> None:
    active, standby = servers
    async with connected(standby.url, {"token": user}) as client:
        active.kill()
        await client.reader  # its connection is closed, so that it connects again
    assert await ask(standby, user)
    await standby.ready("active")


async def test_standby_takes_over_when_the_active_server_stops(
    servers: tuple[Server, Server], user: str
) -> None:
    active, standby = servers
    async with connected(standby.url, {"token": user}) as client:
        active.process.terminate()
        await client.receive_event("system-notification")
        await client.reader
    assert await asyncio.to_thread(active.process.wait, LIMIT) == 0
    assert await ask(standby, user)


async def test_server_with_another_secret_is_refused(
    servers: tuple[Server, Server], tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "SECRET", "f" * 64)
    stranger = Server(tmp_path / "stranger", database)
    try:
        await until(
            lambda: (
                "the active server has another secret" in stranger.log()
                or "refused the tunnel" in stranger.log()
            )
        )
        assert "linked to the origin" not in stranger.log()
        await until(lambda: "a tunnel was refused" in servers[0].log())
    finally:
        stranger.stop()


def test_server_does_not_start_when_its_cluster_address_is_in_use(
    tmp_path: Path, database: str
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        refused = program.run(
            "serve", "--port", "0", "--database", str(tmp_path / "uploads.db"),
            cwd=tmp_path,
            DATABASE_URL=database,
            HEXTRACKR_CLUSTER_ADDRESS=f"127.0.0.1:{other.getsockname()[1]}",
        )  # fmt: skip
    assert refused.returncode == 1
    assert "choose another HEXTRACKR_CLUSTER_ADDRESS" in refused.stderr


def test_cluster_address_requires_a_shared_database(tmp_path: Path) -> None:
    refused = program.run("serve", cwd=tmp_path, HEXTRACKR_CLUSTER_ADDRESS="127.0.0.1:8090")
    assert refused.returncode == 1
    assert "set DATABASE_URL" in refused.stderr

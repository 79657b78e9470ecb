"""The servers of the benchmark behave alike; the tests start each server as a process."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.peers import (
    BENCHMARKS,
    NODE,
    OURS_ASYNC,
    OURS_FULL,
    OURS_SYNC,
    PYTHON_SOCKETIO,
    Peer,
    PeerMissingError,
    Server,
    ServerEndedError,
)
from benchmarks.process_tree import listening_ports
from tests.helpers.waiting import PATIENT

RECEIVE_TIMEOUT = 300.0
DATA = {"id": 1, "text": "é", "list": [1, None, True]}
PEERS = (OURS_ASYNC, OURS_SYNC, OURS_FULL, OURS_ASYNC.with_flags("--deflate"), NODE,
         NODE.with_flags("--deflate"), PYTHON_SOCKETIO)  # fmt: skip


@pytest.fixture(params=PEERS, ids=lambda peer: " ".join((peer.name, *peer.command[-1:])))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    peer: Peer = request.param
    try:
        running = Server(peer).__enter__()
    except PeerMissingError as error:
        pytest.fail(f"{error}", pytrace=False)
    yield running
    running.stop()


class Client:
    """Minimal Socket.IO client on WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def open(self) -> dict[str, object]:
        """Join the namespace `/`; return the data of the Engine.IO handshake."""
        opened = await self.receive()
        await self.send("40")
        assert (await self.receive()).startswith('40{"sid":"')
        return dict(json.loads(opened[1:]))

    async def send(self, text: str) -> None:
        await self._connection.send(text)

    async def receive(self) -> str:
        """Return the next packet; answer pings, the first of which socketioxide sends at once."""
        async with asyncio.timeout(RECEIVE_TIMEOUT):
            while (message := await self._connection.recv()) == "2":
                await self.send("3")
        assert isinstance(message, str)
        return message

    async def receive_packet(self) -> tuple[str, list[object]]:
        """Return the head of an event or ack, and its data without the offset of recovery."""
        message = await self.receive()
        head, bracket, rest = message.partition("[")
        data = json.loads(bracket + rest)
        return head, data[:2]


async def test_servers_behave_alike(server: Server) -> None:
    url = f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket"
    async with (
        connect(url, **PATIENT) as first_connection,
        connect(url, **PATIENT) as second_connection,
    ):
        first, second = Client(first_connection), Client(second_connection)
        opened = await first.open()
        await second.open()
        assert (opened["pingInterval"], opened["pingTimeout"]) == (25000, 20000)

        await first.send(f'427["echo",{json.dumps(DATA)}]')
        assert await first.receive_packet() == ("437", [DATA])

        # The server does not ack `msg`, so the next packet is the ack of the second event.
        await first.send('42["msg",{"a":1}]')
        await first.send('428["echo",2]')
        assert await first.receive_packet() == ("438", [2])

        await first.send('429["bcast",{"b":2}]')
        packets = [await first.receive_packet(), await first.receive_packet()]
        assert sorted(packets, key=str) == [("42", ["update", {"b": 2}]), ("439", [1])]
        assert await second.receive_packet() == ("42", ["update", {"b": 2}])


LISTEN = "import socket, sys; listener = socket.create_server(('127.0.0.1', 0)); "
END = "connection, _ = listener.accept(); sys.exit('the disk is full')"


def read_memory(peer: Peer) -> None:
    with Server(peer) as server:
        server.memory_bytes()


def wait_for_end(peer: Peer) -> None:
    """Wait until the server closes a connection, which fails as a measurement does."""
    with (
        Server(peer) as server,
        socket.create_connection(("127.0.0.1", server.port), RECEIVE_TIMEOUT) as connection,
    ):
        assert connection.recv(1), "the server closed the connection"


@pytest.mark.parametrize(("use", "program", "end"), [
    (wait_for_end, END, "ended with exit code 1\nthe disk is full"),
    (read_memory, "listener.accept()", "was ended by signal SIGUSR2"),
], ids=["exit code", "signal"])  # fmt: skip
def test_failed_measurement_reports_how_its_server_ended(
    use: Callable[[Peer], None], program: str, end: str
) -> None:
    peer = Peer("a server", (sys.executable, "-c", LISTEN + program))
    with pytest.raises(ServerEndedError, match=f"^a server {end}$"):
        use(peer)


def test_failed_block_of_a_running_server_keeps_its_error() -> None:
    peer = Peer("a server", (sys.executable, "-c", LISTEN + "listener.accept()"))
    with pytest.raises(ZeroDivisionError), Server(peer):
        _ = 1 / 0


def test_server_that_ends_during_its_start_is_reported_with_its_exit_code() -> None:
    peer = Peer("a server", (sys.executable, "-c", "import sys; sys.exit('no memory')"))
    with pytest.raises(PeerMissingError, match=r"(?s)a server ended with exit code 1;.*no memory"):
        Server(peer).__enter__()


def test_port_of_a_server_is_the_one_on_which_its_process_listens() -> None:
    peer = Peer("a server", (sys.executable, "-c", LISTEN + "listener.accept()"))
    with Server(peer) as first, Server(peer) as second:
        assert listening_ports(first._process.pid) == {first.port}
        assert listening_ports(second._process.pid) == {second.port}
        assert first.port != second.port


def test_node_server_handles_signals_before_it_listens(tmp_path: Path) -> None:
    """The kernel accepts connections from then on, so that the benchmark may send a signal."""
    stub = tmp_path / "stub.js"
    stub.write_text("""
        const handled = () => ["SIGUSR2", "SIGTERM"].map((name) => process.listenerCount(name));
        class Server {
          engine = { on() {} };
          on() {}
          constructor() { console.log(JSON.stringify(handled())); }
        }
        const Module = require("node:module");
        const load = Module._load;
        Module._load = (name, ...rest) => (name === "socket.io" ? { Server } : load(name, ...rest));
    """)
    done = subprocess.run(
        ["node", "--require", str(stub), str(BENCHMARKS / "servers" / "node_socketio.js"), "0"],
        capture_output=True, text=True, timeout=RECEIVE_TIMEOUT, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == [1, 1]

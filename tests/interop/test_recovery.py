"""Recovery of the official client after lost connections: each event arrives exactly once."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from socketio_core import Recovery, Socket, SocketServer
from tests.helpers.waiting import LIMIT, until

from .cutting_proxy import CuttingProxy, Ending
from .support import LoopThread, run_node, serving

pytestmark = pytest.mark.interop

SEED = int(os.environ.get("SEED", "20250930"))
EVENTS = 1000
CUTS = 50
CONNECT = b'40{"sid"'


class RecoveryServer:
    """A server that emits numbers, and the cutting proxy between server and client."""

    def __init__(self, skip_middlewares: bool = True) -> None:
        self.io = SocketServer(
            recovery=Recovery(skip_middlewares=skip_middlewares),
            ping_interval=1.0,
            ping_timeout=60.0,  # on a busy machine, a pong may be late
        )
        self.proxy: CuttingProxy
        self.sent: list[int] = []
        self.failures: list[str] = []
        self._connections: asyncio.Queue[Socket] = asyncio.Queue()
        self.io.on("connection", self._connected)

    async def _connected(self, socket: Socket) -> None:
        if socket.recovered:
            if socket.rooms != {socket.id, "readers"} or socket.data != {"name": "reader"}:
                self.failures.append(f"restored with {socket.rooms} and {socket.data}")
        else:
            socket.data["name"] = "reader"
            await socket.join("readers")
        self._connections.put_nowait(socket)

    async def next_connection(self) -> Socket:
        """Wait for the next connection of the client and return its socket."""
        async with asyncio.timeout(300):
            return await self._connections.get()

    async def client_has_all(self, socket: Socket, transports: str) -> None:
        """Wait for the last transport, and until the client has received all emitted events.

        An event with an ack has no offset.
        """
        last = transports.rpartition(",")[2]
        await until(lambda: socket.session.transport.name == last)
        await socket.timeout(LIMIT).emit_with_ack("request", "text")

    def emit_number(self, number: int) -> None:
        """Emit a number to the client, and other events that must not affect the recovery."""
        self.sent.append(number)
        readers = self.io.to("readers")
        readers.emit("number", number)
        readers.volatile.emit("noise", "text")
        if number % 10 == 0:
            self.io.to("others").emit("number", -number)
        if number % 50 == 0:
            for socket in self.io.sockets.values():
                socket.emit("request", "text", ack=lambda *_: None)

    def end_client(self) -> None:
        """Emit the event that ends the client."""
        self.io.to("readers").emit("end")


class RecoveryRun:
    """A run of the client, with a scenario on the server at the same time."""

    def __init__(self, server: RecoveryServer, thread: LoopThread, url: str) -> None:
        self.server = server
        self._thread = thread
        self._url = url

    def run(
        self, transports: str, scenario: Callable[[], Coroutine[Any, Any, None]]
    ) -> dict[str, Any]:
        """Run the client and the scenario, and return the report of the client."""
        with ThreadPoolExecutor(1) as pool:
            client = pool.submit(run_node, "recovery.js", self._url, transports, limit=300)
            self._thread.run(scenario(), timeout=290)
            (report,) = client.result()
        assert "error" not in report, report
        assert not self.server.failures
        return report

    def check_report(self, report: dict[str, Any]) -> None:
        """Check that all numbers arrived once and in order, and that each reconnect recovered.

        The offsets of the numbers must increase.
        """
        assert [number for number, _ in report["numbers"]] == self.server.sent
        origins, digits = zip(*(offset.split("-") for _, offset in report["numbers"]), strict=True)
        assert len(set(origins)) == 1
        offsets = [int(each) for each in digits]
        assert offsets == sorted(set(offsets))
        first, *later = report["connects"]
        assert not first["recovered"]
        assert all(each == {"id": first["id"], "recovered": True} for each in later)


@pytest.fixture
def recovery_run(request: pytest.FixtureRequest) -> Iterator[RecoveryRun]:
    server = RecoveryServer(**getattr(request, "param", {}))
    with serving(server.io) as (url, thread):

        async def start_proxy() -> int:
            server.proxy = CuttingProxy(int(url.rpartition(":")[2]))
            return await server.proxy.listen()

        port = thread.run(start_proxy())
        yield RecoveryRun(server, thread, f"http://127.0.0.1:{port}")
        thread.run(server.proxy.close())


each_transport = pytest.mark.parametrize(
    "transports", ["polling", "websocket", "polling,websocket"]
)


@each_transport
def test_all_events_arrive_once_after_many_lost_connections(
    recovery_run: RecoveryRun, transports: str
) -> None:
    print(f"SEED={SEED}")
    server = recovery_run.server
    returns: list[Any] = []

    @server.io.on("connection")
    def connected(socket: Socket) -> None:
        # The client answers when it has received that it is connected.
        socket.emit("request", "text", ack=lambda *_: returns.append(socket))

    async def count() -> None:
        for number in range(1, EVENTS + 1):
            server.emit_number(number)
            await asyncio.sleep(0.006)

    if transports == "websocket":
        # The official client receives missed events twice when only the CONNECT behind them is
        # lost. The server writes both at once.
        server.proxy.whole = CONNECT

    async def scenario() -> None:
        await server.next_connection()
        cutting = server.proxy.cut_often(
            random.Random(SEED), list(Ending), CUTS, lambda: len(returns) > CUTS / 10
        )
        await asyncio.gather(count(), cutting)
        server.end_client()

    report = recovery_run.run(transports, scenario)
    recovery_run.check_report(report)
    assert server.proxy.cuts >= CUTS
    assert len(report["connects"]) > CUTS / 10


@each_transport
@pytest.mark.parametrize("ending", list(Ending))
def test_missed_events_arrive_when_the_client_had_no_event_before(
    recovery_run: RecoveryRun, transports: str, ending: Ending
) -> None:
    server = recovery_run.server

    async def scenario() -> None:
        await server.client_has_all(await server.next_connection(), transports)
        server.proxy.cut_session(ending)
        for number in (1, 2, 3):
            server.emit_number(number)
        await server.next_connection()
        server.end_client()

    report = recovery_run.run(transports, scenario)
    recovery_run.check_report(report)
    assert len(report["connects"]) == 2


def cut_recoveries() -> list[Any]:
    """Return the transports and the bytes before which a recovery is cut."""
    positions = {"the CONNECT": CONNECT, "the first": b'"number",11', "the last": b'"number",13'}
    # The official client keeps events that arrived before a lost CONNECT and receives them again.
    # On a WebSocket, the server therefore writes both at once; only this proxy separates them.
    return [
        pytest.param(transports, position, id=f"{transports}, before {name}")
        for transports in ("polling", "websocket", "polling,websocket")
        for name, position in positions.items()
        if transports != "websocket" or name == "the first"
    ]


@pytest.mark.parametrize(("transports", "position"), cut_recoveries())
@pytest.mark.parametrize("ending", [Ending.RST, Ending.STALE])
@pytest.mark.parametrize("has_offset", [True, False], ids=["after an event", "before any event"])
def test_recovery_succeeds_when_the_previous_one_was_cut(
    recovery_run: RecoveryRun, transports: str, ending: Ending, has_offset: bool, position: bytes
) -> None:
    server = recovery_run.server

    async def scenario() -> None:
        socket = await server.next_connection()
        if has_offset:
            server.emit_number(1)
        await server.client_has_all(socket, transports)
        server.proxy.cut_session(ending)
        for number in (11, 12, 13):
            server.emit_number(number)
        await server.proxy.cut_before(position, ending)
        await server.next_connection()
        server.emit_number(14)
        server.end_client()

    recovery_run.check_report(recovery_run.run(transports, scenario))


@each_transport
@pytest.mark.parametrize("recovery_run", [{"skip_middlewares": False}], indirect=True, ids=[""])
def test_recovery_succeeds_when_the_previous_one_was_cut_in_a_middleware(
    recovery_run: RecoveryRun, transports: str
) -> None:
    server = recovery_run.server
    entered: asyncio.Queue[None] = asyncio.Queue()

    @server.io.use
    async def slow(socket: Socket) -> None:
        entered.put_nowait(None)
        await asyncio.sleep(0.1)

    async def scenario() -> None:
        socket = await server.next_connection()
        await entered.get()
        server.emit_number(1)
        await server.client_has_all(socket, transports)
        server.proxy.cut_session(Ending.RST)
        server.emit_number(2)
        await entered.get()
        server.proxy.cut_session(Ending.RST)
        server.emit_number(3)
        await server.next_connection()
        server.end_client()

    recovery_run.check_report(recovery_run.run(transports, scenario))

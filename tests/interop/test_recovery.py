"""The official client comes back after a cut: nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from socketio_core import Recovery, Socket, SocketServer

from .cutting_proxy import CuttingProxy, Direction, Ending
from .support import LoopThread, run_node, serving

pytestmark = pytest.mark.interop

SEED = int(os.environ.get("SEED", "20250930"))
EVENTS = 1000
CUTS = 50
CONNECT = b'40{"sid"'


class Stage:
    """A server that counts aloud, a proxy that cuts, and the client behind it."""

    def __init__(self, skip_middlewares: bool = True) -> None:
        self.io = SocketServer(
            recovery=Recovery(skip_middlewares=skip_middlewares),
            ping_interval=1.0,
            ping_timeout=1.0,
        )
        self.proxy: CuttingProxy
        self.told: list[int] = []
        self.failures: list[str] = []
        self._arrivals: asyncio.Queue[Socket] = asyncio.Queue()
        self.io.on("connection", self._connected)

    async def _connected(self, socket: Socket) -> None:
        if socket.recovered:
            if socket.rooms != {socket.id, "readers"} or socket.data != {"name": "reader"}:
                self.failures.append(f"restored with {socket.rooms} and {socket.data}")
        else:
            socket.data["name"] = "reader"
            await socket.join("readers")
        self._arrivals.put_nowait(socket)

    async def arrival(self) -> Socket:
        """Wait for the next connection of the client."""
        async with asyncio.timeout(60):
            return await self._arrivals.get()

    def tell(self, number: int) -> None:
        """Send a number, and others what the client must not notice."""
        self.told.append(number)
        readers = self.io.to("readers")
        readers.emit("number", number)
        readers.volatile.emit("noise", "ends with a text")
        if number % 10 == 0:
            self.io.to("others").emit("number", -number)
        if number % 50 == 0:
            for socket in self.io.sockets.values():
                socket.emit("question", "ends with a text", ack=lambda *_: None)

    def end(self) -> None:
        """Let the client end."""
        self.io.to("readers").emit("end")


class Play:
    """Runs the client, and meanwhile what happens to it."""

    def __init__(self, stage: Stage, thread: LoopThread, url: str) -> None:
        self.stage = stage
        self._thread = thread
        self._url = url

    def run(self, transports: str, plot: Callable[[], Coroutine[Any, Any, None]]) -> dict[str, Any]:
        """What the client saw, from its first connection to the end of the plot and a bit on."""
        with ThreadPoolExecutor(1) as pool:
            client = pool.submit(run_node, "recovery.js", self._url, transports, limit=90)
            self._thread.run(plot(), timeout=88)
            (seen,) = client.result()
        assert "error" not in seen, seen
        assert not self.stage.failures
        return seen

    def expect_all(self, seen: dict[str, Any]) -> None:
        """Every number once, in order, with a later offset; and every return was a recovery."""
        assert [number for number, _ in seen["numbers"]] == self.stage.told
        origins, digits = zip(*(offset.split("-") for _, offset in seen["numbers"]), strict=True)
        assert len(set(origins)) == 1
        offsets = [int(each) for each in digits]
        assert offsets == sorted(set(offsets))
        first, *later = seen["connects"]
        assert not first["recovered"]
        assert all(each == {"id": first["id"], "recovered": True} for each in later)


@pytest.fixture
def play(request: pytest.FixtureRequest) -> Iterator[Play]:
    stage = Stage(**getattr(request, "param", {}))
    with serving(stage.io) as (url, thread):

        async def interpose() -> int:
            stage.proxy = CuttingProxy(int(url.rpartition(":")[2]))
            return await stage.proxy.listen()

        port = thread.run(interpose())
        yield Play(stage, thread, f"http://127.0.0.1:{port}")
        thread.run(stage.proxy.close())


every_way = pytest.mark.parametrize("transports", ["polling", "websocket", "polling,websocket"])


@every_way
def test_a_thousand_events_survive_fifty_cuts(play: Play, transports: str) -> None:
    print(f"SEED={SEED}")
    chance = random.Random(SEED)
    stage = play.stage

    async def count() -> None:
        for number in range(1, EVENTS + 1):
            stage.tell(number)
            await asyncio.sleep(0.006)

    async def cut() -> None:
        for _ in range(CUTS):
            await asyncio.sleep(chance.uniform(0.005, 0.16))
            ending = chance.choice(list(Ending))
            if chance.random() < 0.4:
                stage.proxy.cut(ending)
            else:
                direction = chance.choice(list(Direction))
                await stage.proxy.cut_after(chance.randrange(1, 1500), direction, ending)

    async def plot() -> None:
        await stage.arrival()
        await asyncio.gather(count(), cut())
        stage.end()

    seen = play.run(transports, plot)
    play.expect_all(seen)
    assert stage.proxy.cuts >= CUTS
    assert len(seen["connects"]) > CUTS / 2


@every_way
@pytest.mark.parametrize("ending", list(Ending))
def test_a_client_that_has_seen_no_event_yet_misses_none(
    play: Play, transports: str, ending: Ending
) -> None:
    stage = play.stage

    async def plot() -> None:
        await stage.arrival()
        await asyncio.sleep(0.1)
        stage.proxy.cut(ending)
        for number in (1, 2, 3):
            stage.tell(number)
        await stage.arrival()
        stage.end()

    seen = play.run(transports, plot)
    play.expect_all(seen)
    assert len(seen["connects"]) == 2


def cut_recoveries() -> list[Any]:
    """Return where a recovery is cut: over which transport, before which bytes."""
    places = {"the connect": CONNECT, "the first": b'"number",11', "the last": b'"number",13'}
    # The official client keeps what came before a CONNECT that never came, and is given it again:
    # that is why a WebSocket gets both in one write, which nothing but this proxy takes apart.
    return [
        pytest.param(transports, where, id=f"{transports}, before {name}")
        for transports in ("polling", "websocket", "polling,websocket")
        for name, where in places.items()
        if transports != "websocket" or name == "the first"
    ]


@pytest.mark.parametrize(("transports", "where"), cut_recoveries())
@pytest.mark.parametrize("ending", [Ending.RST, Ending.STALE])
@pytest.mark.parametrize("has_seen", [True, False], ids=["after an event", "before any event"])
def test_a_recovery_that_is_cut_short_can_be_made_again(
    play: Play, transports: str, ending: Ending, has_seen: bool, where: bytes
) -> None:
    stage = play.stage

    async def plot() -> None:
        await stage.arrival()
        if has_seen:
            stage.tell(1)
        await asyncio.sleep(0.1)
        stage.proxy.cut(ending)
        for number in (11, 12, 13):
            stage.tell(number)
        await stage.proxy.cut_before(where, ending)
        await stage.arrival()
        await asyncio.sleep(0.1)
        stage.tell(14)
        stage.end()

    play.expect_all(play.run(transports, plot))


@every_way
@pytest.mark.parametrize("play", [{"skip_middlewares": False}], indirect=True, ids=[""])
def test_a_recovery_that_is_cut_in_a_middleware_can_be_made_again(
    play: Play, transports: str
) -> None:
    stage = play.stage
    entered: asyncio.Queue[None] = asyncio.Queue()

    @stage.io.use
    async def slow(socket: Socket) -> None:
        entered.put_nowait(None)
        await asyncio.sleep(0.1)

    async def plot() -> None:
        await stage.arrival()
        await entered.get()
        stage.tell(1)
        await asyncio.sleep(0.1)
        stage.proxy.cut(Ending.RST)
        stage.tell(2)
        await entered.get()
        stage.proxy.cut(Ending.RST)
        stage.tell(3)
        await stage.arrival()
        stage.end()

    play.expect_all(play.run(transports, plot))

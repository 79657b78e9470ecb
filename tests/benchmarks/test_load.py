"""The load benchmark: its generator against a real server, its proxy, and its rows."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load import __main__ as load
from benchmarks.load import generator, proxy
from benchmarks.load.effort import QUICK, Effort
from benchmarks.load.generator import Generator, GeneratorError
from benchmarks.load.proxy import BreakingProxy
from benchmarks.load.rows import Row, format_lines, format_table
from engineio_core.heartbeat import Heartbeat
from socketio_core import Socket, SocketServer
from tests.helpers.waiting import until

SOURCE = Path(generator.__file__).with_name("generator.c")
MACHINE = dict.fromkeys(("cores", "cpu", "kernel", "python", "node", "socket.io", "commit"), "x")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.fail("install a C compiler: apt-get install gcc", pytrace=False)
    program = tmp_path_factory.mktemp("load") / "load-generator"
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, SOURCE], check=True)
    return program


@pytest.fixture
def program(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "PROGRAM", built)


def make_server() -> SocketServer:
    io = SocketServer(ping_interval=0.2)

    @io.on("echo")
    def echo(socket: Socket, data: object) -> object:
        return data

    return io


@pytest.mark.slow
@pytest.mark.usefixtures("program")
async def test_generator_counts_acks_and_latencies() -> None:
    async with make_server() as io:
        port = (await io.listen()).port
        result, seconds = {"acks": 0}, 0.1
        while result["acks"] == 0:  # a busy machine may need more time for the first one
            seconds *= 3
            async with Generator("acks", port, 5, batch=4, seconds=seconds) as running:
                result = await running.read_result()
    assert result["acks"] % 4 == 0
    assert 0 < result["p50"] <= result["p99"] <= result["longest"]


@pytest.mark.slow
@pytest.mark.usefixtures("program")
async def test_idle_connections_answer_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    pongs, receive_pong = list[object](), Heartbeat.pong

    def pong(heartbeat: Heartbeat, session: Any) -> None:
        pongs.append(session)
        receive_pong(heartbeat, session)

    monkeypatch.setattr(Heartbeat, "pong", pong)
    async with make_server() as io:
        port = (await io.listen()).port
        async with Generator("idle", port, 20) as running:
            sessions = list(io.engine.sessions.values())
            assert len({each.request.remote_address for each in sessions}) == 20
            await until(lambda: len(set(pongs)) == 20)
            running.end()
            result = await running.read_result()
    assert result["connections"] == 20
    assert result["pings"] >= 20


@pytest.mark.slow
@pytest.mark.usefixtures("program")
async def test_lost_connections_are_opened_again() -> None:
    async with make_server() as io:
        port = (await io.listen()).port
        async with Generator("reconnect", port, 20, retry=10) as running:
            for session in list(io.engine.sessions.values()):
                session.close(discard=True)
            result = await running.read_result()
    assert result["connections"] == 20
    assert result["lost_at"] <= result["first_back"] <= result["last_back"]


@pytest.mark.parametrize("is_silent", [False, True])
async def test_proxy_passes_bytes_until_it_breaks_the_connection(
    monkeypatch: pytest.MonkeyPatch, is_silent: bool
) -> None:
    monkeypatch.setattr(proxy, "LIFE", (0.01, 0.02))
    monkeypatch.setattr(proxy, "SILENCE", 0.01)
    monkeypatch.setattr(proxy, "LATE", 0.02)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))
        assert await reader.read() == b""
        writer.close()
        ended.set()

    ended = asyncio.Event()
    async with (
        await asyncio.start_server(answer, "127.0.0.1") as server,
        BreakingProxy(server.sockets[0].getsockname()[1], is_silent=is_silent) as breaking,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", breaking.port)
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
        breaking.is_breaking = True
        assert await reader.read() == b""
        await ended.wait()
        writer.close()
        assert breaking.broken == 1


async def test_proxy_connects_to_its_ports_in_turns() -> None:
    async def greet(name: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(name)
        writer.close()

    async with (
        await asyncio.start_server(lambda _, writer: greet(b"a", writer), "127.0.0.1") as first,
        await asyncio.start_server(lambda _, writer: greet(b"b", writer), "127.0.0.1") as second,
        BreakingProxy(
            *(each.sockets[0].getsockname()[1] for each in (first, second)), is_silent=False
        ) as breaking,
    ):
        names = []
        for _ in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", breaking.port)
            names.append(await reader.read())
            writer.close()
    assert names == [b"a", b"b", b"a", b"b"]


def test_row_compares_its_median_with_the_goal() -> None:
    row = Row("reconnected", "ours", (1.2, 1.6, 1.4), "s", 2, goal=1.5)
    assert row.cells() == ("reconnected", "ours", "1.40 s", "1.20 to 1.60", "1.50 s", "reached")
    rate = Row("acked events", "ours", (150_000.0,), "per second", goal=200_000, is_minimum=True)
    assert rate.cells()[2:] == (
        "150,000 per second", "150,000 to 150,000", "200,000 per second", "not reached",
    )  # fmt: skip
    assert Row("memory", "Node", (1.0,), "KiB").cells()[-2:] == ("-", "")


def test_table_has_a_row_for_each_figure() -> None:
    rows = [Row("memory", name, (1.0,), "KiB", 1) for name in ("ours", "Node")]
    table = format_table(rows, 3, MACHINE).split("\n")
    assert table[2:4] == [
        "| memory | ours | 1.0 KiB | 1.0 to 1.0 | - |  |",
        "| memory | Node | 1.0 KiB | 1.0 to 1.0 | - |  |",
    ]
    assert len(format_lines(rows).split("\n")) == 3


def test_table_names_failed_parts() -> None:
    table = format_table([Row("memory", "ours", (1.0,), "KiB")], 3, MACHINE, ["acks", "drops"])
    assert table.endswith("\n\nThese parts failed in this run: acks, drops.")


async def test_failed_part_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = Row("memory", "ours", (1.0,), "KiB")

    async def fail(effort: Effort) -> list[Row]:
        raise GeneratorError("the generator ended early")

    async def succeed(effort: Effort) -> list[Row]:
        return [row] * effort.rounds

    monkeypatch.setattr(load, "PARTS", {"acks": fail, "idle": succeed})
    assert await load.measure(["acks", "idle"], QUICK) == ([row], ["acks"])
    assert "acks failed: GeneratorError: the generator ended early" in capsys.readouterr().err

"""How short other clients' round trips stay while a large file is imported.

Knows: the server's command line and wire.  Does not know: its insides; it is a process apart.

    python -m benchmarks.import_latency [--rows 20000] [--seed 1]

Starts a server on a database of its own, imports a made-up export twice (all new, then all known),
and lets a second client ask without a pause: an event that is answered from memory, and every
tenth time `get-vulnerability-stats`.  A third one asks, every second, for statistics that nobody
has asked for before, so that each is a question to the database.  Prints the percentiles of all,
rows per second, peak memory, and whether the goals are reached.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from hextrackr_server.cli.sample import write_sample
from hextrackr_server.security.principal import TokenAuthority

SERVER_START_SECONDS = 20.0
IDLE_SECONDS = 1.0
STATISTICS_EVERY = 10
NEW_QUESTION_SECONDS = 1.0
GOAL_P99_SECONDS = 0.1
GOAL_MEMORY_MB = 300
# One client asks more here than a server would otherwise allow.
NO_LIMITS = {
    "HEXTRACKR_EVENTS_PER_MINUTE": "1000000",
    "HEXTRACKR_EVENTS_PER_MINUTE_OF_ADDRESS": "10000000",
}


class Client:
    """As little of a Socket.IO client as this needs: WebSocket, namespace `/`, text."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._acks: dict[int, asyncio.Future[Any]] = {}
        self._next_ack = 0
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.connected = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(), name="client reader")

    async def emit(self, *event: Any) -> Any:
        """Send an event and wait for its ack."""
        ack_id, self._next_ack = self._next_ack, self._next_ack + 1
        future = self._acks[ack_id] = asyncio.get_running_loop().create_future()
        await self._connection.send(f"42{ack_id}{json.dumps(event)}")
        return await future

    async def close(self) -> None:
        """Leave."""
        await self._connection.close()
        await self._reader

    async def _read(self) -> None:
        async for message in self._connection:
            assert isinstance(message, str)
            if message == "2":
                await self._connection.send("3")
            elif message.startswith("40"):
                self.connected.set_result(None)
            elif message.startswith("44"):
                self.connected.set_exception(ConnectionError(message))
            elif message.startswith("42"):
                name, *arguments = json.loads(message[2:])
                self.events.put_nowait((name, arguments[0] if arguments else None))
            elif message.startswith("43"):
                digits, bracket, rest = message[2:].partition("[")
                self._acks.pop(int(digits)).set_result(json.loads(bracket + rest)[0])


async def connected(url: str, token: str) -> Client:
    """A client in the namespace `/`."""
    address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    connection = await connect(address, compression=None, max_size=None)
    client = Client(connection)
    await connection.send("40" + json.dumps({"token": token}))
    await client.connected
    return client


class RoundTrips:
    """Asks one question after the other, and notes how long each answer took."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.cheap: list[float] = []
        self.statistics: list[float] = []

    async def run(self, until: Callable[[], bool]) -> None:
        """Ask until told to stop."""
        asked = 0
        while not until():
            asked += 1
            started = time.perf_counter()
            if asked % STATISTICS_EVERY:
                answer = await self._client.emit("leave-import-room", 1)
                self.cheap.append(time.perf_counter() - started)
            else:
                answer = await self._client.emit("get-vulnerability-stats", {})
                self.statistics.append(time.perf_counter() - started)
            assert answer["success"], answer
            await asyncio.sleep(0.001)


class NewQuestions:
    """Asks for statistics that no answer is remembered of."""

    _asked = 0

    def __init__(self, client: Client) -> None:
        self._client = client
        self.seconds: list[float] = []

    async def run(self, until: Callable[[], bool]) -> None:
        """Ask until told to stop: all findings, since one day or another long ago."""
        while not until():
            NewQuestions._asked += 1
            day = date(1970, 1, 1) + timedelta(days=NewQuestions._asked)
            started = time.perf_counter()
            answer = await self._client.emit("get-vulnerability-stats", {"since": day.isoformat()})
            self.seconds.append(time.perf_counter() - started)
            assert answer["success"], answer
            await asyncio.sleep(NEW_QUESTION_SECONDS)


def percentiles(name: str, seconds: list[float]) -> str:
    """One line: how many, p50, p99, maximum."""
    ordered = sorted(seconds)
    p50, p99 = percentile(ordered, 0.5), percentile(ordered, 0.99)
    values = (
        f"p50 {p50 * 1000:7.2f} ms   p99 {p99 * 1000:7.2f} ms   max {ordered[-1] * 1000:7.2f} ms"
    )
    return f"  {name:<28} {len(ordered):>6} asked   {values}"


def percentile(ordered: list[float], share: float) -> float:
    """The value that a share of the values is below."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def measured_import(url: str, token: str, file: Path, rows: int, title: str) -> float:
    """Import the file while others ask, and print what all saw; p99 of the cheap round trip."""
    importing, asking, curious = [await connected(url, token) for _ in range(3)]
    done = asyncio.Event()
    trips, questions = RoundTrips(asking), NewQuestions(curious)
    askers = [
        asyncio.create_task(trips.run(done.is_set), name="asker"),
        asyncio.create_task(questions.run(done.is_set), name="curious"),
    ]
    # A process of its own: what it computes must not delay the client that measures.
    command = [sys.executable, "-m", "hextrackr_server", "import", str(file)]
    upload = await asyncio.create_subprocess_exec(
        *command, "--url", url, "--token", token, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    name, payload = await importing.events.get()
    assert name == "import-started", (name, payload)
    answer = await importing.emit("join-import-room", payload["importId"])
    assert answer["success"], answer
    percentages = []
    while True:
        name, payload = await importing.events.get()
        if name == "import-progress":
            percentages.append(payload["percentage"])
        elif name in {"import-finished", "import-failed"}:
            break
    done.set()
    await asyncio.gather(*askers)
    _, errors = await upload.communicate()
    assert upload.returncode == 0, errors.decode()
    assert name == "import-finished", payload
    assert percentages == sorted(percentages), percentages
    summary, seconds = payload["summary"], payload["duration"] / 1000
    stats = (await asking.emit("get-vulnerability-stats", {}))["data"]
    assert stats["totals"]["findings"] == summary["findings"], (stats["totals"], summary)
    print(
        f"{title}: {rows} rows, {summary['findings']} findings in {seconds:.2f} s = "
        f"{rows / seconds:.0f} rows/s, {len(percentages)} progress events"
    )
    print(percentiles("answered from memory", trips.cheap))
    print(percentiles("get-vulnerability-stats", trips.statistics))
    print(percentiles("the same, asked anew", questions.seconds))
    for client in (importing, asking, curious):
        await client.close()
    return percentile(sorted(trips.cheap), 0.99)


async def idle(url: str, token: str, title: str) -> None:
    """The same questions while nothing else happens."""
    client = await connected(url, token)
    trips, questions = RoundTrips(client), NewQuestions(client)
    end = time.perf_counter() + IDLE_SECONDS
    await trips.run(lambda: time.perf_counter() > end)
    end = time.perf_counter() + IDLE_SECONDS
    await questions.run(lambda: time.perf_counter() > end)
    print(title)
    print(percentiles("answered from memory", trips.cheap))
    print(percentiles("get-vulnerability-stats", trips.statistics))
    print(percentiles("the same, asked anew", questions.seconds))
    await client.close()


def memory(pid: int, name: str) -> float:
    """A line of the kernel's account of a process, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(name + ":")]
    return int(line.split()[1]) / 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listening(server: subprocess.Popen[bytes], port: int) -> None:
    """Return when the port answers; raise if the server gives up or takes too long."""
    end = time.monotonic() + SERVER_START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with code {server.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the server does not listen")


async def measure(url: str, token: str, file: Path, rows: int, pid: int) -> None:
    await idle(url, token, "before, nothing to count")
    print(f"memory before the imports: {memory(pid, 'VmRSS'):.0f} MB")
    titles = ("first import, all new", "second import, all known")
    p99 = max([await measured_import(url, token, file, rows, title) for title in titles])
    await idle(url, token, "afterwards")
    peak = memory(pid, "VmHWM")
    print(f"peak memory of the server: {peak:.0f} MB")
    for name, value, goal in (
        ("p99 of what is answered from memory, ms", p99 * 1000, GOAL_P99_SECONDS * 1000),
        ("peak memory, MB", peak, GOAL_MEMORY_MB),
    ):
        word = "reached" if value < goal else "NOT reached"
        print(f"goal {word}: {name}: {value:.1f} of {goal:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    secret, port = secrets.token_hex(32), free_port()
    token = TokenAuthority(secret.encode()).sign("1", role="admin")
    with tempfile.TemporaryDirectory(prefix="hextrackr-benchmark-") as directory:
        file = Path(directory) / "sample.csv"
        write_sample(file, options.rows, options.seed)
        print(f"{file.stat().st_size / 1e6:.1f} MB of CSV")
        command = [sys.executable, "-m", "hextrackr_server", "serve", "--port", str(port)]
        server = subprocess.Popen(
            [*command, "--database", str(Path(directory) / "benchmark.db")],
            env=os.environ | {"JWT_SECRET": secret, "HOST": "127.0.0.1"} | NO_LIMITS,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until_listening(server, port)
            url = f"http://127.0.0.1:{port}"
            asyncio.run(measure(url, token, file, options.rows, server.pid))
        finally:
            server.terminate()
            server.wait(10)


if __name__ == "__main__":
    main()

"""Measure the latency of other clients while the hub imports a large file.

    python -m benchmarks.import_latency [--rows 20000] [--seed 1]

The program starts a hub with a database of its own and imports a generated export twice: first all
findings are new, then all are known. A second client emits events without a pause: nine times an
event whose reply needs no database, then `get-vulnerability-stats`. Every second, a third client
requests statistics that are not cached, so that the hub queries the database. The program prints
the latency percentiles of these requests, rows per second, peak memory, and which goals are
reached. It uses only the command line and the wire protocol of the hub.
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
UNCACHED_REQUEST_SECONDS = 1.0
GOAL_P99_SECONDS = 0.1
GOAL_MEMORY_MB = 300
# The default rate limits would refuse most of the requests of the measuring clients.
NO_LIMITS = {
    "HEXTRACKR_EVENTS_PER_MINUTE": "1000000",
    "HEXTRACKR_EVENTS_PER_MINUTE_OF_ADDRESS": "10000000",
}


class Client:
    """Minimal Socket.IO client: WebSocket only, namespace `/`, text events."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._acks: dict[int, asyncio.Future[Any]] = {}
        self._next_ack = 0
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.connected = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(), name="client reader")

    async def emit(self, *event: Any) -> Any:
        """Send an event and return the first argument of its ack."""
        ack_id, self._next_ack = self._next_ack, self._next_ack + 1
        future = self._acks[ack_id] = asyncio.get_running_loop().create_future()
        await self._connection.send(f"42{ack_id}{json.dumps(event)}")
        return await future

    async def close(self) -> None:
        """Close the connection and wait until the reader ends."""
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


async def connect_client(url: str, token: str) -> Client:
    """Return a client that is connected to the namespace `/`."""
    address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    connection = await connect(address, compression=None, max_size=None)
    client = Client(connection)
    await connection.send("40" + json.dumps({"token": token}))
    await client.connected
    return client


class RoundTrips:
    """Requests of one client in a row, with the seconds of each round trip."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.in_memory: list[float] = []
        self.statistics: list[float] = []

    async def run(self, is_done: Callable[[], bool]) -> None:
        """Send requests until `is_done` returns True."""
        count = 0
        while not is_done():
            count += 1
            started = time.perf_counter()
            if count % STATISTICS_EVERY:
                reply = await self._client.emit("leave-import-room", 1)
                self.in_memory.append(time.perf_counter() - started)
            else:
                reply = await self._client.emit("get-vulnerability-stats", {})
                self.statistics.append(time.perf_counter() - started)
            assert reply["success"], reply
            await asyncio.sleep(0.001)


class UncachedRequests:
    """Requests for statistics that the hub has not cached, with the seconds of each round trip."""

    _count = 0

    def __init__(self, client: Client) -> None:
        self._client = client
        self.seconds: list[float] = []

    async def run(self, is_done: Callable[[], bool]) -> None:
        """Send requests until `is_done` returns True.

        Each request covers all findings, but names another start date, so no reply is cached.
        """
        while not is_done():
            UncachedRequests._count += 1
            day = date(1970, 1, 1) + timedelta(days=UncachedRequests._count)
            started = time.perf_counter()
            reply = await self._client.emit("get-vulnerability-stats", {"since": day.isoformat()})
            self.seconds.append(time.perf_counter() - started)
            assert reply["success"], reply
            await asyncio.sleep(UNCACHED_REQUEST_SECONDS)


def print_latencies(trips: RoundTrips, uncached: UncachedRequests) -> None:
    """Print one line of percentiles for each kind of request."""
    print(percentiles("reply without database", trips.in_memory))
    print(percentiles("get-vulnerability-stats", trips.statistics))
    print(percentiles("the same, not cached", uncached.seconds))


def percentiles(name: str, seconds: list[float]) -> str:
    """Return one line with the number of requests, p50, p99 and the maximum."""
    ordered = sorted(seconds)
    p50, p99 = percentile(ordered, 0.5), percentile(ordered, 0.99)
    values = (
        f"p50 {p50 * 1000:7.2f} ms   p99 {p99 * 1000:7.2f} ms   max {ordered[-1] * 1000:7.2f} ms"
    )
    return f"  {name:<28} {len(ordered):>6} requests   {values}"


def percentile(ordered: list[float], share: float) -> float:
    """Return the value below which a share of the ordered values lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def measure_import(url: str, token: str, file: Path, rows: int, title: str) -> float:
    """Import the file while two clients send requests, and print the latencies.

    Returns the p99 latency, in seconds, of the requests that need no database.
    """
    importing, requesting, uncached_client = [await connect_client(url, token) for _ in range(3)]
    done = asyncio.Event()
    trips, uncached = RoundTrips(requesting), UncachedRequests(uncached_client)
    requests = [
        asyncio.create_task(trips.run(done.is_set), name="requests"),
        asyncio.create_task(uncached.run(done.is_set), name="uncached requests"),
    ]
    # The upload runs in a process of its own, because its computations would delay the clients.
    command = [sys.executable, "-m", "hextrackr_server", "import", str(file)]
    upload = await asyncio.create_subprocess_exec(
        *command, "--url", url, "--token", token, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    name, payload = await importing.events.get()
    while payload.get("late"):  # the end of an earlier import
        name, payload = await importing.events.get()
    assert name == "import-started", (name, payload)
    reply = await importing.emit("join-import-room", payload["importId"])
    assert reply["success"], reply
    percentages = []
    while True:
        name, payload = await importing.events.get()
        if name == "import-progress":
            percentages.append(payload["percentage"])
        elif name in {"import-finished", "import-failed"}:
            break
    done.set()
    await asyncio.gather(*requests)
    _, errors = await upload.communicate()
    assert upload.returncode == 0, errors.decode()
    assert name == "import-finished", payload
    assert percentages == sorted(percentages), percentages
    summary, seconds = payload["summary"], payload["duration"] / 1000
    stats = (await requesting.emit("get-vulnerability-stats", {}))["data"]
    assert stats["totals"]["findings"] == summary["findings"], (stats["totals"], summary)
    print(
        f"{title}: {rows} rows, {summary['findings']} findings in {seconds:.2f} s = "
        f"{rows / seconds:.0f} rows/s, {len(percentages)} progress events"
    )
    print_latencies(trips, uncached)
    for client in (importing, requesting, uncached_client):
        await client.close()
    return percentile(sorted(trips.in_memory), 0.99)


async def measure_idle(url: str, token: str, title: str) -> None:
    """Send the same requests without an import, and print the latencies."""
    client = await connect_client(url, token)
    trips, uncached = RoundTrips(client), UncachedRequests(client)
    end = time.perf_counter() + IDLE_SECONDS
    await trips.run(lambda: time.perf_counter() > end)
    end = time.perf_counter() + IDLE_SECONDS
    await uncached.run(lambda: time.perf_counter() > end)
    print(title)
    print_latencies(trips, uncached)
    await client.close()


def read_memory(pid: int, name: str) -> float:
    """Return a memory value from `/proc/PID/status`, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(name + ":")]
    return int(line.split()[1]) / 1024


def find_free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listening(server: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the port accepts connections. Raises SystemExit if the server does not start."""
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
    raise SystemExit(f"the server did not listen within {SERVER_START_SECONDS:.0f} seconds")


async def measure(url: str, token: str, file: Path, rows: int, pid: int) -> None:
    """Measure two imports, and the idle server before and after them; print the goals."""
    await measure_idle(url, token, "before, empty database")
    print(f"memory before the imports: {read_memory(pid, 'VmRSS'):.0f} MB")
    titles = ("first import, all new", "second import, all known")
    p99 = max([await measure_import(url, token, file, rows, title) for title in titles])
    await measure_idle(url, token, "after the imports")
    peak = read_memory(pid, "VmHWM")
    print(f"peak memory of the server: {peak:.0f} MB")
    for name, value, goal in (
        ("p99 of replies without database, ms", p99 * 1000, GOAL_P99_SECONDS * 1000),
        ("peak memory, MB", peak, GOAL_MEMORY_MB),
    ):
        result = "reached" if value < goal else "NOT reached"
        print(f"goal {result}: {name}: {value:.1f} of {goal:.0f}")


def main() -> None:
    """Run the command: start a hub, measure, stop the hub."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    secret, port = secrets.token_hex(32), find_free_port()
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

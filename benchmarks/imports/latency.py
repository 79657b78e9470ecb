"""Round trips of other clients during an import.

One client emits events without a pause: nine times an event whose reply needs no database, then
`get-vulnerability-stats`. Every second, another client requests statistics that are not cached, so
that the hub queries the database.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from benchmarks.imports.client import Client, connect_client
from benchmarks.imports.figures import Figure, Report
from benchmarks.imports.hub import Hub, HubError

_STATISTICS_EVERY = 10
_PAUSE_SECONDS = 0.001
_UNCACHED_REQUEST_SECONDS = 1.0
_IDLE_SECONDS = 2.0
_GOAL_P99_MS, _GOAL_MAXIMUM_MS, _GOAL_MEMORY_MB = 20, 100, 150


class Latencies(NamedTuple):
    """The seconds of round trips by kind of request."""

    in_memory: list[float]
    statistics: list[float]
    uncached: list[float]


async def _send_requests(client: Client, found: Latencies, is_done: Callable[[], bool]) -> None:
    count = 0
    while not is_done():
        count += 1
        started = time.perf_counter()
        if count % _STATISTICS_EVERY:
            reply = await client.emit("leave-import-room", 1)
            found.in_memory.append(time.perf_counter() - started)
        else:
            reply = await client.emit("get-vulnerability-stats", {})
            found.statistics.append(time.perf_counter() - started)
        assert reply["success"], reply
        await asyncio.sleep(_PAUSE_SECONDS)


async def _send_uncached(client: Client, found: Latencies, is_done: Callable[[], bool]) -> None:
    """Request statistics of all findings, each time with another start date."""
    day = date(1970, 1, 1)
    while not is_done():
        day += timedelta(days=1)
        started = time.perf_counter()
        reply = await client.emit("get-vulnerability-stats", {"since": day.isoformat()})
        found.uncached.append(time.perf_counter() - started)
        assert reply["success"], reply
        await asyncio.sleep(_UNCACHED_REQUEST_SECONDS)


async def measure_requests(hub: Hub, is_done: Callable[[], bool]) -> Latencies:
    """Send requests until `is_done` returns True."""
    found = Latencies([], [], [])
    clients = [await connect_client(hub.url, hub.token) for _ in range(2)]
    await asyncio.gather(
        _send_requests(clients[0], found, is_done), _send_uncached(clients[1], found, is_done)
    )
    for client in clients:
        await client.close()
    return found


async def _measure_import(hub: Hub, file: Path) -> Latencies:
    # The upload runs in a process of its own, because its computations would delay the clients.
    upload = await asyncio.create_subprocess_exec(
        *hub.import_command(file), env=hub.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    ended = asyncio.create_task(upload.communicate(), name="upload")
    found = await measure_requests(hub, ended.done)
    _, errors = await ended
    if upload.returncode:
        raise HubError(f"the import failed: {errors.decode(errors='replace')[-2000:]}")
    return found


async def _measure(hub: Hub, file: Path) -> dict[str, Latencies]:
    end = time.monotonic() + _IDLE_SECONDS
    return {
        "idle": await measure_requests(hub, lambda: time.monotonic() > end),
        "first import": await _measure_import(hub, file),
        "second import": await _measure_import(hub, file),
    }


def percentile(values: list[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _line(name: str, seconds: list[float]) -> str:
    p50, p99 = percentile(seconds, 0.5), percentile(seconds, 0.99)
    return (
        f"{name:<44} {len(seconds):>6} requests   p50 {p50 * 1000:7.2f} ms   "
        f"p99 {p99 * 1000:7.2f} ms   max {max(seconds) * 1000:7.2f} ms"
    )


def measure_latency(file: Path, directory: Path) -> Report:
    """Measure the round trips of other clients during two imports, and the peak memory."""
    with Hub(directory) as hub:
        measured = asyncio.run(_measure(hub, file))
        peak = hub.peak_mb
    details = []
    for title, found in measured.items():
        for name, seconds in found._asdict().items():
            details.append(_line(f"{title}: {name.replace('_', ' ')}", seconds))
    trips = [measured[title].in_memory for title in ("first import", "second import")]
    p99 = max(percentile(each, 0.99) for each in trips) * 1000
    maximum = max(max(each) for each in trips) * 1000
    return Report(
        [
            Figure("acked round trip of another client, p99", _GOAL_P99_MS, "ms", p99),
            Figure("acked round trip of another client, maximum", _GOAL_MAXIMUM_MS, "ms", maximum),
            Figure("peak memory, with other clients", _GOAL_MEMORY_MB, "MB", peak),
        ],
        details,
    )

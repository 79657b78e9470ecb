"""Rows of the hub: gateways next to a hub of one process."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from time import perf_counter
from typing import cast

from benchmarks import wire
from benchmarks.imports.hub import Hub
from benchmarks.polling_client import HttpConnection
from benchmarks.process_tree import find_tree
from benchmarks.scale.results import Row
from benchmarks.scale.servers import unique_memory
from benchmarks.scale.turns import take_turns
from benchmarks.workloads import Broadcasts, EventsWithAck, Target

GATEWAYS = 2
MEMORY_GOAL = 30.0  # MB
START_SECONDS = 3.0  # the gateways behind the listening socket
_PRODUCER = "scale-benchmark-" + "0" * 32
_SETTINGS = {
    "HEXTRACKR_INGEST_TOKENS": f"bench:broadcast:{_PRODUCER}",
    "HEXTRACKR_MAX_CONNECTIONS_PER_USER": "5000",
    "HEXTRACKR_MAX_CONNECTIONS_PER_ADDRESS": "5000",
    "HEXTRACKR_CONNECTS_PER_MINUTE": "1000000",
}


class HubServer(Hub):
    """A hub that a workload uses."""

    def __init__(self, directory: Path, workers: int) -> None:
        """Prepare a hub; several workers are gateways in front of an application."""
        super().__init__(directory, serve_options=("--workers", str(workers)), settings=_SETTINGS)

    @property
    def port(self) -> int:
        """The port of the clients."""
        return int(self.url.rpartition(":")[2])

    @property
    def headers(self) -> bytes:
        """The header that authenticates a client."""
        return b"Authorization: Bearer " + self.token.encode() + b"\r\n"


class HubBroadcasts(Broadcasts):
    """Notifications that a producer sends to all clients."""

    def __init__(self, hub: HubServer, members: int) -> None:
        super().__init__(members, headers=hub.headers)
        report = json.dumps({"type": "info", "message": "x" * 40}).encode()
        self._report = (
            b"POST /ingest/v1/notifications HTTP/1.1\r\n" + wire.HOST
            + b"Authorization: Bearer " + _PRODUCER.encode()
            + b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(report)
            + report
        )  # fmt: skip

    async def prepare(self, server: Target) -> None:
        """Open the connections of the clients and of the producer."""
        await super().prepare(server)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(HttpConnection, "127.0.0.1", server.port)
        self._producer = cast("HttpConnection", connection)

    def send(self) -> None:
        """Report the notification; the response counts as the ack."""
        response = self._producer.request(self._report)
        response.add_done_callback(
            lambda done: done.result() and self._on_replies(1, perf_counter())
        )

    async def finish(self) -> None:
        """Close the connections of the producer and of the clients."""
        self._producer.tcp.close()
        await super().finish()


def _acks(hub: HubServer) -> EventsWithAck:
    def make_frame(ack_id: int) -> bytes:
        return wire.frame(wire.event("unwatch-resource", b'"ticket","1"', ack_id))

    return EventsWithAck(make_frame=make_frame, headers=hub.headers)


async def measure_hub(seconds: float, rounds: int, members: int) -> list[Row]:
    """Return the rows of a hub with gateways."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-hub-") as folder,
        HubServer(Path(folder, "one"), 1) as one,
        HubServer(Path(folder, "several"), GATEWAYS) as several,
    ):
        await asyncio.sleep(START_SECONDS)
        gateway = _idle_gateway(several)
        hubs = (several, one)
        broadcasts = await take_turns(
            [(hub, HubBroadcasts(hub, members)) for hub in hubs], seconds, rounds
        )
        acks = await take_turns([(hub, _acks(hub)) for hub in hubs], seconds, rounds)
    return [
        Row.compare(f"delivery of a notification to {members} clients of the hub, {GATEWAYS} "
                    "gateways", *broadcasts, "1 process", None),
        Row.compare("event with ack of the hub, through a gateway", *acks, "1 process", None),
        Row("memory of an idle gateway", gateway / 1024 / 1024, "MB", MEMORY_GOAL),
    ]  # fmt: skip


def _idle_gateway(hub: HubServer) -> float:
    """Return the mean memory of a gateway."""
    gateways = [pid for pid in find_tree(hub.pid)[1:] if not _has_database(pid, hub)]
    assert len(gateways) == GATEWAYS, gateways
    return sum(unique_memory(pid) for pid in gateways) / GATEWAYS


def _has_database(pid: int, hub: HubServer) -> bool:
    """Return whether a process is the application, which opens the database."""
    links = (each.readlink() for each in Path(f"/proc/{pid}/fd").iterdir())
    return any(link == hub.database for link in links)

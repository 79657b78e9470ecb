"""Capacity model: the servers, memory and Redis shards of a number of connections.

The model multiplies measured costs by the rates of a profile. `fanout` simulates the latency of
broadcasts. docs/scaling.md lists the assumptions.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from benchmarks.peers import BENCHMARKS
from benchmarks.scale.fanout import Costs, arrivals, simulate

_MB = 1024 * 1024
_SIMULATED_STEPS = 100_000


@dataclass(frozen=True)
class Figures:
    """Measured costs: CPU times in microseconds, memory in bytes."""

    connect: float
    event: float
    connection_bytes: float
    process_bytes: float
    fanout: Costs


@dataclass(frozen=True)
class Assumptions:
    """Numbers that are not measured."""

    connections: int = 1_000_000
    utilization: float = 0.6
    """The share of a core that a process, or a Redis shard, uses at most."""
    connections_of_a_process: int = 20_000
    """Limits the time of a broadcast to all clients, and the reconnects after a failure."""
    processes_of_a_server: int = 7
    """One process for each core of 8; one core is left to the kernel."""
    heartbeat_seconds: float = 25.0
    connection_seconds: float = 1800.0
    """The mean life of a connection."""
    kernel_bytes: int = 10 * 1024
    """Kernel memory of a TCP connection with empty buffers."""


class Profile(NamedTuple):
    """The rates at which the clients of an application act."""

    name: str
    event_seconds: float
    """The time between two events of a client."""
    broadcasts: float
    """Per second."""
    members: int
    """The recipients of a broadcast."""


PROFILES = (
    Profile("dashboard: one broadcast to all clients every 10 s, an event of each client per "
            "minute", 60.0, 0.1, 1_000_000),
    Profile("live ticker: one broadcast to all clients per second, an event of each client per "
            "minute", 60.0, 1.0, 1_000_000),
    Profile("small rooms: 20,000 broadcasts/s to rooms of 20", 50.0, 20_000.0, 20),
    Profile("large rooms: 2,000 broadcasts/s to rooms of 500", 50.0, 2_000.0, 500),
)  # fmt: skip


class Plan(NamedTuple):
    """The result of the model."""

    profile: Profile
    deliveries: float
    """Per second."""
    cores: float
    """CPU seconds of the processes per second."""
    processes: int
    servers: int
    memory_bytes: float
    redis_messages: float
    """Messages that Redis sends per second."""
    shards: int
    receiving_share: float
    """The share of the CPU time that servers need to receive the messages of other servers."""
    latency_p50: float
    """From the request of a broadcast to its last delivery, in seconds."""
    latency_p99: float
    reconnect_seconds: float
    """Until the clients of a server that has failed are connected to the others."""


def occupied(members: int, processes: int) -> float:
    """Return the expected number of processes that have a member of a room."""
    return processes * (1 - (1 - 1 / processes) ** members)


def plan(profile: Profile, figures: Figures, given: Assumptions) -> Plan:
    """Return the plan of a profile."""
    costs = figures.fanout
    heartbeats = given.connections / given.heartbeat_seconds
    events = given.connections / profile.event_seconds
    connects = given.connections / given.connection_seconds
    deliveries = profile.broadcasts * profile.members
    # A heartbeat (a ping and a pong) counts as much as an event with an ack.
    base = (heartbeats + events) * figures.event + connects * figures.connect
    base += profile.broadcasts * costs.request + deliveries * costs.delivery
    processes = math.ceil(given.connections / given.connections_of_a_process)
    while True:
        # More processes have members of more rooms, so that each broadcast costs more. The loop
        # ends, because a room is on as many processes as it has members at most.
        receiving = profile.broadcasts * (occupied(profile.members, processes) - 1) * costs.receive
        needed = math.ceil((base + receiving) / 1e6 / given.utilization)
        if needed <= processes:
            break
        processes = needed
    subscribers = occupied(profile.members, processes)
    redis = profile.broadcasts * (costs.broker_publish + costs.broker_pass * subscribers) / 1e6
    cores = (base + receiving) / 1e6
    shards = max(1, math.ceil(redis / given.utilization))
    fanout = profile.broadcasts * costs.request + deliveries * costs.delivery + receiving
    latencies = _latencies(
        profile, costs, processes, shards, 1 - (cores - fanout / 1e6) / processes
    )
    servers = max(2, math.ceil(processes / given.processes_of_a_server))
    lost = given.connections / servers * figures.connect / 1e6
    idle = processes * (servers - 1) / servers - cores
    return Plan(
        profile, deliveries, cores, processes, servers,
        given.connections * (figures.connection_bytes + given.kernel_bytes)
        + processes * figures.process_bytes,
        profile.broadcasts * subscribers, shards, receiving / 1e6 / cores, *latencies, lost / idle,
    )  # fmt: skip


def _latencies(
    profile: Profile, costs: Costs, processes: int, shards: int, free: float
) -> tuple[float, float]:
    """Return the median and the 99th percentile; `free` is the share left by other work."""
    slower = replace(
        costs,
        request=costs.request / free,
        receive=costs.receive / free,
        delivery=costs.delivery / free,
    )
    count = max(20, int(_SIMULATED_STEPS / (2 + occupied(profile.members, processes))))
    seconds = count / profile.broadcasts
    run = simulate(
        slower, processes, arrivals(profile.broadcasts, seconds, processes, profile.members), shards
    )
    return run.percentile(0.5), run.percentile(0.99)


def read_figures(record: dict[str, Any]) -> Figures:
    """Return the figures of the last runs: results/short.json, and the record of this benchmark.

    Raises KeyError if a part was not measured.
    """
    text = (BENCHMARKS / "results" / "short.json").read_text(encoding="utf-8")
    medians = json.loads(text)["medians"]
    ours = "async handler"
    (memory,) = (
        row for row in record["workers"]["rows"] if row["name"] == "memory of one more worker"
    )
    return Figures(
        # The default client begins with polling; a client with one event in flight is the
        # most expensive one.
        connect=medians["connect by polling with upgrade"][ours],
        event=medians["event with ack, 1 in flight"][ours],
        connection_bytes=medians["memory per idle connection"][ours],
        process_bytes=memory["value"] * _MB,
        # A process has many more clients than those of the fanout part, so its caches help less.
        fanout=replace(
            Costs(**record["fanout"]["model"]),
            delivery=medians["broadcast to 2,000, per delivery"][ours],
        ),
    )


def format_plans(plans: list[Plan]) -> str:
    """Return the plans as a table in Markdown."""
    lines = [
        "| profile | deliveries/s | cores in use | processes | servers of 8 cores | memory "
        "| Redis messages/s | Redis shards | share of receiving | last delivery, p50 | p99 "
        "| reconnect after the loss of a server |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.profile.name} | {each.deliveries:,.0f} | {each.cores:.1f} | {each.processes} "
        f"| {each.servers} | {each.memory_bytes / 1e9:.1f} GB | {each.redis_messages:,.0f} "
        f"| {each.shards} | {each.receiving_share:.0%} | {each.latency_p50 * 1e3:.0f} ms "
        f"| {each.latency_p99 * 1e3:.0f} ms | {each.reconnect_seconds:.1f} s |"
        for each in plans
    ]
    return "\n".join(lines)


def format_figures(figures: Figures) -> str:
    """Return the measured inputs of the model as a table in Markdown."""
    costs = figures.fanout
    rows = (
        ("connect by polling, with upgrade", f"{figures.connect:.0f} us"),
        ("event with ack, or heartbeat", f"{figures.event:.1f} us"),
        ("broadcast, on the server that sends it", f"{costs.request:.0f} us"),
        ("broadcast, on each other server with recipients", f"{costs.receive:.0f} us"),
        ("broadcast, for each recipient", f"{costs.delivery:.2f} us"),
        ("Redis: a published message", f"{costs.broker_publish:.0f} us"),
        ("Redis: for each server that receives the message", f"{costs.broker_pass:.1f} us"),
        ("memory of an idle connection", f"{figures.connection_bytes / 1024:.1f} KiB"),
        ("memory of one more process", f"{figures.process_bytes / _MB:.0f} MB"),
    )
    lines = ["| measured cost | CPU time or memory |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {cost} |" for name, cost in rows)])

"""Simulation of broadcasts in a cluster: servers and shards of a broker, each with a queue.

The simulation is event-driven and has no clock of its own. `capacity` uses the simulation for
clusters that do not exist; `fanout_runs` compares the simulation with real servers.

A broadcast takes these steps. Each step occupies one process for a time of `Costs`:

1. A client sends an event to a server. The server delivers the broadcast to its own clients, and
   publishes one message.
2. The shard of the room's channel passes the message on to every server with recipients.
3. Each other server decodes the message, and delivers the broadcast to its own clients. The sender
   discards its own message.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True)
class Costs:
    """CPU times in microseconds."""

    request: float
    """A server: read the event that requests a broadcast, publish the message, discard its copy."""
    receive: float
    """Another server: read and decode the message of a broadcast."""
    delivery: float
    """A server: send a broadcast to one client."""
    broker_publish: float
    """The broker: read one published message."""
    broker_pass: float
    """The broker: pass a message on to one server."""


class Broadcast(NamedTuple):
    """A broadcast that a client requests."""

    at: float
    """The time of the request, in seconds."""
    sender: int
    """The server that receives the request."""
    recipients: Mapping[int, int]
    """The number of recipients on each server that has any."""


@dataclass
class Run:
    """The outcome of a simulation; times are in seconds."""

    deliveries: int
    server_seconds: list[float]
    """CPU time of each server."""
    broker_seconds: list[float]
    """CPU time of each shard."""
    latencies: list[float] = field(default_factory=list)
    """From the request of each broadcast to its last delivery."""

    @property
    def per_cpu_second(self) -> float:
        """The number of deliveries per second of CPU time of all servers."""
        return self.deliveries / sum(self.server_seconds)

    def percentile(self, share: float) -> float:
        """Return a percentile of the latencies."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class _Process:
    """A process that does one thing at a time, in order of arrival."""

    def __init__(self) -> None:
        self._free_at = 0.0
        self.busy = 0.0

    def work(self, now: float, microseconds: float) -> float:
        """Return the time at which work that arrives now is done."""
        seconds = microseconds / 1e6
        self._free_at = max(now, self._free_at) + seconds
        self.busy += seconds
        return self._free_at


def simulate(costs: Costs, servers: int, broadcasts: list[Broadcast], shards: int = 1) -> Run:
    """Run broadcasts on idle servers; their channels are on the shards in turns."""
    processes = [_Process() for _ in range(servers)]
    brokers = [_Process() for _ in range(shards)]
    ends = [0.0] * len(broadcasts)
    # Steps: (time, order, step, number of the broadcast, server). The order keeps ties stable.
    queue = [(each.at, number, 1, number, each.sender) for number, each in enumerate(broadcasts)]
    heapq.heapify(queue)
    order = len(queue)
    while queue:
        now, _, step, number, server = heapq.heappop(queue)
        _, sender, recipients = broadcasts[number]
        if step == 2:
            work = costs.broker_publish + costs.broker_pass * len(recipients)
            passed = brokers[number % shards].work(now, work)
            for other in recipients:
                if other != sender:
                    order += 1
                    heapq.heappush(queue, (passed, order, 3, number, other))
            continue
        fixed = costs.request if step == 1 else costs.receive
        work = fixed + costs.delivery * recipients.get(server, 0)
        done = processes[server].work(now, work)
        ends[number] = max(ends[number], done)
        if step == 1:
            order += 1
            heapq.heappush(queue, (done, order, 2, number, server))
    return Run(
        deliveries=sum(sum(each.recipients.values()) for each in broadcasts),
        server_seconds=[each.busy for each in processes],
        broker_seconds=[each.busy for each in brokers],
        latencies=[end - each.at for end, each in zip(ends, broadcasts, strict=True)],
    )


def arrivals(
    rate: float, seconds: float, servers: int, members: int, seed: int = 1
) -> list[Broadcast]:
    """Return independent broadcasts with a mean rate per second, from random servers.

    The members of a room are on random servers; a room with more than a thousand members for each
    server is spread evenly.
    """
    choose = random.Random(seed)
    found = []
    now = choose.expovariate(rate)
    while now < seconds:
        if members > 1000 * servers:
            recipients = dict.fromkeys(range(servers), members // servers)
        else:
            recipients = Counter(choose.choices(range(servers), k=members))
        found.append(Broadcast(now, choose.choice(list(recipients)), recipients))
        now += choose.expovariate(rate)
    return found


def one_after_the_other(count: int, servers: int, clients: int) -> list[Broadcast]:
    """Return broadcasts that never overlap; the servers take turns as the sender."""
    recipients = dict.fromkeys(range(servers), clients)
    return [Broadcast(number * 3600.0, number % servers, recipients) for number in range(count)]

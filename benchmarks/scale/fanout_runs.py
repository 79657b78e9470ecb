"""Broadcasts on real clusters of `examples/cluster_node.py`, next to the simulation.

The simulation predicts the CPU time of clusters of 2, 4 and 8 servers with 100 clients each, from
measurements of other clusters:

- One server with as many clients gives the cost of a delivery. The cost grows with the number of
  sockets on the machine, because they leave the caches of the processor.
- As many servers with few clients give the cost of a message on another server. The cost grows with
  the number of servers on a machine, because they share the cores and their caches.

All clusters take turns, so that a disturbance affects all alike.
"""

from __future__ import annotations

import asyncio
import math
import re
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from benchmarks import wire
from benchmarks.peers import OUR_PYTHON, ROOT, Peer
from benchmarks.scale.fanout import Costs, one_after_the_other, simulate
from benchmarks.scale.servers import Cluster, ClusterBroadcasts
from benchmarks.websocket_client import ServerFailedError
from tests.helpers.redis_server import RedisServer, running_redis

FEW, CHECKED = 20, 100
CHECKS = ((2, CHECKED), (4, CHECKED), (8, CHECKED))
CALIBRATION = (
    (1, FEW),
    *((servers, FEW) for servers, _ in CHECKS),
    *((1, servers * clients) for servers, clients in CHECKS),
)
IDLE_SECONDS = 1.0
SUBSCRIPTION_CHECKS = 2000
_NODE = (str(OUR_PYTHON), str(ROOT / "examples" / "cluster_node.py"), "--adapter", "sharded")
_ENV = (("PYTHONPATH", str(ROOT)),)
_CHANNEL = "socket.io#/#room1#"
_EVENT = wire.event("emit", b'{"rooms":["room1"]},"update",' + wire.payload(64), 100)


class Measured(NamedTuple):
    """CPU times of one broadcast in microseconds: of all servers, and of the broker."""

    servers: float
    broker: float


@dataclass(frozen=True)
class Check:
    """A cluster whose CPU time was predicted and measured."""

    servers: int
    clients: int
    """The clients of each server."""
    measured: float
    """Deliveries per second of CPU time of the servers."""
    predicted: float
    broker_measured: float
    """CPU time of the broker for each broadcast, in microseconds."""
    broker_predicted: float

    @property
    def error(self) -> float:
        """The difference between prediction and measurement, as a share of the measurement."""
        return self.predicted / self.measured - 1


def calibrate(measured: list[Measured]) -> list[Costs]:
    """Return the costs for each of CHECKS from the measurements of CALIBRATION."""
    single, *others = measured
    few, many = others[: len(CHECKS)], others[len(CHECKS) :]
    # The costs of the smallest cluster apply to few clients: the caches keep these.
    warm = (many[0].servers - single.servers) / (math.prod(CHECKS[0]) - FEW)
    request = single.servers - FEW * warm
    costs = []
    for (servers, clients), with_few, alone in zip(CHECKS, few, many, strict=True):
        passing = max(with_few.broker - single.broker, 0.0) / (servers - 1)
        received = with_few.servers - request - servers * FEW * warm
        costs.append(Costs(
            request=request,
            receive=received / (servers - 1),
            delivery=(alone.servers - single.servers) / (servers * clients - FEW),
            broker_publish=max(single.broker - passing, 0.0),
            broker_pass=passing,
        ))  # fmt: skip
    return costs


def predict(costs: Costs, servers: int, clients: int, measured: Measured) -> Check:
    """Return the check of a cluster with `clients` clients of each server."""
    broadcasts = one_after_the_other(2 * servers, servers, clients)
    run = simulate(costs, servers, broadcasts)
    return Check(
        servers=servers,
        clients=clients,
        measured=servers * clients / measured.servers * 1e6,
        predicted=run.per_cpu_second,
        broker_measured=measured.broker,
        broker_predicted=sum(run.broker_seconds) / len(broadcasts) * 1e6,
    )


class _Nodes:
    """A running cluster with a Redis of its own."""

    def __init__(self, stack: ExitStack, servers: int) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-fanout-")))
        self._redis: RedisServer = stack.enter_context(running_redis(folder))
        peer = Peer("cluster node", (*_NODE, "--redis", self._redis.url), env=_ENV)
        self._cluster = stack.enter_context(Cluster(peer, servers))
        self._idle_at = self._idle_share = 0.0

    def note_idle(self, seconds: float = 0.0) -> None:
        """Store the CPU time of the idle broker, `seconds` after a call without them."""
        now = self._redis_seconds()
        self._idle_share = (now - self._idle_at) / seconds if seconds else 0.0
        self._idle_at = now

    async def measure(self, clients: int, seconds: float) -> Measured:
        """Open `clients` clients of each server, measure their broadcasts, and close them."""
        members = clients * len(self._cluster.ports)
        load = ClusterBroadcasts(members, event=_EVENT)
        await load.prepare(self._cluster)
        await self._wait_for_subscriptions()
        await load.measure(self._cluster, 0.1)
        began, before = perf_counter(), load.tally.messages
        broker, servers = self._redis_seconds(), self._cluster.cpu_seconds()
        await load.measure(self._cluster, seconds)
        servers = self._cluster.cpu_seconds() - servers
        count = (load.tally.messages - before) / (members + 1)  # a broadcast and its ack
        broker = self._redis_seconds() - broker - self._idle_share * (perf_counter() - began)
        await load.finish()
        return Measured(servers / count * 1e6, broker / count * 1e6)

    async def _wait_for_subscriptions(self) -> None:
        for _ in range(SUBSCRIPTION_CHECKS):
            if self._subscribers() == len(self._cluster.ports):
                return
            await asyncio.sleep(0.01)
        raise ServerFailedError("the servers do not subscribe to the channel of the room")

    def _subscribers(self) -> int:
        reply = self._redis.command("PUBSUB", "SHARDNUMSUB", _CHANNEL)
        return int(reply.rpartition(b":")[2])

    def _redis_seconds(self) -> float:
        text = self._redis.command("INFO", "cpu").decode()
        return sum(float(each) for each in re.findall(r"used_cpu_(?:sys|user):([\d.]+)", text))


async def measure_fanout(seconds: float, rounds: int) -> dict[str, Any]:
    """Return the record of a run: calibration, costs and checks."""
    shapes = (*CALIBRATION, *CHECKS)
    found: list[list[Measured]] = [[] for _ in shapes]
    with ExitStack() as stack:
        nodes = {
            servers: _Nodes(stack, servers) for servers in sorted({each[0] for each in shapes})
        }
        for each in nodes.values():
            each.note_idle()
        await asyncio.sleep(IDLE_SECONDS)
        for each in nodes.values():
            each.note_idle(IDLE_SECONDS)
        for _ in range(rounds):
            for (servers, clients), results in zip(shapes, found, strict=True):
                results.append(await nodes[servers].measure(clients, seconds))
    medians = [Measured(*map(median, zip(*each, strict=True))) for each in found]
    return make_record(medians[: len(CALIBRATION)], medians[len(CALIBRATION) :])


def make_record(calibration: list[Measured], measured: list[Measured]) -> dict[str, Any]:
    """Return the record of the measurements of CALIBRATION and CHECKS.

    Its `model` has the costs of a process with a core of its own and many clients.
    """
    costs = calibrate(calibration)
    checks = [
        predict(cost, *shape, each)
        for cost, shape, each in zip(costs, CHECKS, measured, strict=True)
    ]
    return {
        "calibration": [each._asdict() for each in calibration],
        "measured": [each._asdict() for each in measured],
        "costs": [asdict(cost) for cost in costs],
        "model": asdict(replace(costs[0], delivery=costs[-1].delivery)),
        "checks": [asdict(check) | {"error": check.error} for check in checks],
    }


def format_checks(record: dict[str, Any]) -> str:
    """Return the checks as a table in Markdown."""
    lines = [
        "| servers | clients | deliveries per CPU second, measured | predicted | error "
        "| Redis per broadcast, measured | predicted |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each['servers']} | {each['servers'] * each['clients']} | {each['measured']:,.0f} "
        f"| {each['predicted']:,.0f} | {each['error']:+.0%} | {each['broker_measured']:.0f} us "
        f"| {each['broker_predicted']:.0f} us |"
        for each in record["checks"]
    ]
    return "\n".join(lines)

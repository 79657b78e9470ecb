"""Runs experiments: contenders take turns (A B A B) and keep their connections between rounds.

The module starts the servers and collects samples. `figures` evaluates the samples.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Generator
from dataclasses import dataclass

from .experiments import IDLE_CONNECTIONS, Contender, Experiment
from .peers import Server
from .workloads import Sample, Workload, measure_memory

IDLE_CHECK_SECONDS = 0.1
IDLE_CHECKS = 100
#: Rounds of experiments that open thousands of connections in each turn.
OPENING_ROUNDS = 2

#: Samples by experiment and contender.
Results = dict[str, dict[str, list[Sample]]]


@dataclass(frozen=True)
class Effort:
    """Duration and number of the measurements of each experiment."""

    seconds: float
    rounds: int
    extra_rounds: int
    warm_up: float
    connections: int = IDLE_CONNECTIONS


SHORT = Effort(seconds=0.4, rounds=5, extra_rounds=2, warm_up=0.3)
FULL = Effort(seconds=2.0, rounds=9, extra_rounds=5, warm_up=1.5)


def describe(error: Exception) -> str:
    """Return the first and the last line of an error: the last one is that of a server's output."""
    first, *rest = str(error).strip().splitlines() or [""]
    last = f" ({rest[-1].strip()})" if rest else ""
    return f"{type(error).__name__}: {first}{last}"


class Bench:
    """The running servers, and the results of the experiments that ran on them."""

    def __init__(self, effort: Effort, report_progress: Callable[[str], None]) -> None:
        self._effort = effort
        self._report_progress = report_progress
        self._stack = contextlib.ExitStack()
        self._servers: dict[tuple[str, ...], Server] = {}
        self.results: Results = {}
        self.failures: list[str] = []
        self._failed: set[tuple[str, str]] = set()
        """Experiments and contenders; the remaining rounds of both are skipped."""
        self.skipped: dict[str, str] = {}
        """The remedy by the name of each peer that is not installed."""

    def close(self) -> None:
        """Stop all servers that were started."""
        self._stack.close()

    @staticmethod
    def _key(contender: Contender) -> tuple[str, ...]:
        peer = contender.peer
        return (*peer.command, str(peer.checkout), *map(str, peer.env), contender.instance)

    def _server(self, contender: Contender) -> Server:
        key = self._key(contender)
        if key in self._servers and self._servers[key].has_ended:
            self._servers.pop(key).stop()
        if key not in self._servers:
            self._servers[key] = self._stack.enter_context(Server(contender.peer))
        return self._servers[key]

    async def run(self, experiment: Experiment) -> None:
        """Measure one experiment; a contender that fails is recorded, and the others continue."""
        results: dict[str, list[Sample]] = {}
        self.results[experiment.name] = results
        contenders = self._installed((*experiment.contenders, *experiment.extra))
        is_memory = experiment.make_workload is None and all(
            each.make_workload is None for each in contenders
        )
        opens_late = is_memory or experiment.reopens
        workloads: dict[str, Workload] = {}
        for contender in contenders:
            results[contender.name] = []
            if not opens_late:
                with self._recording_failures(experiment, contender):
                    workloads[contender.name] = await self._prepare(experiment, contender)
        rounds, extra_rounds = self._effort.rounds, self._effort.extra_rounds
        if opens_late:
            rounds, extra_rounds = min(rounds, OPENING_ROUNDS), 1
        gc.collect()
        gc.freeze()
        for number in range(rounds):
            for contender in contenders:
                # Extra contenders are not part of a ratio, so fewer rounds suffice.
                if (experiment.name, contender.name) in self._failed or (
                    contender in experiment.extra and number >= extra_rounds
                ):
                    continue
                with self._recording_failures(experiment, contender):
                    if is_memory:
                        sample = await self._measure_memory(contender)
                    else:
                        sample = await self._measure(experiment, contender, workloads)
                    results[contender.name].append(sample)
        for workload in workloads.values():
            # The samples stay valid even if the connections do not close cleanly.
            with contextlib.suppress(Exception):
                await workload.finish()
        gc.unfreeze()
        for contender in experiment.extra:
            # Some peers need long to close their connections, which would disturb the next
            # experiment.
            if (server := self._servers.pop(self._key(contender), None)) is not None:
                server.stop()
        await self._wait_until_idle()

    async def _measure(
        self, experiment: Experiment, contender: Contender, workloads: dict[str, Workload]
    ) -> Sample:
        """Measure a contender on its open connections, or on connections of this turn."""
        workload = workloads.get(contender.name) or await self._prepare(experiment, contender)
        try:
            return await workload.measure(self._server(contender), self._effort.seconds)
        finally:
            if experiment.reopens:
                await workload.finish()

    def _installed(self, contenders: tuple[Contender, ...]) -> tuple[Contender, ...]:
        """Return the contenders whose peers are installed; report each missing peer once."""
        for contender in contenders:
            peer = contender.peer
            if not peer.is_installed and peer.name not in self.skipped:
                self.skipped[peer.name] = peer.remedy
                self._report_progress(f"  skipped: {peer.name} ({peer.remedy})")
        return tuple(each for each in contenders if each.peer.is_installed)

    async def _wait_until_idle(self) -> None:
        """Wait until all servers have closed their connections and use no CPU."""
        for _ in range(IDLE_CHECKS):
            servers = [server for server in self._servers.values() if not server.has_ended]
            before = [server.cpu_seconds() for server in servers]
            await asyncio.sleep(IDLE_CHECK_SECONDS)
            after = [server.cpu_seconds() for server in servers]
            if all(b - a < IDLE_CHECK_SECONDS / 10 for a, b in zip(before, after, strict=True)):
                return

    async def _prepare(self, experiment: Experiment, contender: Contender) -> Workload:
        make_workload = contender.make_workload or experiment.make_workload
        assert make_workload is not None, "only memory experiments have no workload"
        workload = make_workload()
        server = self._server(contender)
        await workload.prepare(server)
        # The warm-up gives just-in-time compilers the time to compile the hot code.
        await workload.measure(server, self._effort.warm_up)
        return workload

    async def _measure_memory(self, contender: Contender) -> Sample:
        """Return a sample whose `cost` is the number of bytes per connection."""
        with Server(contender.peer) as server:
            bytes_used = await measure_memory(server, self._effort.connections)
        return Sample(1, 1.0, bytes_used / 1e6, 0.0, 0.0)

    @contextlib.contextmanager
    def _recording_failures(
        self, experiment: Experiment, contender: Contender
    ) -> Generator[None, None, None]:
        try:
            yield
        except Exception as error:
            self._failed.add((experiment.name, contender.name))
            failure = f"{experiment.name}, {contender.name}: {describe(error)}"
            if failure not in self.failures:
                self.failures.append(failure)
                self._report_progress(f"  failed: {failure}")

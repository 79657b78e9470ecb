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


class Bench:
    """The running servers, and the results of the experiments that ran on them."""

    def __init__(self, effort: Effort, report_progress: Callable[[str], None]) -> None:
        self._effort = effort
        self._report_progress = report_progress
        self._stack = contextlib.ExitStack()
        self._servers: dict[tuple[str, ...], Server] = {}
        self.results: Results = {}
        self.failures: list[str] = []
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
        if key not in self._servers:
            self._servers[key] = self._stack.enter_context(Server(contender.peer))
        return self._servers[key]

    async def run(self, experiment: Experiment) -> None:
        """Measure one experiment; a contender that fails does not stop the others."""
        results: dict[str, list[Sample]] = {}
        self.results[experiment.name] = results
        contenders = self._installed((*experiment.contenders, *experiment.extra))
        is_memory = experiment.make_workload is None and all(
            each.make_workload is None for each in contenders
        )
        workloads: dict[str, Workload] = {}
        for contender in contenders:
            results[contender.name] = []
            if not is_memory:
                with self._recording_failures(experiment, contender):
                    workloads[contender.name] = await self._prepare(experiment, contender)
        gc.collect()
        gc.freeze()
        for number in range(self._effort.rounds):
            for contender in contenders:
                # Extra contenders are not part of a ratio, so fewer rounds suffice.
                extra_rounds = 1 if is_memory else self._effort.extra_rounds
                if contender in experiment.extra and number >= extra_rounds:
                    continue
                with self._recording_failures(experiment, contender):
                    if is_memory:
                        results[contender.name].append(await self._measure_memory(contender))
                    elif contender.name in workloads:
                        server = self._server(contender)
                        workload = workloads[contender.name]
                        results[contender.name].append(
                            await workload.measure(server, self._effort.seconds)
                        )
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
            before = [server.cpu_seconds() for server in self._servers.values()]
            await asyncio.sleep(IDLE_CHECK_SECONDS)
            after = [server.cpu_seconds() for server in self._servers.values()]
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
            failure = f"{experiment.name}, {contender.name}: {type(error).__name__}: {error}"
            if failure not in self.failures:
                self.failures.append(failure)
                self._report_progress(f"  failed: {failure}")

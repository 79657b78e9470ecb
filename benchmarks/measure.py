"""Runs experiments: contenders take turns, A B A B, on connections that they keep.

Knows: rounds, servers that run.  Does not know: goals, reports.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable
from dataclasses import dataclass

from .experiments import IDLE_CONNECTIONS, Contender, Experiment
from .peers import Server
from .workloads import Sample, Work, measure_memory

CALM_SECONDS = 0.1
CALM_LOOKS = 100

Results = dict[str, dict[str, list[Sample]]]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How long and how often: the short form, or the long one."""

    seconds: float
    rounds: int
    extra_rounds: int
    warm_up: float
    connections: int = IDLE_CONNECTIONS


SHORT = Effort(seconds=0.4, rounds=5, extra_rounds=2, warm_up=0.3)
FULL = Effort(seconds=2.0, rounds=9, extra_rounds=5, warm_up=1.5)


class Bench:
    """The servers that have been started, and the experiments that were run on them."""

    def __init__(self, effort: Effort, say: Say) -> None:
        self._effort = effort
        self._say = say
        self._stack = contextlib.ExitStack()
        self._servers: dict[tuple[str, ...], Server] = {}
        self.results: Results = {}
        self.failures: list[str] = []

    def close(self) -> None:
        """Stop all servers."""
        self._stack.close()

    @staticmethod
    def _key(contender: Contender) -> tuple[str, ...]:
        peer = contender.peer
        return (*peer.command, str(peer.checkout), contender.instance)

    def _server(self, contender: Contender) -> Server:
        key = self._key(contender)
        if key not in self._servers:
            self._servers[key] = self._stack.enter_context(Server(contender.peer))
        return self._servers[key]

    async def run(self, experiment: Experiment) -> None:
        """Measure one experiment; what fails is noted, and the others go on."""
        results: dict[str, list[Sample]] = {}
        self.results[experiment.name] = results
        everyone = (*experiment.contenders, *experiment.extra)
        is_memory = experiment.make_work is None and all(
            each.make_work is None for each in everyone
        )
        works: dict[str, Work] = {}
        for contender in everyone:
            results[contender.name] = []
            if not is_memory:
                with self._noting(experiment, contender):
                    works[contender.name] = await self._prepare(experiment, contender)
        gc.collect()
        gc.freeze()
        for number in range(self._effort.rounds):
            for contender in everyone:
                # What needs no neighbours needs less: it is in no ratio.
                extra_rounds = 1 if is_memory else self._effort.extra_rounds
                if contender in experiment.extra and number >= extra_rounds:
                    continue
                with self._noting(experiment, contender):
                    if is_memory:
                        results[contender.name].append(await self._weigh(contender))
                    elif contender.name in works:
                        server = self._server(contender)
                        sample = await works[contender.name].measure(server, self._effort.seconds)
                        results[contender.name].append(sample)
        for work in works.values():
            # What was measured stands, whether or not its server still takes a farewell.
            with contextlib.suppress(Exception):
                await work.finish()
        gc.unfreeze()
        for contender in experiment.extra:
            # Some are busy with farewells for long: nobody else is to pay for that.
            if (server := self._servers.pop(self._key(contender), None)) is not None:
                server.stop()
        await self._calm()

    async def _calm(self) -> None:
        """Wait until no server is busy with farewells, which what comes next is not to pay for."""
        for _ in range(CALM_LOOKS):
            before = [server.cpu_seconds() for server in self._servers.values()]
            await asyncio.sleep(CALM_SECONDS)
            after = [server.cpu_seconds() for server in self._servers.values()]
            if all(b - a < CALM_SECONDS / 10 for a, b in zip(before, after, strict=True)):
                return

    async def _prepare(self, experiment: Experiment, contender: Contender) -> Work:
        make_work = contender.make_work or experiment.make_work
        assert make_work is not None, "it is not the memory"
        work = make_work()
        server = self._server(contender)
        await work.prepare(server)
        # What is compiled while it runs is compiled by now.
        await work.measure(server, self._effort.warm_up)
        return work

    async def _weigh(self, contender: Contender) -> Sample:
        """Return a sample whose cost is the bytes of a connection."""
        with Server(contender.peer) as server:
            held = await measure_memory(server, self._effort.connections)
        return Sample(1, 1.0, held / 1e6, 0.0, 0.0)

    @contextlib.contextmanager
    def _noting(self, experiment: Experiment, contender: Contender):  # type: ignore[no-untyped-def]
        try:
            yield
        except Exception as error:
            failure = f"{experiment.name}, {contender.name}: {type(error).__name__}: {error}"
            if failure not in self.failures:
                self.failures.append(failure)
                self._say(f"  failed: {failure}")

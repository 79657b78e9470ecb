"""Clients that arrive and leave all the time: `python -m benchmarks.soak.churn core|hub PORT`.

The lines "go" and "pause" of the input start and stop the clients. After "pause", and the end of
the last client, the program prints one JSON object: the number of clients per act, and of those
that ended with an error. It ends when its input ends. The hub's tokens are arguments behind PORT.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import uvloop

from benchmarks.soak import core_acts, hub_acts

Act = Callable[[int], Awaitable[None]]

PLACES: Final = 10
"""The number of clients at a time."""
PAUSE: Final = 0.05
"""Seconds between two clients of one place."""
_PATIENCE: Final = 30.0


class Churn:
    """The clients at all places."""

    def __init__(self, port: int, acts: Sequence[Act]) -> None:
        self._port = port
        self._acts = acts
        self._is_running = False
        self._places: list[asyncio.Task[None]] = []
        self._first: list[Act] = []
        self.counts: Counter[str] = Counter()

    def go(self) -> None:
        """Start the clients at all places, and count from 0 again.

        Each act happens at least once before `pause` ends, also on a slow machine, so that the
        server has filled its caches for each act.
        """
        self._is_running = True
        self._first = random.sample(self._acts, len(self._acts))
        self.counts.clear()
        self._places = [asyncio.create_task(self._run()) for _ in range(PLACES)]

    async def pause(self) -> None:
        """Start no client any more, and wait for the end of the last one."""
        self._is_running = False
        await asyncio.gather(*self._places)

    async def _run(self) -> None:
        while self._is_running or self._first:
            act = self._first.pop() if self._first else random.choice(self._acts)
            name = getattr(act, "__name__", "").replace("_", " ")
            try:
                async with asyncio.timeout(_PATIENCE):
                    await act(self._port)
            except Exception as error:
                name += f" ({type(error).__name__})"
            self.counts[name] += 1
            await asyncio.sleep(PAUSE)


async def main(kind: str, port: int) -> None:
    """Follow the lines of the input."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        while data := os.read(0, 1 << 16):
            for line in data.decode().split():
                loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    churn = Churn(port, core_acts.ACTS if kind == "core" else hub_acts.ACTS)
    print("ready", flush=True)
    while line := await lines.get():
        if line == "go":
            churn.go()
        else:
            await churn.pause()
            print(json.dumps(churn.counts), flush=True)


if __name__ == "__main__":
    # The server closes the connections of hostile clients; the clients do not report it.
    logging.disable(logging.CRITICAL)
    hub_acts.TOKENS.extend(sys.argv[3:])
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main(sys.argv[1], int(sys.argv[2])))

"""The client that measures: the official one, in a process of its own (`victim.js`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Final, NamedTuple

_SCRIPT: Final = Path(__file__).with_name("victim.js")
_MSGPACK: Final = "socket.io-msgpack-parser"
_SECONDS: Final = 60.0
_LINE_LIMIT: Final = 1 << 24


class Waits(NamedTuple):
    """Round trips during an attack, in milliseconds, and the events that were lost."""

    waits: list[float]
    lost: int

    @property
    def longest(self) -> float:
        """The longest round trip; infinite without any."""
        return max(self.waits, default=float("inf"))

    @property
    def p99(self) -> float:
        """The 99th percentile of the round trips."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] if ordered else float("inf")


class OfficialClient:
    """A client that sends one acked event after another until `stop`."""

    def __init__(
        self, url: str, event: str, pause: float, token: str = "", *, is_msgpack: bool = False
    ) -> None:
        parser = _MSGPACK if is_msgpack else ""
        self._arguments = (str(_SCRIPT), url, event, str(pause * 1000), token, parser)
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        """Connect, and begin to send events."""
        self._process = await asyncio.create_subprocess_exec(
            "node", *self._arguments, limit=_LINE_LIMIT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _SECONDS)
        if line != b"ready\n":
            raise RuntimeError("the measuring client did not connect; its error is above")

    def begin(self) -> None:
        """Drop the measured round trips."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"begin\n")

    def kill(self) -> None:
        """End the process without its results, after an error."""
        with contextlib.suppress(AttributeError, ProcessLookupError):  # not started, or ended
            self._process.kill()

    async def stop(self) -> Waits:
        """End after the answer to the current event; return the measured round trips."""
        output, _ = await asyncio.wait_for(self._process.communicate(b""), _SECONDS)
        result = json.loads(output)
        return Waits(result["waits"], result["lost"] + result["disconnects"])

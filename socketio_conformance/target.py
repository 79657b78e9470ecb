"""Echo servers as processes of their own, as `tests/targets` has them.

Knows: that a target prints one line of JSON, and ends when its standard input does.
Does not know: what it is written in, dialogues.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

START_WITHIN = 20.0
END_WITHIN = 5.0


class Target(NamedTuple):
    """A target that runs: what it calls itself, and where its servers are."""

    server: str
    urls: list[str]


class TargetFailed(Exception):
    """A target that does not start."""


@asynccontextmanager
async def running(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Target]:
    """Run a target; its end is awaited, and brought about if need be. Raises TargetFailed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None, "it was asked for"
    assert process.stdout is not None, "it was asked for"
    try:
        yield await _started(process.stdout, command)
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), END_WITHIN)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _started(output: asyncio.StreamReader, command: Sequence[str]) -> Target:
    try:
        line = json.loads(await asyncio.wait_for(output.readline(), START_WITHIN))
    except (TimeoutError, ValueError):
        raise TargetFailed(f"{' '.join(command)} does not start") from None
    return Target(line["server"], [f"http://127.0.0.1:{port}" for port in line["ports"].values()])

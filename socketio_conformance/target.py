"""Runs echo servers such as those in `tests/targets` as child processes.

A target prints one line of JSON and ends when its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

START_WITHIN = 60.0
END_WITHIN = 5.0


class Target(NamedTuple):
    """A running target: its name and the URLs of its servers."""

    server: str
    urls: list[str]


class TargetError(Exception):
    """The failed start of a target."""


@asynccontextmanager
async def running(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Target]:
    """Run a target; at exit, wait until the process ends, or kill it. Raises TargetError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None, "create_subprocess_exec made a pipe"
    assert process.stdout is not None, "create_subprocess_exec made a pipe"
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
        raise TargetError(
            f"{' '.join(command)} must print a line of JSON within {START_WITHIN:g} seconds"
        ) from None
    return Target(line["server"], [f"http://127.0.0.1:{port}" for port in line["ports"].values()])

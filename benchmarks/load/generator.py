"""The load generator in C as a process: its modes are described in `generator.c`."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

from benchmarks.peers import BUILT, PeerMissingError

PROGRAM = BUILT / "load-generator"
PATIENCE = 120.0


class GeneratorError(RuntimeError):
    """The generator ended early; its error is on standard error."""


def check_generator() -> None:
    """Raise PeerMissingError, with the remedy, if the generator is not built."""
    if not PROGRAM.exists():
        raise PeerMissingError(
            "the load generator is not built: install a C compiler (apt-get install gcc), then run "
            "benchmarks/setup-compiled"
        )


class Generator:
    """A running generator whose connections have all joined, as an async context manager."""

    def __init__(self, mode: str, port: int, connections: int, **flags: float) -> None:
        flags = {"port": port, "connections": connections, **flags}
        words = (word for name, value in flags.items() for word in (f"--{name}", f"{value:g}"))
        self._command = (str(PROGRAM), mode, *words)
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        """Start the process and wait until all connections have joined."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            await self._read_line()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def read_result(self) -> dict[str, Any]:
        """Return the result that the process prints at its end. Raises GeneratorError."""
        result: dict[str, Any] = json.loads(await self._read_line())
        return result

    def end(self) -> None:
        """Let a generator of idle connections print its result and end."""
        assert self._process.stdin is not None, "standard input is a pipe"
        self._process.stdin.close()

    async def _read_line(self) -> bytes:
        assert self._process.stdout is not None, "standard output is a pipe"
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        if not line:
            raise GeneratorError(f"{' '.join(self._command)} ended early")
        return line

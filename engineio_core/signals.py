"""The signals that stop a server process, from its start to its end.

The owner of the process decides what a stop does.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, Self

from engineio_core.noop import noop

#: Signals that stop a server.
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
#: The exit code of a process that the second signal ends is this number plus that of the signal:
#: 130 for SIGINT, 143 for SIGTERM.
FORCED_EXIT: Final = 128


class StopSignals:
    """The first SIGINT or SIGTERM requests a stop, the second one ends the process at once.

        async with StopSignals(server.reload_tls) as signals:
            await server.listen()
            await signals.wait()
            await server.shutdown()

    SIGHUP calls `on_hangup`. Use it in the main thread. The previous handlers return at the end of
    the block. In a process with a supervisor (`is_supervised`), further signals do nothing: a
    service manager and the supervisor may both send the first one, and the supervisor kills the
    process when it receives a second one.
    """

    def __init__(
        self,
        on_hangup: Callable[[], object] = noop,
        *,
        is_supervised: bool = False,
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self._on_hangup = on_hangup
        self._is_supervised = is_supervised
        self._end_process = end_process
        self._former: dict[signal.Signals, Any] = {}

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._first: asyncio.Future[str] = self._loop.create_future()
        self._has_stopped = False
        # Not `loop.add_signal_handler`: the second signal must end a process whose loop is blocked.
        for number in STOP_SIGNALS:
            self._former[number] = signal.signal(number, self._received)
        self._loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.remove_signal_handler(signal.SIGHUP)
        for number, handler in self._former.items():
            signal.signal(number, handler)

    async def wait(self) -> str:
        """Wait for the first signal; return its name."""
        return await asyncio.shield(self._first)

    def _received(self, number: int, _: FrameType | None) -> None:
        if self._has_stopped and not self._is_supervised:
            self._end_process(FORCED_EXIT + number)
        self._has_stopped = True
        self._loop.call_soon_threadsafe(self._set, signal.Signals(number).name)

    def _set(self, name: str) -> None:
        if not self._first.done():
            self._first.set_result(name)

"""Database writes in the background: in order, on one thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from hextrackr_server.telemetry.failures import log_failure

logger = logging.getLogger(__name__)

#: A write may wait for the transaction that ends an import. `run` waits at most this long.
WAIT_SECONDS = 60.0
CLOSE_SECONDS = 30.0

T = TypeVar("T")


class BackgroundWriter:
    """Executor of one call at a time, in order; used on the thread of the event loop."""

    def __init__(self, name: str = "hextrackr-writer") -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        # Each counter is changed by one thread only.
        self._submitted = self._done = 0

    @property
    def waiting(self) -> int:
        """Number of calls that have not ended."""
        return self._submitted - self._done

    def soon(self, call: Callable[..., object], *args: Any) -> None:
        """Run a call after all earlier ones; errors are logged."""
        self._submitted += 1
        self._executor.submit(self._try, call, args)

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        """Run a call after all earlier ones and return its result; TimeoutError after a minute."""
        async with asyncio.timeout(WAIT_SECONDS):
            return await asyncio.get_running_loop().run_in_executor(self._executor, call, *args)

    async def close(self) -> None:
        """Finish pending calls and end the thread."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.to_thread(self._executor.shutdown)
        except TimeoutError:
            logger.error("pending database writes did not finish in %g seconds", CLOSE_SECONDS)

    def _try(self, call: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            call(*args)
        except Exception as error:
            # Later calls run anyway.
            log_failure(logger, "a background write to the database failed", error)
        finally:
            self._done += 1

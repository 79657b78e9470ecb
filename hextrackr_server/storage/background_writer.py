"""What is written to the database while nobody waits: in order, on a thread of its own.

Knows: the thread, how much waits for it.  Does not know: what is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

#: A write may wait for the transaction that ends an import; whoever does wait, no longer than this.
WAIT_SECONDS = 60.0
CLOSE_SECONDS = 30.0

T = TypeVar("T")


class BackgroundWriter:
    """Does one call after another; used on the loop's thread."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="hextrackr-writer")
        # Each is changed by one thread alone.
        self._given = self._done = 0

    @property
    def waiting(self) -> int:
        """How many calls have not ended."""
        return self._given - self._done

    def soon(self, call: Callable[..., object], *args: Any) -> None:
        """Call after all that was given before; what goes wrong is logged."""
        self._given += 1
        self._executor.submit(self._try, call, args)

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        """Call after all that was given before, and wait; TimeoutError where that takes long."""
        async with asyncio.timeout(WAIT_SECONDS):
            return await asyncio.get_running_loop().run_in_executor(self._executor, call, *args)

    async def close(self) -> None:
        """Finish what was given, and end the thread."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.to_thread(self._executor.shutdown)
        except TimeoutError:
            logger.error("the database does not take what is to be written")

    def _try(self, call: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            call(*args)
        except Exception:
            # What comes behind it is written all the same.
            logger.exception("the database could not be written to")
        finally:
            self._done += 1

"""Runs database queries in threads of their own, with a per-user concurrency limit.

A query may take seconds. In threads shared with other work, one user with many queries would
prevent other users from logging in. The executor does not interpret the calls that it runs.
It is used on the event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from hextrackr_server.errors import ErrorCode, ServiceError

THREADS = 4
#: Queries of one user that run at the same time.
MAXIMUM_RUNNING_PER_USER = 2
#: Unfinished queries of one user, running and queued.
MAXIMUM_UNFINISHED_PER_USER = 32
#: Time that a query waits in its user's queue before it fails.
WAIT_SECONDS = 30.0

T = TypeVar("T")


class _UserQueue:
    """The unfinished queries of one user: their number, and the slots to run them."""

    __slots__ = ("slots", "unfinished")

    def __init__(self, running: int) -> None:
        self.slots = asyncio.Semaphore(running)
        self.unfinished = 0


class QueryExecutor:
    """A thread pool for queries, shared fairly between users."""

    def __init__(
        self, threads: int = THREADS, running_per_user: int = MAXIMUM_RUNNING_PER_USER
    ) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="hextrackr-query")
        self._running_per_user = running_per_user
        self._queues: dict[str, _UserQueue] = {}

    async def run(self, user_id: str, call: Callable[..., T], *args: Any) -> T:
        """Return the result of `call(*args)`, which runs in a thread.

        Raises:
            ServiceError: RATE_LIMITED if the user has too many unfinished queries, TIMEOUT if
                the query does not start within WAIT_SECONDS.
        """
        queue = self._queues.setdefault(user_id, _UserQueue(self._running_per_user))
        if queue.unfinished >= MAXIMUM_UNFINISHED_PER_USER:
            text = (
                f"A user may have {MAXIMUM_UNFINISHED_PER_USER} unfinished queries, "
                f"you have {queue.unfinished}: wait for their answers"
            )
            raise ServiceError(ErrorCode.RATE_LIMITED, text)
        queue.unfinished += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await queue.slots.acquire()
        except TimeoutError as error:
            self._release(user_id, queue)
            text = f"The query did not start within {WAIT_SECONDS:g} seconds: send fewer at a time"
            raise ServiceError(ErrorCode.TIMEOUT, text) from error
        except BaseException:
            self._release(user_id, queue)
            raise

        def finished(_: asyncio.Future[T]) -> None:
            queue.slots.release()
            self._release(user_id, queue)

        result = asyncio.get_running_loop().run_in_executor(self._threads, call, *args)
        result.add_done_callback(finished)
        # A canceled caller keeps its slot until the thread is free again.
        return await asyncio.shield(result)

    def close(self) -> None:
        """Drop the queued queries; each thread ends after its current query."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _release(self, user_id: str, queue: _UserQueue) -> None:
        queue.unfinished -= 1
        if not queue.unfinished:
            del self._queues[user_id]

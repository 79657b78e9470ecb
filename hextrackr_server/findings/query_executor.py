"""Whose question the database answers next.

Knows: threads for questions alone, how many of them one user has at once, how long one waits.
Does not know: what is asked.  On the loop's thread.

Questions may take seconds. In threads that others need, too, a user with many of them would keep
everybody from logging in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from hextrackr_server.errors import ErrorCode, ServiceError

THREADS = 4
AT_ONCE = 2
MAXIMUM_WAITING = 32
WAIT_SECONDS = 30.0

T = TypeVar("T")


class _Line:
    """The questions of one user: how many have no answer yet, and the turns they wait for."""

    __slots__ = ("length", "turns")

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(AT_ONCE)
        self.length = 0


class QuestionTurns:
    """Runs questions in threads, in turn."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hextrackr-question")
        self._lines: dict[str, _Line] = {}

    async def ask(self, user_id: str, call: Callable[..., T], *args: Any) -> T:
        """What the call returns; ServiceError RATE_LIMITED or TIMEOUT where too much is asked."""
        line = self._lines.setdefault(user_id, _Line())
        if line.length >= MAXIMUM_WAITING:
            text = f"{line.length} questions wait for their answer already"
            raise ServiceError(ErrorCode.RATE_LIMITED, text)
        line.length += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await line.turns.acquire()
        except TimeoutError as error:
            self._leave(user_id, line)
            text = "Too many questions were asked before this one"
            raise ServiceError(ErrorCode.TIMEOUT, text) from error
        except BaseException:
            self._leave(user_id, line)
            raise

        def answered(_: asyncio.Future[T]) -> None:
            line.turns.release()
            self._leave(user_id, line)

        answer = asyncio.get_running_loop().run_in_executor(self._threads, call, *args)
        answer.add_done_callback(answered)
        # Whoever gives up waiting keeps his turn until the thread is free again.
        return await asyncio.shield(answer)

    def close(self) -> None:
        """Take no more questions; a thread ends with the question that it has."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _leave(self, user_id: str, line: _Line) -> None:
        line.length -= 1
        if not line.length:
            del self._lines[user_id]

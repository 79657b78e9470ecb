"""The threads of a blocking client: one for the event loop, and some for handlers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from engineio_core.callbacks import describe_function
from socketio_core.misuse import is_async

Result = TypeVar("Result")


class LoopThread:
    """An event loop in a thread, which starts with the first call. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[..., Result], *args: Any, **options: Any) -> Result:
        """Call a function in the thread of the loop; return its result or raise its exception."""
        if self._thread is threading.current_thread():
            return function(*args, **options)
        future: concurrent.futures.Future[Result] = concurrent.futures.Future()

        def run() -> None:
            try:
                future.set_result(function(*args, **options))
            except BaseException as error:
                future.set_exception(error)

        with self._lock:  # `stop` schedules the end of the loop after all earlier calls
            self._start().call_soon_threadsafe(run)
        return future.result()

    def run(self, function: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run a coroutine in the loop, and wait for its result. Raises its exception.

        Raises RuntimeError in the thread of the loop, which would wait for itself.
        """
        future = self._submit(function)
        try:
            return future.result()
        finally:
            future.cancel()  # a KeyboardInterrupt ends the coroutine as well

    def wait(self, function: Callable[[], Coroutine[Any, Any, Any]], timeout: float | None) -> bool:
        """Run a coroutine; return whether it ends in time, and cancel it otherwise."""
        future = self._submit(function)
        try:
            future.result(timeout)
        except concurrent.futures.TimeoutError:
            return False
        finally:
            future.cancel()
        return True

    def _submit(
        self, function: Callable[[], Coroutine[Any, Any, Result]]
    ) -> concurrent.futures.Future[Result]:
        if self._thread is threading.current_thread():
            raise RuntimeError(
                "a blocking client cannot wait in the thread of its event loop: call it from a "
                "handler or from another thread, or use AsyncClient"
            )
        with self._lock:
            return asyncio.run_coroutine_threadsafe(function(), self._start())

    def stop(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run a last coroutine, then end the loop and its thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None or not thread.is_alive():
            return  # after a fork, the connection belongs to the parent process
        try:
            asyncio.run_coroutine_threadsafe(function(), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _start(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            loop = asyncio.new_event_loop()
            self._loop = loop
            self._thread = threading.Thread(
                target=_serve, args=(loop,), name="socketio client", daemon=True
            )
            self._thread.start()
        elif self._thread is not None and not self._thread.is_alive():
            raise RuntimeError(
                "a blocking client must not be used in a child process that fork() created: create "
                "another Client in the child process"
            )
        return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(_cancel_all())
        asyncio.set_event_loop(None)
        loop.close()


async def _cancel_all() -> None:
    """Cancel the remaining tasks: calls of other threads fail with CancelledError."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class HandlerThreads:
    """The threads in which the handlers of a blocking client run; they start when needed."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None

    def execute(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a coroutine function that calls a function in one of the threads.

        Raises TypeError for a coroutine function.
        """
        if is_async(function):
            raise TypeError(
                "a handler of a blocking client must be a plain function, got "
                f"{describe_function(function)}: use AsyncClient"
            )
        return InThread(function, self)

    def submit(self, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Call a function in one of the threads; the event loop may await the result."""
        with self._lock:
            if self._pool is None:
                self._pool = concurrent.futures.ThreadPoolExecutor(
                    self._count, thread_name_prefix="socketio handler"
                )
            return asyncio.wrap_future(self._pool.submit(function, *args))

    def close(self) -> None:
        """End the threads; running handlers end by themselves."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


class InThread:
    """A function that runs in a thread of the handlers; it is equal to the function itself."""

    __slots__ = ("_function", "_threads")

    def __init__(self, function: Callable[..., Any], threads: HandlerThreads) -> None:
        self._function = function
        self._threads = threads

    async def __call__(self, *args: Any) -> Any:
        """Call the function and return its result."""
        return await self._threads.submit(self._function, *args)

    def __eq__(self, other: object) -> bool:
        return other is self or other == self._function

    def __hash__(self) -> int:
        return hash(self._function)

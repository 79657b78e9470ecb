"""Generators that run coroutines step by step for the runner.

A compiled build does not compile them: its generators cost more than those of the interpreter.
"""

from __future__ import annotations

import types
from collections.abc import Generator
from typing import Any, Final

FINISHED: Final = object()
"""Yielded by a driver when a coroutine has ended in its first step."""


@types.coroutine
def drive(box: list[Any]) -> Generator[Any, Any, Any]:
    """Run one coroutine after the other; return the result of one that has suspended.

    `box` is a list, because its items cost the interpreter less than attributes of a compiled
    object: the driver sets the first one to each result; the second one is true if a task runs the
    coroutine, which has suspended.
    Sending to a coroutine directly ends with a StopIteration, which costs as much as the rest of
    the first step; awaiting the coroutine in a generator does not (benchmarks/tricks.py).
    """
    coroutine = yield FINISHED
    while True:
        box[0] = yield from coroutine
        if box[1]:
            return box[0]
        coroutine = yield FINISHED


@types.coroutine
def resume(driver: Generator[Any, Any, Any], yielded: Any) -> Generator[Any, Any, Any]:
    """Continue a coroutine that has run its first step elsewhere and yielded this future."""
    while True:
        try:
            yield yielded
        except BaseException as error:
            try:
                yielded = driver.throw(error)
            except StopIteration as stop:
                return stop.value
        else:
            # A task resumes a coroutine by sending None: the result is read from the future.
            return (yield from driver)


@types.coroutine
def started() -> Generator[None, None, None]:
    """Suspend until the next iteration of the event loop."""
    yield

"""Functions that the tests of misuse pass by mistake."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

PAGE = "https://app.example"


async def deny(_: Any) -> bool:
    return False


def return_coroutine(value: Any) -> Any:
    return deny(value)


def generate(_: Any) -> Iterator[None]:
    yield


async def generate_async(_: Any) -> AsyncIterator[None]:
    yield


class CallableObject:
    async def __call__(self, _: Any) -> bool:
        return False


DEFERRED: list[Any] = [
    deny, generate, generate_async, CallableObject(), partial(deny), partial(CallableObject()),
    "text",
]  # fmt: skip
EVENTS = ["connection", "connection_error", "headers", "initial_headers"]

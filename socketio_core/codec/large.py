"""Decodes large messages without the garbage collector, whose work a client could multiply."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sized
from typing import Any, Final, TypeVar

import orjson

Data = TypeVar("Data", bound=Sized)
Value = TypeVar("Value")

#: Messages above this size are decoded with the garbage collector paused, in bytes.
LARGE: Final = 64 * 1024
#: After messages above this size, the collector pauses until their event is handled, in bytes.
VERY_LARGE: Final = 256 * 1024

_call_soon: Final[list[Callable[[Callable[[], None]], bool]]] = [lambda _: False]


def decode_uncollected(decode: Callable[[Data], Value], data: Data) -> Value:
    """Return `decode(data)`; the garbage collector pauses meanwhile.

    CPython starts a collection after every 700 new containers, and a decoder releases none: each
    full collection visits all objects of the process. 300,000 empty lists took 248 ms with the
    collector and 27 ms without (Python 3.11; 200,000 other objects). The first collection after the
    pause would visit all new values, which took 23 ms. The pause after a very large message
    therefore lasts until the next iteration of the event loop: a handler that does not keep the
    values has released them, without a collection.
    """
    if not gc.isenabled():
        return decode(data)
    gc.disable()
    try:
        return decode(data)
    finally:
        if len(data) <= VERY_LARGE or not _call_soon[0](gc.enable):
            gc.enable()


def use_loop(call_soon: Callable[[Callable[[], None]], bool]) -> None:
    """Set the function that calls another one in the next iteration of the event loop.

    It returns False if no loop is running. Without it, the pause ends with the decoding.
    """
    _call_soon[0] = call_soon


def load_large(text: bytes | str) -> Any:
    """Return the value of a large JSON text. Raises ValueError for what orjson refuses."""
    return decode_uncollected(orjson.loads, text)

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
#: The values of messages above this size also skip the collection that follows, in bytes.
VERY_LARGE: Final = 256 * 1024
# CPython 3.12 starts with 375 frozen objects; a program that freezes its modules has many more.
_FROZEN_BY_PYTHON: Final = 1000


def decode_uncollected(decode: Callable[[Data], Value], data: Data) -> Value:
    """Return `decode(data)`; the garbage collector pauses meanwhile.

    CPython starts a collection after every 700 new containers, and a decoder releases none: each
    full collection visits all objects of the process. 300,000 empty lists took 248 ms with the
    collector and 27 ms without (Python 3.11; 200,000 other objects). The first collection after the
    pause would visit all new values, which took 23 ms. `freeze` and `unfreeze` move them to the
    oldest generation at once, after the older objects, which may be garbage, have been collected.
    """
    if not gc.isenabled():
        return decode(data)
    is_very_large = len(data) > VERY_LARGE and gc.get_freeze_count() < _FROZEN_BY_PYTHON
    if is_very_large:
        gc.collect(1)
    gc.disable()
    try:
        return decode(data)
    finally:
        if is_very_large:
            gc.freeze()
            gc.unfreeze()
        gc.enable()


def load_large(text: bytes | str) -> Any:
    """Return the value of a large JSON text. Raises ValueError for what orjson refuses."""
    return decode_uncollected(orjson.loads, text)

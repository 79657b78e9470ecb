"""Turns of connections that end by the number of their checks, not by time.

The clock of read turns advances at each look at it, so that turns are interrupted, at the same
places for the same input, also on a fast machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from engineio_core import read_turn
from engineio_core.codec import frame_reader


@contextmanager
def counted_turns() -> Iterator[None]:
    """Let each third check interrupt a turn."""
    kept = read_turn.perf_counter, frame_reader.perf_counter
    steps = count()
    read_turn.perf_counter = lambda: next(steps) * read_turn.TURN_SECONDS / 2
    frame_reader.perf_counter = read_turn.perf_counter
    try:
        yield
    finally:
        read_turn.perf_counter, frame_reader.perf_counter = kept

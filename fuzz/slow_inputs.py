"""Limits the CPU time of an input, which excludes the time of other processes."""

from __future__ import annotations

import signal
from types import FrameType

#: The limit of an input, which ends at the second tick after it.
CPU_SECONDS = 20


class SlowInputError(BaseException):
    """An input took too long; no parser catches this exception."""


class SlowInputs:
    """A watch over the inputs of a process: an input that lasts two ticks raises SlowInputError.

    The ticks are those of the CPU time of the process, so that an input costs no system call.
    """

    def __init__(self, seconds: float = CPU_SECONDS) -> None:
        self._seconds = seconds
        self._inputs = 0
        self._inputs_before = -1

    def begin(self) -> None:
        """Note the beginning of an input."""
        self._inputs += 1

    def __enter__(self) -> SlowInputs:
        """Start the ticks; they end an earlier timer of CPU time of the process."""
        self._kept = signal.signal(signal.SIGVTALRM, self._tick)
        signal.setitimer(signal.ITIMER_VIRTUAL, self._seconds, self._seconds)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the ticks, and restore the earlier handler of SIGVTALRM."""
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, self._kept)

    def _tick(self, number: int, frame: FrameType | None) -> None:
        if self._inputs == self._inputs_before:
            raise SlowInputError(f"the input takes more than {self._seconds} s of CPU time")
        self._inputs_before = self._inputs

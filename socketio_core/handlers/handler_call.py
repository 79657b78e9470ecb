"""The part of a handler that the dispatch reads for each event; a compiled build compiles it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engineio_core.subclassing import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class HandlerCall:
    """A function, and the number of arguments with which the dispatch may call it directly."""

    __slots__ = ("function", "given")

    def __init__(self, function: Callable[..., Any], given: int) -> None:
        """Set the function, and its number of arguments after the socket; -1: use `call`."""
        self.function = function
        self.given = given

    def call(self, socket: Any, data: list[Any]) -> Any:
        """Call the function with the arguments of an event, `[name, *args]`."""
        raise NotImplementedError

"""The parts of handlers and sockets that the dispatch uses; a compiled build compiles them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engineio_core.subclassing import mypyc_attr
from socketio_core.adapters.recipient import RecipientFields


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


@mypyc_attr(allow_interpreted_subclasses=True)
class HandlingSocket(RecipientFields):
    """The base of sockets, as the dispatch uses them."""

    __slots__ = ()

    def _send_ack(self, ack_id: int, result: Any) -> None:
        """Send an ack: a tuple becomes several arguments; None becomes an ack without them."""
        raise NotImplementedError

    def _handler_suspended(self) -> None:
        """Count a handler that continues later."""
        raise NotImplementedError

    def _handler_ended(self) -> None:
        """Count the end of a handler that had suspended."""
        raise NotImplementedError

"""Another server, as handlers of server-side events meet it: they may answer it.

Knows: how the first answer of several handlers is found.
Does not know: how an event came, nor how the answer goes back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from socketio_core.handlers.dispatch import Ack, Dispatch, SharedAck
from socketio_core.handlers.handler import Handler

NO_ID: Final = 0  # the dispatch wants an id for an ack; whoever answers needs none


class ServerPeer:
    """Takes the place of a socket while handlers of one event run."""

    __slots__ = ("_answer", "_dispatch")

    id = "(another server)"

    def __init__(self, dispatch: Dispatch, answer: Callable[[Any], None] | None) -> None:
        self._dispatch = dispatch
        self._answer = answer

    def run(self, handlers: tuple[Handler, ...], data: list[Any]) -> None:
        """Run the handlers; without any, the answer is None."""
        ack: Ack = SharedAck(NO_ID, len(handlers)) if self._answer is not None else None
        for handler in handlers:
            self._dispatch.run(handler, self, data, ack)
        if not handlers:
            self._send_ack(NO_ID, None)

    def _send_ack(self, ack_id: int, result: Any) -> None:
        """Answer the other server."""
        if self._answer is not None:
            self._answer(result)

    def _handler_suspended(self) -> None:
        """Servers are trusted: nothing is bounded."""

    def _handler_ended(self) -> None:
        """As above."""

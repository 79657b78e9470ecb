"""The sender of a server-side event: takes the place of a socket and receives the answer.

The adapter transports events and answers between servers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from socketio_core.handlers.ack import NO_ACK, OwedAck, SharedAck
from socketio_core.handlers.dispatch import Dispatch
from socketio_core.handlers.handler import Handler
from socketio_core.handlers.handler_call import HandlingSocket

NO_ID: Final = 0  # the dispatch needs an ack id; answers to other servers have none


@final
class ServerPeer(HandlingSocket):
    """A stand-in for the socket while the handlers of a server-side event run."""

    __slots__ = ("_answer", "_dispatch")

    id = "(another server)"

    def __init__(self, dispatch: Dispatch, answer: Callable[[Any], None] | None) -> None:
        self._dispatch = dispatch
        self._answer = answer

    def run(self, handlers: tuple[Handler, ...], data: list[Any]) -> None:
        """Run the handlers; without handlers, the answer is None."""
        ack: OwedAck = SharedAck(NO_ID, len(handlers)) if self._answer is not None else None
        for handler in handlers:
            self._dispatch.run(handler, self, data, ack)
        if not handlers:
            self._send_ack(NO_ID, None)

    def _send_ack(self, ack_id: int, result: Any) -> None:
        if self._answer is not None and result is not NO_ACK:
            self._answer(result)

    def _handler_suspended(self) -> None:
        """Do nothing: pending handlers of trusted servers are not limited."""

    def _handler_ended(self) -> None:
        """Do nothing (see `_handler_suspended`)."""

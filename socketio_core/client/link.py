"""One connection of a client's socket, through which the results of handlers are sent as acks."""

from __future__ import annotations

from typing import Any, final

from socketio_core.client.interface import SocketManager
from socketio_core.codec.packet import ACK, Packet
from socketio_core.errors import UnsendableResultError
from socketio_core.handlers.ack import NO_ACK
from socketio_core.handlers.handler_call import HandlingSocket
from socketio_core.misuse import EMITTED


@final
class Link(HandlingSocket):
    """One connection of a socket, which ends with the session.

    After the end, it sends no ack: in a later session, the ID may belong to another event.
    """

    __slots__ = ("_has_ended", "_manager", "_namespace", "id")

    def __init__(self, manager: SocketManager, namespace: str, socket_id: str) -> None:
        self._manager = manager
        self._namespace = namespace
        self._has_ended = False
        self.id = socket_id

    def end(self) -> None:
        """Drop the acks of handlers that end later."""
        self._has_ended = True

    # -- called by the dispatch (HandlingSocket)

    def _send_ack(self, ack_id: int, result: Any) -> None:
        if self._has_ended:
            return
        if result.__class__ is tuple:
            args = list(result)
        else:
            args = [] if result is None or result is EMITTED else [result]
        try:
            packets = self._manager.options.parser.encode(
                Packet(ACK, self._namespace, args, ack_id)
            )
        except (TypeError, ValueError) as error:
            if result is NO_ACK:
                return
            raise UnsendableResultError(
                f"the handler returned a value that cannot be sent: {error}", result
            ) from None
        self._manager._send(packets)

    def _handler_suspended(self) -> None:
        self._manager._handler_suspended()

    def _handler_ended(self) -> None:
        self._manager._handler_ended()

"""The part of a socket that each event uses; a compiled build compiles it.

`Socket` adds the methods of applications, which the interpreter runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, final

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.session import Session
from engineio_core.subclassing import mypyc_attr
from socketio_core.codec.json_codec import JsonParser
from socketio_core.codec.packet import Parser
from socketio_core.disconnect_reason import DisconnectReason
from socketio_core.errors import UnsendableResultError
from socketio_core.handlers.ack import NO_ACK
from socketio_core.handlers.handler import Handler
from socketio_core.handlers.handler_call import HandlingSocket
from socketio_core.handlers.registry import Registry
from socketio_core.misuse import SENT
from socketio_core.socket_state import SocketState

LIFECYCLE: Final = frozenset({"disconnecting", "disconnect"})
_CONNECTING: Final = SocketState.CONNECTING
CONNECTED: Final = SocketState.CONNECTED
NO_HANDLERS: Final[dict[Any, Handler]] = {}  # a dict, as compiled modules read it; stays empty
_EMITTED: Final = SENT  # a compiled module reads a Final name of its own faster


@final
class SocketListeners:
    """The handlers, listeners and waiting events of one socket; created on first use."""

    __slots__ = ("any_outgoing", "departure", "is_held", "queue", "registry", "running",
                 "serializes")  # fmt: skip

    def __init__(self, serializes: bool) -> None:
        self.registry = Registry(LIFECYCLE, takes_socket=False)
        self.any_outgoing: list[Handler] = []
        # Events that wait for a middleware, or for the handler of an earlier event
        self.serializes = serializes
        self.is_held = False
        self.running = 0
        self.queue: deque[tuple[list[Any], int | None]] = deque()
        # The arguments of "disconnect", which runs after the events that the client has sent
        self.departure: tuple[str, str] | None = None

    @property
    def must_wait(self) -> bool:
        """Whether an event that arrives now must wait."""
        return self.is_held or (self.serializes and self.running > 0)

    @property
    def is_busy(self) -> bool:
        """Whether a received event is waiting, or must end before a later one."""
        return bool(self.queue) or self.must_wait


@final
class AckEncoder:
    """The encoder of the acks of one namespace."""

    __slots__ = ("json", "namespace", "parser")

    def __init__(self, namespace: str, parser: Parser) -> None:
        self.namespace = namespace
        self.parser = parser
        # The parser again, if it is the default one: a compiled build calls it directly.
        self.json = parser if isinstance(parser, JsonParser) else None


@mypyc_attr(allow_interpreted_subclasses=True)
class SocketCore(HandlingSocket):
    """The fields of a socket that the connection, the pipeline and the dispatch use."""

    __slots__ = ("_ack_encoder", "_direct", "_listeners", "_session", "_state")

    def __init__(
        self,
        session: Session,
        ack_encoder: AckEncoder,
        direct: dict[Any, Handler],
        listeners: SocketListeners | None,
        send_packet: Callable[[EncodedPacket], None],
    ) -> None:
        self._session = session
        self._ack_encoder = ack_encoder
        self._state = _CONNECTING
        # Events with exactly one handler and no middleware; empty once the socket has listeners
        self._direct = direct
        self._listeners = listeners  # created on first use
        self._send_packet = send_packet
        self._listens_outgoing = False

    def _send_ack(self, ack_id: int, result: Any) -> None:
        """Send an ack: a tuple becomes several arguments; None becomes an ack without them."""
        # hot path: benchmarks/hop_budget.py
        if type(result) is tuple:
            args = list(result)
        else:
            args = [] if result is None or result is _EMITTED else [result]
        encoder = self._ack_encoder
        json = encoder.json
        try:
            if json is not None:
                encoded = json.encode_ack(encoder.namespace, ack_id, args)
            else:
                encoded = encoder.parser.encode_ack(encoder.namespace, ack_id, args)
        except (TypeError, ValueError) as error:
            if result is NO_ACK:  # found here only, because a check of each result costs time
                return
            raise UnsendableResultError(
                f"the handler returned a value that cannot be sent: {error}", result
            ) from None
        session = self._session
        if isinstance(encoded, bytes):
            session.send_bare(encoded)
        else:
            for packet in encoded:
                session._send_reply(packet)

    # -- called by the event pipeline

    def _need_listeners(self) -> SocketListeners:
        """Return the listeners of the socket, creating them on first use."""
        if self._listeners is None:
            self._listeners = SocketListeners(serializes=False)
            self._direct = NO_HANDLERS
        return self._listeners

    def _accepts_events(self) -> bool:
        """Return whether handlers may run for events that the socket has received."""
        if self._state is CONNECTED:
            return True
        listeners = self._listeners
        if listeners is None or listeners.departure is None:
            return False
        return listeners.departure[0] != DisconnectReason.SERVER_NAMESPACE_DISCONNECT

    def _event_queued(self) -> None:
        """Count a waiting event as a pending handler."""
        raise NotImplementedError

    def _event_unqueued(self) -> None:
        """Stop counting an event that has left the queue."""
        raise NotImplementedError

    def _end_departure(self) -> None:
        """Run the "disconnect" handlers: the events of the socket have ended."""
        raise NotImplementedError

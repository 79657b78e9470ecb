"""The part of a namespace that its sockets use: codec, adapter, handlers and members.

`namespace` adds the members' arrival and departure, recovery and other servers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from threading import get_ident
from typing import Any, Final

from engineio_core.clock import Clock
from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.adapters.interface import Adapter, BroadcastTarget, RoomEvent
from socketio_core.broadcast import Audience, Broadcasting
from socketio_core.codec.packet import Parser
from socketio_core.counts import ServerCounts
from socketio_core.generics import Member
from socketio_core.handlers.dispatch import Dispatch
from socketio_core.handlers.pipeline import EventPipeline
from socketio_core.handlers.registry import Registering, Registry
from socketio_core.handlers.socket_core import AckEncoder
from socketio_core.misuse import refuse_thread
from socketio_core.options import ServerOptions

LIFECYCLE: Final = frozenset({"connection", "disconnecting", "disconnect"})
ALL_SOCKETS: Final = BroadcastTarget()


class NamespaceCore(Registering, Broadcasting[Member]):
    """A namespace as its sockets see it."""

    __slots__ = (
        "_ack_encoder",
        "_ack_ids",
        "_counts",
        "_dispatch",
        "_fetched_data",
        "_get_clock",
        "_handlers",
        "_label",
        "_options",
        "_parser",
        "_pipeline",
        "adapter",
        "name",
        "sockets",
    )  # fmt: skip

    adapter: Adapter

    def __init__(
        self,
        name: str,
        options: ServerOptions,
        clock: Callable[[], Clock],
        dispatch: Dispatch,
        counts: ServerCounts,
    ) -> None:
        self.name = name
        self._label = name  # for metrics; of a child, the pattern of its parent
        self.sockets: dict[str, Member] = {}
        self._options = options
        self._parser: Parser = options.parser
        self._ack_encoder = AckEncoder(name, options.parser)
        self._get_clock = clock
        self._counts = counts
        self._dispatch = dispatch
        self._handlers = Registry(LIFECYCLE, takes_socket=True)
        self._pipeline = EventPipeline(name, self._handlers, dispatch)
        # The data of a socket as other servers fetch it; None: `socket.data`
        self._fetched_data: Callable[[Any], Any] | None = None
        # Ack ids are unique in a namespace, so that a broadcast uses one id for all receivers.
        self._ack_ids = count()

    def __repr__(self) -> str:
        return f"<Namespace {self.name}: {len(self.sockets)} sockets>"

    def _registry(self) -> Registry:
        return self._handlers

    @property
    def clock(self) -> Clock:
        """The clock of the server."""
        return self._get_clock()

    def event_names(self) -> list[str]:
        """Return the names of the events that have handlers."""
        return list(self._handlers.table.handlers)

    @property
    def rooms(self) -> dict[str, set[str]]:
        """A copy of the rooms on this server, with the ids of their sockets."""
        return self.adapter.rooms()

    def on_room_event(self, listener: Callable[[RoomEvent, str, str | None], None]) -> None:
        """Call `listener(event, room, socket_id)` when rooms on this server change.

        The events are create, join, leave and delete; the id is None for create and delete.
        """
        self.adapter.on_room_event(listener)

    # -- sending

    def _target(self) -> tuple[Audience[Member], BroadcastTarget, float | None]:
        return self, ALL_SOCKETS, None

    def _broadcast(self, data: list[Any], target: BroadcastTarget) -> None:
        self._check_thread()
        self.adapter.broadcast(data, target)

    def _run_callback(self, work: Awaitable[Any], role: str) -> None:
        self._dispatch.reporter.run(work, role)

    def _check_thread(self) -> None:
        if get_ident() != self._dispatch.loop_thread != 0:
            refuse_thread()

    def _encode(
        self, data: list[Any], compress: bool, ack_id: int | None = None
    ) -> tuple[EncodedPacket, ...]:
        packets = self._parser.encode_event(self.name, data, ack_id)
        if not compress:
            for packet in packets:
                packet.compress = False
        return packets

    def _encode_with_ack(
        self, data: list[Any], compress: bool
    ) -> tuple[int, tuple[EncodedPacket, ...]]:
        self._check_thread()
        ack_id = next(self._ack_ids)
        return ack_id, self._encode(data, compress, ack_id)

    # -- members

    def _forget(self, socket: Member) -> None:
        """Remove a socket that leaves."""
        raise NotImplementedError

    def _keep_for_return(self, socket: Member, reason: str) -> None:
        """Save what a socket needs to be restored later."""
        raise NotImplementedError

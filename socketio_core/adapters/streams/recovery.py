"""The adapter of a namespace with recovery on Redis Streams.

Events end with the id of their entry, which Redis determines, so local delivery follows the order
of the stream (`order`). The sessions of absent clients are in Redis (`sessions`).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterable
from typing import Any, Final, Protocol, final

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.acknowledgement import Completion
from socketio_core.adapters.cluster.adapter import ClusterAdapter
from socketio_core.adapters.cluster.message import (
    Message,
    MessageError,
    MessageType,
    encode_msgpack,
    read_event,
    read_target,
    target_options,
)
from socketio_core.adapters.cluster.transport import ClusterTransport
from socketio_core.adapters.interface import (
    BroadcastTarget,
    ClusterNamespace,
    Encode,
    EncodeWithAck,
    Recipient,
    RemoteMissing,
    SavedSession,
)
from socketio_core.adapters.memory import _send_all, _send_volatile_all
from socketio_core.adapters.streams.entry import (
    SESSION_REQUEST,
    SESSION_RESPONSE,
    Cursor,
    decode_data,
    encode_entry,
)
from socketio_core.adapters.streams.order import (
    LocalEvent,
    OrderedEvents,
    WithOffset,
    append_offset,
)
from socketio_core.adapters.streams.sessions import StreamsSessions
from socketio_core.codec.msgpack_codec import unpack

logger = logging.getLogger("socketio_core")

PATIENCE: Final = 0.5
"""The seconds that local delivery waits for the entry of an event."""
REQUEST_SECONDS: Final = 1.0
"""The seconds that a returning client waits for the server of its former connection."""
MAX_SESSION_REQUESTS: Final = 1000
"""The number of returning clients of a namespace for which other servers are asked at a time."""


class EntryTransport(ClusterTransport, Protocol):
    """A transport that appends entries to the stream."""

    def append(self, fields: dict[str, str | bytes]) -> None:
        """Append an entry to the stream, now or after an interruption."""


@final
class StreamsRecoveryAdapter(ClusterAdapter):
    """The rooms of one namespace, whose clients may return to any server of the cluster."""

    __slots__ = (
        "_appends", "_entries", "_events", "_is_reported", "_session_requests", "_sessions",
    )  # fmt: skip

    _transport: EntryTransport

    def __init__(
        self,
        namespace: ClusterNamespace,
        transport: EntryTransport,
        encode: Encode,
        encode_with_ack: EncodeWithAck,
        sessions: StreamsSessions,
        cursor: Cursor,
        **settings: Any,
    ) -> None:
        """Create the adapter; the settings are those of `ClusterAdapter`."""
        self._entries = transport
        self._sessions = sessions
        self._events = OrderedEvents(lambda: namespace.clock, cursor, PATIENCE, self._report_late)
        self._is_reported = False
        # Whether an offset can be inserted into an encoded event
        short, long = encode(["e"], True), encode(["e", "o"], True)
        self._appends = [packet.payload for packet in append_offset(short)("o")] == [
            packet.payload for packet in long
        ]
        super().__init__(namespace, transport, encode, encode_with_ack, **settings)
        self.keeps_events = True
        self._session_requests = 0
        sessions.request_from_others = self._request_session
        self._handlers[SESSION_REQUEST] = self._on_session_request
        self._handlers[SESSION_RESPONSE] = self._on_session_response

    @property
    def session_store(self) -> StreamsSessions:  # type: ignore[override]
        """The sessions in Redis."""
        return self._sessions

    @property
    def is_delaying(self) -> bool:  # type: ignore[override]
        """Whether events wait for their entries."""
        return self._events.is_waiting

    # -- sending

    def broadcast(self, data: list[Any], target: BroadcastTarget) -> None:
        """Send an event to the sockets in the target on all servers."""
        recipients = self._select(target)
        self._emit(data, target, recipients, is_written=not target.local)
        for recipient in recipients:
            if recipient._listens_outgoing:
                recipient._notify_outgoing(data)

    def send_direct(
        self, recipient: Recipient, data: list[Any], *, volatile: bool, compress: bool
    ) -> None:
        """Send an event to one socket; it is in the stream for the return of its client."""
        target = BroadcastTarget((recipient.id,), volatile=volatile, compress=compress)
        is_written = recipient.pid is not None and not volatile
        self._emit(data, target, [recipient], is_written=is_written)

    def send_later(self, recipient: Recipient, packets: tuple[EncodedPacket, ...]) -> None:
        """Send packets without an offset behind the events that wait."""
        target = BroadcastTarget((recipient.id,))
        self._events.emit(LocalEvent(lambda offset: packets, [recipient], target, None))

    def flush(self, recipient: Recipient) -> None:
        """Send the waiting events to a socket that is about to leave."""
        self._events.flush(recipient)

    def _emit(
        self,
        data: list[Any],
        target: BroadcastTarget,
        recipients: list[Recipient],
        *,
        is_written: bool,
    ) -> None:
        packets = self._encode(data, target.compress)
        fields = self._entry(data, target) if is_written else None
        body = fields["data"] if fields is not None else None
        assert not isinstance(body, str), "the data of an entry are bytes"
        others = [each for each in recipients if each.pid is None]
        if others:
            _deliver(others, packets, target)
            recipients = [each for each in recipients if each.pid is not None]
        with_offset = self._with_offset(packets, data, body, target.compress)
        self._events.emit(LocalEvent(with_offset, recipients, target, body))
        if fields is not None:
            self._entries.append(fields)

    def _entry(self, data: list[Any], target: BroadcastTarget) -> dict[str, str | bytes] | None:
        content = {"packet": {"type": 2, "data": data}, "opts": target_options(target)}
        message = Message(MessageType.BROADCAST, content, self.uid, self._namespace.name)
        try:
            return encode_entry(message)
        except (TypeError, ValueError) as error:
            self._could_not_send(error)
            return None

    def _with_offset(
        self,
        packets: tuple[EncodedPacket, ...],
        data: list[Any],
        body: bytes | None,
        compress: bool,
    ) -> WithOffset:
        """Return a function that adds the offset to an event, as it was when it was emitted."""
        if self._appends:
            return append_offset(packets)
        frozen = encode_msgpack(data) if body is None else b""

        def encode_again(offset: str) -> tuple[EncodedPacket, ...]:
            kept = unpack(frozen) if body is None else decode_data(body)["packet"]["data"]
            return self._encode([*kept, offset], compress)

        return encode_again

    # -- from the stream

    def on_own_entry(self, body: bytes) -> None:
        """Deliver an event of this server, whose entry is at the cursor."""
        self._events.read_back(body)

    def on_dropped(self, body: bytes) -> None:
        """Deliver an event of this server that will not be in the stream."""
        self._events.drop(body)

    def on_state(self, is_up: bool) -> None:
        """Deliver without waiting while Redis is unavailable."""
        self._events.set_down(not is_up)
        if is_up:
            self._is_reported = False

    def _on_broadcast(self, uid: str, data: dict[str, Any]) -> None:
        if data.get("requestId") is not None:
            super()._on_broadcast(uid, data)
            return
        event = read_event(data.get("packet"))
        target = read_target(data.get("opts"))
        recipients = self._select(target)
        returning = [each for each in recipients if each.pid is not None]
        if returning:
            packets = self._encode([*event, self._events.offset], target.compress)
            _deliver(returning, packets, target)
        if len(returning) < len(recipients):
            others = [each for each in recipients if each.pid is None]
            _deliver(others, self._encode(event, target.compress), target)
        for recipient in recipients:
            if recipient._listens_outgoing:
                recipient._notify_outgoing(event)

    def _report_late(self, events: int) -> None:
        if not self._is_reported:
            self._is_reported = True
            logger.warning(
                "%d events in namespace %s were delivered before Redis had them: a client that "
                "loses its connection now gets a new session", events, self._namespace.name,
            )  # fmt: skip

    # -- recovery

    def add(self, recipient: Recipient, rooms: Iterable[str]) -> Awaitable[None]:
        """Add a socket to rooms."""
        if self._sessions.claimed and recipient.id in self._sessions.claimed:
            rooms = list(rooms)
            self._sessions.claimed.discard(recipient.id)
            self._events.returned(recipient, rooms)
        return super().add(recipient, rooms)

    def current_offset(self) -> str:
        """Return the offset of the last event that this server has read."""
        return self._events.offset

    def save_session(self, saved: SavedSession) -> None:
        """Save a session, unless the client may have missed an event that is not in the stream."""
        self._sessions.save(saved, self._events.lost_at, self._namespace.clock.time())

    def _request_session(self, pid: str) -> Awaitable[bool]:
        """Let the server that holds a client close its former connection and save its session.

        The result is True if a server answers in time that it does. Servers on Node do not answer.
        """
        completion = Completion[bool]()
        if self._session_requests >= MAX_SESSION_REQUESTS:
            completion.set(False)
            return completion
        self._session_requests += 1
        is_held = False

        def answered(value: bool) -> None:
            nonlocal is_held
            if value:
                is_held = True
                request.finish()

        def ended(missing: RemoteMissing) -> None:
            self._session_requests -= 1
            completion.set(is_held)

        request = self._requests.open(REQUEST_SECONDS, answered, ended)
        self._request(request, SESSION_REQUEST, {"requestId": request.id, "pid": pid})
        return completion

    def _on_session_request(self, uid: str, data: dict[str, Any]) -> None:
        pid = data.get("pid")
        if not isinstance(pid, str):
            raise MessageError("the request of a session must have a pid")
        is_held = self._namespace._close_former(pid)
        # Redis executes the command that saves the session before it publishes this answer.
        content = {"requestId": data.get("requestId"), "held": is_held}
        self._respond(uid, SESSION_RESPONSE, content)

    def _on_session_response(self, uid: str, data: dict[str, Any]) -> None:
        request = self._requests.find(data.get("requestId"))
        if request is not None:
            request.answer(uid, data.get("held") is True)

    def close(self) -> None:
        """Release all rooms and listeners."""
        self._events.close()
        super().close()


def _deliver(
    recipients: list[Recipient], packets: tuple[EncodedPacket, ...], target: BroadcastTarget
) -> None:
    deliver = _send_volatile_all if target.volatile else _send_all
    deliver(recipients, packets)

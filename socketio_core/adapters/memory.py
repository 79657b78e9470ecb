"""Rooms in memory: the adapter of a single server, and the local half of remote adapters.

Encodes a broadcast once for all receivers. `recovery` keeps the log of events. Dicts keep the
order in which sockets joined, which is the order of delivery.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from typing import Any, Final, Generic, TypeAlias

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.packet import IS_COMPILED
from engineio_core.subclassing import mypyc_attr
from socketio_core.adapters.interface import (
    DONE,
    AckCollector,
    BroadcastTarget,
    Encode,
    EncodeWithAck,
    Item,
    Recipient,
    RemoteAckCollector,
    RemoteState,
    RestoredSession,
    RoomEvent,
    SavedSession,
    ServerResults,
    SessionStore,
)
from socketio_core.adapters.recipient import RecipientFields
from socketio_core.adapters.recovery import RecoveryLog
from socketio_core.misuse import check_callback, refuse_awaitable

logger = logging.getLogger("socketio_core")


_IS_COMPILED: Final = IS_COMPILED
#: Rooms of one socket that a tuple holds: the smallest set takes 160 bytes more per socket.
MAX_FEW: Final = 8
Rooms: TypeAlias = tuple[str, ...] | set[str]
NO_ROOMS: Final[frozenset[str]] = frozenset()


@mypyc_attr(allow_interpreted_subclasses=True)
class MemoryAdapter:
    """The rooms of one namespace on this server.

    `encode(data, compress)` returns the packets of an event; `encode_with_ack(data, compress)`
    returns the ack id and the packets of an event that requests an ack.
    """

    __slots__ = ("_encode", "_encode_with_ack", "_listeners", "_log", "_members", "_rooms",
                 "keeps_events")  # fmt: skip

    is_delaying: bool = False
    session_store: SessionStore | None = None

    def __init__(
        self, encode: Encode, encode_with_ack: EncodeWithAck, log: RecoveryLog | None = None
    ) -> None:
        self._encode = encode
        self._encode_with_ack = encode_with_ack
        self._log = log
        self.keeps_events = log is not None
        # socket id -> (the socket, its rooms); room -> socket id -> the socket
        self._members: dict[str, tuple[Recipient, Rooms]] = {}
        self._rooms: dict[str, dict[str, Recipient]] = {}
        self._listeners: list[Callable[[RoomEvent, str, str | None], Any]] = []

    # -- rooms

    def add(self, recipient: Recipient, rooms: Iterable[str]) -> Awaitable[None]:
        """Add a socket to rooms."""
        socket_id = recipient.id
        member = self._members.get(socket_id)
        before: Rooms = ()
        if member is None:
            member = self._members[socket_id] = (recipient, before)
            if self._log is not None and recipient.pid is None:
                self._log.is_selective = True
        joined = before = member[1]
        events: list[tuple[RoomEvent, str, str | None]] = []
        for room in rooms:
            if room in joined:
                continue
            joined = _with_room(joined, room)
            sockets = self._rooms.get(room)
            if sockets is None:
                sockets = self._rooms[room] = {}
                events.append(("create", room, None))
            sockets[socket_id] = recipient
            events.append(("join", room, socket_id))
        if joined is not before:
            self._members[socket_id] = (member[0], joined)
        # Notify at the end: a listener may change rooms or disconnect the socket.
        if self._listeners:
            for event in events:
                self._notify(*event)
        return DONE

    def check_rooms(self, socket_id: str, rooms: Iterable[str]) -> None:
        """Raise ValueError for a room that has the id of another socket as its name."""
        for room in rooms:
            if room != socket_id and (
                room in self._members or (self._log is not None and self._log.has_socket(room))
            ):
                raise ValueError(
                    f"a room must not be named after another socket, got the socket id {room!r}: "
                    "its messages would reach this socket too: use another name"
                )

    def remove(self, socket_id: str, room: str) -> Awaitable[None]:
        """Remove a socket from a room."""
        member = self._members.get(socket_id)
        if member is not None and room in member[1]:
            self._members[socket_id] = (member[0], _without_room(member[1], room))
            self._leave(socket_id, (room,))
        return DONE

    def remove_all(self, socket_id: str) -> Awaitable[None]:
        """Remove a socket from all its rooms."""
        member = self._members.pop(socket_id, None)
        if member is not None:
            self._leave(socket_id, member[1])
        return DONE

    def _leave(self, socket_id: str, left: Iterable[str]) -> None:
        deleted = set()
        for room in left:
            sockets = self._rooms[room]
            del sockets[socket_id]
            if not sockets:
                del self._rooms[room]
                deleted.add(room)
        if self._listeners:
            for room in left:
                self._notify("leave", room, socket_id)
                if room in deleted:
                    self._notify("delete", room, None)

    def rooms_of(self, socket_id: str) -> set[str]:
        """Return a copy of the rooms of a socket."""
        member = self._members.get(socket_id)
        return set(member[1]) if member is not None else set()

    def rooms(self) -> dict[str, set[str]]:
        """Return a copy of all rooms."""
        return {room: set(sockets) for room, sockets in self._rooms.items()}

    def has_room(self, room: str) -> bool:
        """Return whether a socket on this server is in a room."""
        return room in self._rooms

    def has_socket(self, socket_id: str) -> bool:
        """Return whether a socket with this id is on this server."""
        return socket_id in self._members

    def on_room_event(self, listener: Callable[[RoomEvent, str, str | None], None]) -> None:
        """Call `listener(event, room, socket_id)` when rooms change."""
        check_callback(
            "a listener of on_room_event()", listener, ("event", "room", "socket_id"),
            sync_remedy="start the asynchronous part with asyncio.create_task",
        )  # fmt: skip
        self._listeners.append(listener)

    def _notify(self, event: RoomEvent, room: str, socket_id: str | None) -> None:
        for listener in self._listeners:
            try:
                refuse_awaitable("a listener of on_room_event", listener(event, room, socket_id))
            except Exception:
                logger.exception("a listener of room events failed")

    # -- the receivers of a target

    def sockets(self, target: BroadcastTarget) -> list[str]:
        """Return the ids of the sockets in the target."""
        return [recipient.id for recipient in self._select(target)]

    def _select(self, target: BroadcastTarget) -> list[Recipient]:
        """Return each socket in the target once, as a copy: sending may change rooms."""
        rooms, except_ = target.rooms, target.except_
        if len(rooms) == 1:
            selected = self._rooms.get(rooms[0], {})
        elif rooms:
            selected = {}
            for room in rooms:
                selected.update(self._rooms.get(room, {}))
        else:
            selected = {socket_id: member[0] for socket_id, member in self._members.items()}
        if not except_:
            return list(selected.values())
        excluded = set(self._excluded(except_))
        return [each for socket_id, each in selected.items() if socket_id not in excluded]

    def _excluded(self, rooms: Iterable[str]) -> Iterator[str]:
        for room in rooms:
            yield from self._rooms.get(room, ())

    # -- sending

    def broadcast(self, data: list[Any], target: BroadcastTarget) -> None:
        """Send an event to all sockets in the target."""
        recipients = self._select(target)
        log = self._log
        if log is not None and log.is_selective:
            self._broadcast_selectively(log, data, target, recipients)
            return
        # Encoded even for an empty room, so that a value that cannot be sent always raises
        if log is None or not (recipients or log.has_sessions):
            packets = self._encode(data, target.compress)
        else:
            packets = self._keep(data, *target)
        if target.volatile:
            for recipient in recipients:
                recipient._send_volatile(packets)
        elif len(packets) == 1:
            # hot path: benchmarks/hop_budget.py, broadcast. All receivers share one packet object.
            packet = packets[0]
            each: Any
            for each in recipients:
                # LOAD_ATTR and a call are faster here than a method call on an instance attribute
                # (benchmarks/tricks.py). Machine code reads the field of a known class directly.
                if _IS_COMPILED and isinstance(each, RecipientFields):
                    send = each._send_packet
                else:
                    send = each._send_packet
                send(packet)
        else:
            _send_all(recipients, packets)
        _notify_outgoing(recipients, data)

    def _broadcast_selectively(
        self,
        log: RecoveryLog,
        data: list[Any],
        target: BroadcastTarget,
        recipients: list[Recipient],
    ) -> None:
        """Send an event with its offset to the clients with recovery, and without it to others."""
        returning = [each for each in recipients if each.pid is not None]
        others = [each for each in recipients if each.pid is None]
        deliver = _send_volatile_all if target.volatile else _send_all
        if returning or log.has_sessions:
            deliver(returning, self._keep(data, *target))
        if others or not returning:
            deliver(others, self._encode(data, target.compress))
        _notify_outgoing(recipients, data)

    def _keep(
        self,
        data: list[Any],
        rooms: tuple[str, ...],
        except_: frozenset[str],
        volatile: bool,
        local: bool,
        compress: bool,
    ) -> tuple[EncodedPacket, ...]:
        """Encode an event with its offset; keep it in the log unless it is volatile."""
        log = self._log
        assert log is not None, "only called with recovery"
        if volatile:
            return self._encode([*data, log.current()], compress)
        packets = self._encode([*data, log.following()], compress)
        log.append(packets, rooms, except_)
        return packets

    def broadcast_with_ack(
        self, data: list[Any], target: BroadcastTarget, collector: AckCollector
    ) -> list[str]:
        """Send an event that requests acks; return the ids of the receivers."""
        recipients = self._select(target)
        ack_id, packets = self._encode_with_ack(data, target.compress)
        asked = [each for each in recipients if each._expect_ack(ack_id, collector)]
        if target.volatile:
            for recipient in asked:
                recipient._send_volatile(packets)
        else:
            _send_all(asked, packets)
        _notify_outgoing(asked, data)
        return [recipient.id for recipient in asked]

    def send_direct(
        self, recipient: Recipient, data: list[Any], *, volatile: bool, compress: bool
    ) -> None:
        """Send an event to one socket; with recovery, keep it in the log."""
        if self._log is None or recipient.pid is None:
            packets = self._encode(data, compress)
        else:
            packets = self._keep(data, (recipient.id,), NO_ROOMS, volatile, True, compress)
        if volatile:
            recipient._send_volatile(packets)
        else:
            for packet in packets:
                recipient._send_packet(packet)

    def send_later(self, recipient: Recipient, packets: tuple[EncodedPacket, ...]) -> None:
        """Send packets now, as no event waits."""
        _send_all([recipient], packets)

    def flush(self, recipient: Recipient) -> None:
        """Do nothing, as no event waits."""

    # -- recovery

    def current_offset(self) -> str:
        """Return the offset of the last event; empty without recovery."""
        return self._log.current() if self._log is not None else ""

    def save_session(self, saved: SavedSession) -> None:
        """Save a session for the return of its client."""
        if self._log is not None:
            self._log.save(saved)

    def restore_session(self, pid: str, offset: str | None) -> RestoredSession | None:
        """Return a saved session and the missed events, once."""
        return self._log.restore(pid, offset) if self._log is not None else None

    # -- other servers (none)

    def server_side_emit(self, data: list[Any]) -> Awaitable[None]:
        """Do nothing, as there is no other server."""
        self._encode(data, True)  # raises for a value that cannot be sent
        return DONE

    def server_side_emit_with_ack(
        self, data: list[Any], timeout: float | None
    ) -> Awaitable[ServerResults[Any]]:
        """Return no results, as there is no other server."""
        self._encode(data, True)
        return _Ready(ServerResults())

    def remote_join(self, target: BroadcastTarget, rooms: tuple[str, ...]) -> Awaitable[None]:
        """Do nothing, as there is no other server."""
        return DONE

    def remote_leave(self, target: BroadcastTarget, rooms: tuple[str, ...]) -> Awaitable[None]:
        """Do nothing, as there is no other server."""
        return DONE

    def remote_disconnect(self, target: BroadcastTarget, close: bool) -> Awaitable[None]:
        """Do nothing, as there is no other server."""
        return DONE

    def remote_broadcast_with_ack(
        self, data: list[Any], target: BroadcastTarget, collector: RemoteAckCollector
    ) -> None:
        """Do nothing, as there is no other server."""

    def remote_sockets(
        self, target: BroadcastTarget, timeout: float | None
    ) -> Awaitable[ServerResults[RemoteState]]:
        """Return no sockets, as there is no other server."""
        return _Ready(ServerResults())

    def server_count(self) -> Awaitable[int]:
        """Return 1: this server."""
        return _Ready(1)

    def close(self) -> None:
        """Release all rooms and listeners."""
        self._members.clear()
        self._rooms.clear()
        self._listeners.clear()
        if self._log is not None:
            self._log.close()


def _with_room(rooms: Rooms, room: str) -> Rooms:
    """Return the rooms of a socket that joins another one; a set is changed in place."""
    if isinstance(rooms, set):
        rooms.add(room)
        return rooms
    if len(rooms) < MAX_FEW:
        return (*rooms, room)
    return {*rooms, room}


def _without_room(rooms: Rooms, room: str) -> Rooms:
    """Return the rooms of a socket that leaves one of them; a set is changed in place."""
    if isinstance(rooms, set):
        rooms.remove(room)
        return rooms
    return tuple([each for each in rooms if each != room])


class _Ready(Generic[Item]):
    """An awaitable whose result is known."""

    __slots__ = ("_result",)

    def __init__(self, result: Item) -> None:
        self._result = result

    def __await__(self) -> Generator[None, None, Item]:
        yield from ()
        return self._result


def _send_all(recipients: list[Recipient], packets: tuple[EncodedPacket, ...]) -> None:
    for recipient in recipients:
        for packet in packets:
            recipient._send_packet(packet)


def _notify_outgoing(recipients: list[Recipient], data: list[Any]) -> None:
    """Call the listeners of the receivers that have some."""
    recipient: Any
    for recipient in recipients:
        if _IS_COMPILED and isinstance(recipient, RecipientFields):
            listens = recipient._listens_outgoing
        else:
            listens = recipient._listens_outgoing
        if listens:
            recipient._notify_outgoing(data)


def _send_volatile_all(recipients: list[Recipient], packets: tuple[EncodedPacket, ...]) -> None:
    for recipient in recipients:
        recipient._send_volatile(packets)

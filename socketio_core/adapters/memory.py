"""Rooms in dicts: the adapter of a single server, and the local half of every other.

Knows: members and rooms, encode once and deliver many, the log for recovery if there is one.
Does not know: sockets beyond `Recipient`, namespaces, brokers.

Dicts keep the order in which sockets joined, and so the order of delivery.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.adapters.interface import (
    DONE,
    AckCollector,
    BroadcastTarget,
    Encode,
    EncodeWithAck,
    Recipient,
    RestoredSession,
    RoomEvent,
    SavedSession,
)
from socketio_core.adapters.recovery import RecoveryLog
from socketio_core.misuse import check_callback, refuse_awaitable

logger = logging.getLogger("socketio_core")


NOBODY: Final[frozenset[str]] = frozenset()


class MemoryAdapter:
    """The rooms of one namespace on this server.

    `encode(data, compress)` makes the packets of an event; `encode_with_ack(data, compress)` those
    of one that asks for an ack, and returns its id with them.
    """

    __slots__ = ("_encode", "_encode_with_ack", "_listeners", "_log", "_members", "_rooms",
                 "keeps_events")  # fmt: skip

    def __init__(
        self, encode: Encode, encode_with_ack: EncodeWithAck, log: RecoveryLog | None = None
    ) -> None:
        self._encode = encode
        self._encode_with_ack = encode_with_ack
        self._log = log
        self.keeps_events = log is not None
        # socket id -> (the socket, its rooms); room -> socket id -> the socket
        self._members: dict[str, tuple[Recipient, set[str]]] = {}
        self._rooms: dict[str, dict[str, Recipient]] = {}
        self._listeners: list[Callable[[RoomEvent, str, str | None], None]] = []

    # -- rooms

    def add(self, recipient: Recipient, rooms: Iterable[str]) -> Awaitable[None]:
        """Put a socket in rooms."""
        socket_id = recipient.id
        member = self._members.get(socket_id)
        if member is None:
            member = self._members[socket_id] = (recipient, set())
        joined = member[1]
        events: list[tuple[RoomEvent, str, str | None]] = []
        for room in rooms:
            if room in joined:
                continue
            joined.add(room)
            sockets = self._rooms.get(room)
            if sockets is None:
                sockets = self._rooms[room] = {}
                events.append(("create", room, None))
            sockets[socket_id] = recipient
            events.append(("join", room, socket_id))
        # Told when all is done: a listener may change rooms, too, or let the socket leave.
        if self._listeners:
            for event in events:
                self._tell(*event)
        return DONE

    def remove(self, socket_id: str, room: str) -> Awaitable[None]:
        """Take a socket out of a room."""
        member = self._members.get(socket_id)
        if member is not None and room in member[1]:
            member[1].remove(room)
            self._leave(socket_id, (room,))
        return DONE

    def remove_all(self, socket_id: str) -> Awaitable[None]:
        """Take a socket out of all its rooms."""
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
                self._tell("leave", room, socket_id)
                if room in deleted:
                    self._tell("delete", room, None)

    def rooms_of(self, socket_id: str) -> set[str]:
        """Return a copy of the rooms of a socket."""
        member = self._members.get(socket_id)
        return set(member[1]) if member is not None else set()

    def rooms(self) -> dict[str, set[str]]:
        """Return a copy of all rooms."""
        return {room: set(sockets) for room, sockets in self._rooms.items()}

    def on_room_event(self, listener: Callable[[RoomEvent, str, str | None], None]) -> None:
        """Call `listener(event, room, socket_id)` when rooms change."""
        check_callback(
            "a listener of on_room_event()", listener, ("event", "room", "socket_id"),
            sync_remedy="start the asynchronous part with asyncio.create_task",
        )  # fmt: skip
        self._listeners.append(listener)

    def _tell(self, event: RoomEvent, room: str, socket_id: str | None) -> None:
        for listener in self._listeners:
            try:
                refuse_awaitable("a listener of on_room_event", listener(event, room, socket_id))
            except Exception:
                logger.exception("a listener of room events failed")

    # -- who is meant

    def sockets(self, target: BroadcastTarget) -> list[str]:
        """Return the ids of the sockets in the target."""
        return [recipient.id for recipient in self._select(target)]

    def _select(self, target: BroadcastTarget) -> list[Recipient]:
        """Return the sockets in the target, each once; a copy, since sending may change rooms."""
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
        """Send an event to everybody in the target."""
        recipients = self._select(target)
        log = self._log
        # Encoded even for an empty room, so that a value that cannot be sent always raises
        if log is None or not (recipients or log.has_sessions):
            packets = self._encode(data, target.compress)
        else:
            packets = self._keep(data, *target)
        if target.volatile:
            for recipient in recipients:
                recipient._send_volatile(packets)
        elif len(packets) == 1:
            # hot path: benchmarks, broadcast. The same packet object for everybody.
            packet = packets[0]
            for recipient in recipients:
                # Bound first: the interpreter is quicker at an attribute and a call than at what
                # looks like a method and is none.
                send = recipient._send_packet
                send(packet)
        else:
            _send_all(recipients, packets)
        for recipient in recipients:
            if recipient._listens_outgoing:
                recipient._notify_outgoing(data)

    def _keep(
        self,
        data: list[Any],
        rooms: tuple[str, ...],
        except_: frozenset[str],
        volatile: bool,
        local: bool,
        compress: bool,
    ) -> tuple[EncodedPacket, ...]:
        """Encode an event with its offset, and keep it unless it is volatile."""
        log = self._log
        assert log is not None, "there is something to keep it in"
        if volatile:
            return self._encode([*data, log.current()], compress)
        packets = self._encode([*data, log.following()], compress)
        log.append(packets, rooms, except_)
        return packets

    def broadcast_with_ack(
        self, data: list[Any], target: BroadcastTarget, collector: AckCollector
    ) -> list[str]:
        """As `broadcast`, asking for acks; return the ids of those that are asked."""
        recipients = self._select(target)
        ack_id, packets = self._encode_with_ack(data, target.compress)
        asked = [each for each in recipients if each._expect_ack(ack_id, collector)]
        if target.volatile:
            for recipient in asked:
                recipient._send_volatile(packets)
        else:
            _send_all(asked, packets)
        for recipient in asked:
            if recipient._listens_outgoing:
                recipient._notify_outgoing(data)
        return [recipient.id for recipient in asked]

    def send_direct(
        self, recipient: Recipient, data: list[Any], *, volatile: bool, compress: bool
    ) -> None:
        """Send an event to one socket; with recovery, it is kept for its return."""
        if self._log is None:
            packets = self._encode(data, compress)
        else:
            packets = self._keep(data, (recipient.id,), NOBODY, volatile, True, compress)
        if volatile:
            recipient._send_volatile(packets)
        else:
            for packet in packets:
                recipient._send_packet(packet)

    # -- recovery

    def current_offset(self) -> str:
        """Return the offset of the last event; empty without recovery."""
        return self._log.current() if self._log is not None else ""

    def save_session(self, saved: SavedSession) -> None:
        """Keep a session for the return of its client."""
        if self._log is not None:
            self._log.save(saved)

    def restore_session(self, pid: str, offset: str | None) -> RestoredSession | None:
        """Give a session back, once."""
        return self._log.restore(pid, offset) if self._log is not None else None

    # -- other servers: there are none

    def server_side_emit(self, data: list[Any]) -> Awaitable[None]:
        """Reach nobody: this is the only server."""
        self._encode(data, True)  # raises for a value that cannot be sent
        return DONE

    async def server_side_emit_with_ack(self, data: list[Any], timeout: float | None) -> list[Any]:
        """Reach nobody: this is the only server."""
        self._encode(data, True)
        return []

    def close(self) -> None:
        """Let go of everything."""
        self._members.clear()
        self._rooms.clear()
        self._listeners.clear()


def _send_all(recipients: list[Recipient], packets: tuple[EncodedPacket, ...]) -> None:
    for recipient in recipients:
        for packet in packets:
            recipient._send_packet(packet)

"""The adapter of a namespace with recovery in a worker: clients may return to any worker.

Every event reaches the log of every worker (`vector_log`), and the state of every client is sent to
the supervisor (`sessions`) when it connects, changes and leaves. So both survive the end of the
client's worker, even without warning.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Awaitable, Iterable
from itertools import islice
from typing import Any, Final, final

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.adapters.cluster.adapter import ClusterAdapter
from socketio_core.adapters.cluster.message import Message, MessageType, target_options
from socketio_core.adapters.cluster.transport import ClusterTransport
from socketio_core.adapters.interface import (
    BroadcastTarget,
    ClusterNamespace,
    Encode,
    EncodeWithAck,
    Recipient,
    RestoredSession,
    SavedSession,
)
from socketio_core.adapters.memory import NO_ROOMS, MemoryAdapter, _send_all
from socketio_core.workers.sessions import Sessions
from socketio_core.workers.vector_log import VectorLog, origin_of

logger = logging.getLogger("socketio_core")

FLUSH_DELAY: Final = 0.02
"""Seconds from a change of rooms to the message to the supervisor; changes are collected."""
SCAN_INTERVAL: Final = 1.0
"""Seconds between two comparisons of `socket.data` with its last saved state."""
SCAN_SIZE: Final = 2000
"""The number of sockets that one comparison covers."""
LOG_REQUEST: Final = 100
LOG: Final = 101
"""Messages between workers of this server only: a new worker requests the log of another one."""
LOG_PART: Final = 500
"""The number of events in one message of a log."""
COVER_STEP: Final = 0.005
COVER_STEPS: Final = 200
"""The number and length of the waits of a returning client for events that are on their way."""


@final
class WorkerRecoveryAdapter(ClusterAdapter):
    """The rooms of one namespace, whose clients may return to any worker."""

    __slots__ = (
        "_changed",
        "_copied",
        "_held",
        "_incoming",
        "_prefix",
        "_scan_position",
        "_scan_timer",
        "_sessions",
        "_source",
        "_timer",
        "_unsavable",
        "_vector_log",
        "is_synchronized",
    )  # fmt: skip

    def __init__(
        self,
        namespace: ClusterNamespace,
        transport: ClusterTransport,
        encode: Encode,
        encode_with_ack: EncodeWithAck,
        log: VectorLog,
        sessions: Sessions,
        prefix: str,
        **settings: Any,
    ) -> None:
        """Create the adapter; `prefix` identifies its namespace in the keys of sessions."""
        self._vector_log = log
        self._sessions = sessions
        self._prefix = prefix
        self._incoming: tuple[int, int] | None = None
        self._held: dict[str, int] = {}  # recovery id -> the hash of the state that is saved
        self._changed: dict[str, Recipient] = {}
        self._timer: Any = None
        self._scan_timer: Any = None
        self._scan_position = 0
        self._unsavable = False
        self.is_synchronized = False
        """Whether the log contains the events before the start of this worker."""
        self._copied: list[list[Any]] = []
        self._source = ""  # the worker whose log is being copied
        super().__init__(namespace, transport, encode, encode_with_ack, log, **settings)
        self._handlers[MessageType.INITIAL_HEARTBEAT] = self._on_position_request
        self._handlers[MessageType.HEARTBEAT] = self._on_position
        self._handlers[LOG_REQUEST] = self._on_log_request
        self._handlers[LOG] = self._on_log
        sessions.register(prefix, namespace._close_former)

    # -- events: numbered once by their sender, logged by all workers

    def broadcast(self, data: list[Any], target: BroadcastTarget) -> None:
        """Send an event to the sockets in the target; `_keep` sends it to the other workers."""
        MemoryAdapter.broadcast(self, data, target)

    def send_direct(
        self, recipient: Recipient, data: list[Any], *, volatile: bool, compress: bool
    ) -> None:
        """Send an event to one socket, and keep it in the logs of all workers."""
        if recipient.pid is None or volatile:
            super().send_direct(recipient, data, volatile=volatile, compress=compress)
            return
        packets = self._keep(data, (recipient.id,), NO_ROOMS, False, False, compress)
        _send_all([recipient], packets)

    def _keep(
        self,
        data: list[Any],
        rooms: tuple[str, ...],
        except_: frozenset[str],
        volatile: bool,
        local: bool,
        compress: bool,
    ) -> tuple[EncodedPacket, ...]:
        incoming, self._incoming = self._incoming, None
        if incoming is not None and not volatile:
            self._vector_log.begin(*incoming)
        elif local:
            self._vector_log.begin_local()
        try:
            packets = super()._keep(data, rooms, except_, volatile, local, compress)
        finally:
            self._vector_log.end()
        if incoming is None and not local:
            # Before the delivery: an outgoing listener may emit, and numbers must arrive in order.
            target = BroadcastTarget(rooms, except_, volatile, local, compress)
            content: dict[str, Any] = {
                "packet": {"type": 2, "data": data}, "opts": target_options(target),
            }  # fmt: skip
            if not volatile:
                content["number"] = self._vector_log.own_number
            self._publish(MessageType.BROADCAST, content)
        return packets

    def _on_broadcast(self, uid: str, data: dict[str, Any]) -> None:
        if "requestId" in data:
            super()._on_broadcast(uid, data)
            return
        number = data.get("number")
        self._incoming = (_origin(uid), number if isinstance(number, int) else 0)
        try:
            # Base class: calls `broadcast` of the memory adapter, and that `_keep`
            super()._on_broadcast(uid, data)
        finally:
            self._incoming = None

    # -- the positions of other workers

    def _publish(self, kind: int, content: dict[str, Any] | None) -> Awaitable[None]:
        if kind in {MessageType.INITIAL_HEARTBEAT, MessageType.HEARTBEAT}:
            gone = {f"{origin:x}": number for origin, number in self._vector_log.gone.items()}
            content = {"number": self._vector_log.own_number, "gone": gone}
        return super()._publish(kind, content)

    def on_connected(self) -> None:
        """Announce this worker on a new connection, and request the log that is missing."""
        super().on_connected()
        if self._source and not self.is_synchronized:
            # The first request is lost if this is the connection to the source.
            self._send_to(self._source, LOG_REQUEST, None)

    def _on_position_request(self, uid: str, data: dict[str, Any]) -> None:
        self._on_position(uid, data)
        self._beat()

    def _on_position(self, uid: str, data: dict[str, Any]) -> None:
        self._vector_log.learn(_origin(uid), int(data["number"]))
        for origin, number in data["gone"].items():
            self._vector_log.learn(int(origin, 16), number)
            self._vector_log.left(int(origin, 16))

        if not (self.is_synchronized or self._source):
            self._source = uid
            self._send_to(uid, LOG_REQUEST, None)

    def _send_to(self, uid: str, kind: int, content: dict[str, Any] | None) -> None:
        self._transport.publish_response(
            uid, Message(kind, content, self.uid, self._namespace.name)
        )

    def _on_log_request(self, uid: str, data: dict[str, Any]) -> None:
        events, position = self._vector_log.export(), self._vector_log.position
        for start in range(0, len(events), LOG_PART):
            self._send_to(uid, LOG, {"events": events[start : start + LOG_PART]})
        self._send_to(uid, LOG, {"events": [], "position": position})

    def _on_log(self, uid: str, data: dict[str, Any]) -> None:
        if uid != self._source or self.is_synchronized:
            return
        self._copied += data["events"]
        if "position" in data:
            self._vector_log.adopt(self._copied, data["position"])
            self._copied = []
            self.is_synchronized = True

    def on_peer_left(self, uid: str) -> None:
        """Forget a worker whose connection ended."""
        self._vector_log.left(_origin(uid))
        if uid == self._source and not self.is_synchronized:
            self._source, self._copied = "", []
            self.on_connected()  # requests the answers of the others
        super().on_peer_left(uid)

    # -- the states of connected clients

    def add(self, recipient: Recipient, rooms: Iterable[str]) -> Awaitable[None]:
        """Add a socket to rooms, and save its state soon."""
        done = super().add(recipient, rooms)
        if recipient.pid is not None:
            self._note_change(recipient)
        return done

    def remove(self, socket_id: str, room: str) -> Awaitable[None]:
        """Remove a socket from a room, and save its state soon."""
        done = super().remove(socket_id, room)
        member = self._members.get(socket_id)
        if member is not None and member[0].pid is not None:
            self._note_change(member[0])
        return done

    def remove_all(self, socket_id: str) -> Awaitable[None]:
        """Remove a socket that leaves; forget its state unless it may return."""
        self._changed.pop(socket_id, None)
        member = self._members.get(socket_id)
        if member is not None and member[0].pid is not None:
            pid = member[0].pid
            if self._held.pop(pid, None) is not None:
                self._sessions.drop(self._key(pid))
        return super().remove_all(socket_id)

    def _key(self, pid: str) -> str:
        return f"{self._prefix} {pid}"

    def _note_change(self, recipient: Recipient) -> None:
        self._changed[recipient.id] = recipient
        clock = self._namespace.clock
        if self._timer is None:
            self._timer = clock.call_later(FLUSH_DELAY, self._flush)
        if self._scan_timer is None:
            self._scan_timer = clock.call_later(SCAN_INTERVAL, self._scan)

    def _flush(self) -> None:
        self._timer = None
        changed, self._changed = self._changed, {}
        for recipient in changed.values():
            self._hold(recipient)

    def _scan(self) -> None:
        """Save the states whose `socket.data` has changed, a part of the sockets at a time."""
        self._scan_timer = None
        if not self._members:
            return
        if self._scan_position >= len(self._members):
            self._scan_position = 0
        stop = self._scan_position + SCAN_SIZE
        for recipient, _ in list(islice(self._members.values(), self._scan_position, stop)):
            if recipient.pid is not None:
                self._hold(recipient)
        self._scan_position = stop
        self._scan_timer = self._namespace.clock.call_later(SCAN_INTERVAL, self._scan)

    def _hold(self, recipient: Recipient) -> None:
        pid = recipient.pid
        socket = self._namespace.sockets.get(recipient.id)
        if pid is None or socket is None:
            return
        rooms = tuple(self.rooms_of(recipient.id))
        offset = recipient._offset  # type: ignore[attr-defined]  # a recipient is a Socket
        state = self._dump(SavedSession(pid, recipient.id, rooms, socket.data, offset))
        if state is not None and self._held.get(pid) != hash(state):
            self._held[pid] = hash(state)
            self._sessions.hold(self._key(pid), state, self._lifetime)

    @property
    def _lifetime(self) -> float:
        return self._vector_log.rules.max_disconnection_duration

    def _dump(self, saved: SavedSession) -> bytes | None:
        try:
            return pickle.dumps(tuple(saved), pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            if not self._unsavable:
                self._unsavable = True
                logger.warning(
                    "the data of a socket in namespace %s cannot be pickled, so that its client "
                    "cannot return: %s (further ones are not reported)",
                    self._namespace.name, error,
                )  # fmt: skip
            return None

    # -- absent clients

    @property
    def session_store(self) -> WorkerRecoveryAdapter:  # type: ignore[override]  # read only
        """The store that restores sessions."""
        return self

    def save_session(self, saved: SavedSession) -> None:
        """Save the state of a client that may return."""
        now = self._namespace.clock.time()  # of a clock that all workers of a machine share
        left_at = now if saved.left_at is None else saved.left_at
        state = self._dump(saved._replace(left_at=left_at))
        if state is not None:
            self._held.pop(saved.pid, None)
            lifetime = max(0.0, self._lifetime - (now - left_at))
            self._sessions.left(self._key(saved.pid), state, lifetime)

    async def find(self, pid: str, offset: str | None) -> RestoredSession | None:
        """Return a saved session and the events that its client has missed."""
        state = await self._sessions.find(self._key(pid))
        if state is None:
            self._report_loss("it is unknown, or its worker did not answer")
            return None
        # Written by a worker of the same application: the supervisor's sockets are private.
        saved = SavedSession(*pickle.loads(state))
        log = self._vector_log
        vector = log.parse(saved.offset if offset is None else offset)
        if vector is None:
            self._report_loss("its offset is of another cluster")
            return None
        if not log.is_valid(saved):
            return None
        for _ in range(COVER_STEPS):
            if (self.is_synchronized or not self._peers) and log.covers(vector):
                break
            await asyncio.sleep(COVER_STEP)
        else:
            self._report_loss("events of another worker have not arrived")
            return None
        restored = self._restored(saved, vector)
        if restored is None:
            self._report_loss("some of its missed events are not in the log")
            return None
        return restored

    def _report_loss(self, reason: str) -> None:
        logger.info("a session in namespace %s was not restored: %s", self._namespace.name, reason)

    async def claim(self, restored: RestoredSession) -> RestoredSession | None:
        """Let the session belong to this worker, and add the events since `find`."""
        saved = restored.saved
        if not await self._sessions.claim(self._key(saved.pid)):
            return None
        self._held[saved.pid] = 0
        return self._restored(saved, restored.token)

    def _restored(self, saved: SavedSession, vector: dict[int, int]) -> RestoredSession | None:
        missed = self._vector_log.missed(vector, frozenset(saved.rooms))
        return None if missed is None else RestoredSession(saved, missed, vector)

    def close(self) -> None:
        """Stop the timers, and release everything as the base class does."""
        for timer in (self._timer, self._scan_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._scan_timer = None
        super().close()


def _origin(uid: str) -> int:
    """Return the origin of the events of the worker with this uid (`WorkerEnvironment.uid`)."""
    return origin_of(int(uid[8:], 16))

"""The sessions of absent clients of one namespace in Redis, and the events that they have missed.

A session is read, checked, and only then removed: a session that cannot be restored now stays for
another attempt. The removal is atomic, so that one server of several restores a session. A session
that is not in Redis may belong to a client that another server still considers connected, so that
this server requests it from the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, NamedTuple, final

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.adapters.cluster.message import MessageError, MessageType
from socketio_core.adapters.interface import Encode, RestoredSession, SavedSession
from socketio_core.adapters.recovery import RecoveryLog
from socketio_core.adapters.streams.entry import (
    START,
    Position,
    decode_entry,
    decode_session,
    encode_session,
    format_position,
    missed_event,
    parse_position,
)
from socketio_core.adapters.streams.link import Stream

logger = logging.getLogger("socketio_core")

RESTORE_TIMEOUT: Final = 2.0
"""The seconds that a returning client waits for Redis."""
MAX_PID: Final = 100
"""The length of a recovery id, which other servers receive; servers create 20 characters."""
PAGE: Final = 1000
"""The number of entries of one read."""
SAVE_ATTEMPTS: Final = 3
HELD_READS: Final = 10
"""The number of times that a session is read which another server is about to save."""
HELD_INTERVAL: Final = 0.05
"""The seconds between these reads."""
_BROADCAST: Final = b"%d" % MessageType.BROADCAST
# Removes the key only if it still has the value that was read; returns its remaining milliseconds.
_CLAIM: Final = (
    b"if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end "
    b"local left=redis.call('PTTL',KEYS[1]) redis.call('DEL',KEYS[1]) return math.max(left,1)"
)


class _Missed(NamedTuple):
    position: Position
    packets: tuple[EncodedPacket, ...]


class _Found(NamedTuple):
    """The data that the claim of a session needs."""

    key: bytes
    value: bytes
    offset: str | None
    """The offset that the client sent."""
    end: Position
    """The last entry that was read."""
    missed: list[_Missed]


@final
class StreamsSessions:
    """The session store of one namespace. `log` has the rules of recovery."""

    def __init__(
        self, stream: Stream, namespace: str, prefix: str, log: RecoveryLog, encode: Encode
    ) -> None:
        self.claimed: set[str] = set()
        """The ids of sockets that are being restored."""
        self.request_from_others: Callable[[str], Awaitable[bool]]
        """Requests the session of a client by its pid; returns whether another server saves it."""
        self._stream = stream
        self._namespace = namespace
        self._name = namespace.encode()
        self._prefix = prefix
        self._rules = log.rules
        self._grace = log.grace
        self._is_valid = log.is_valid
        self._time = log.time
        self._duration = log.rules.max_disconnection_duration
        self._encode = encode
        self._is_reported = False

    def _key(self, pid: str) -> bytes:
        return f"{self._prefix}{pid}".encode()

    # -- saving

    def save(self, saved: SavedSession, lost_at: float | None, now: float) -> None:
        """Save a session.

        Not while its client may have missed an event that is not in the stream: `lost_at` is the
        time of the last one.
        """
        self.claimed.discard(saved.socket_id)
        if lost_at is not None and now - lost_at < self._grace:
            return
        try:
            value = encode_session(saved)
        except (TypeError, ValueError) as error:
            if not self._is_reported:
                self._is_reported = True
                logger.warning(
                    "the session of a client of %s cannot be saved: socket.data: %s",
                    self._namespace, error,
                )  # fmt: skip
            return
        absent = 0.0 if saved.left_at is None else now - saved.left_at
        self._set(self._key(saved.pid), value, self._duration - absent)

    def _set(
        self, key: bytes, value: bytes, duration: float, *condition: bytes, attempt: int = 1
    ) -> None:
        expiry = b"%d" % max(1, round(duration * 1000))

        def was_set(reply: Any) -> None:
            # None: the connection was lost; setting a key twice has no effect.
            if reply is None and attempt < SAVE_ATTEMPTS:
                again = partial(self._set, key, value, duration, *condition, attempt=attempt + 1)
                asyncio.get_running_loop().call_soon(again)

        self._stream.link.send(was_set, b"SET", key, value, b"PX", expiry, *condition)

    # -- restoring (SessionStore)

    async def find(self, pid: str, offset: str | None) -> RestoredSession | None:
        """Return a saved session and the events that its client has missed."""
        if len(pid) > MAX_PID or (offset is not None and parse_position(offset) is None):
            return None
        stream = self._stream
        if stream.down_seconds > RESTORE_TIMEOUT:
            return None  # a longer failure: waiting would delay each client for nothing
        try:
            async with asyncio.timeout(RESTORE_TIMEOUT):
                await stream.wait_up()  # for example after the start of this server
                return await self._find(pid, offset)
        except TimeoutError:
            logger.warning("a session was not restored: Redis did not answer in time")
        except (MessageError, ConnectionError) as error:
            logger.warning("a session was not restored: %s", error)
        return None

    async def _find(self, pid: str, offset: str | None) -> RestoredSession | None:
        key = self._key(pid)
        value = await self._read(key, pid)
        if value is None:
            return None
        saved = decode_session(value)
        seen = parse_position(saved.offset if offset is None else offset)
        if seen is None or saved.pid != pid or not await self._has(seen):
            return None
        if not self._is_valid(saved):
            return None
        missed: list[_Missed] = []
        end = await self._read_missed(seen, frozenset(saved.rooms), missed)
        packets = [each.packets for each in missed]
        return RestoredSession(saved, packets, _Found(key, value, offset, end, missed))

    async def _read(self, key: bytes, pid: str) -> bytes | None:
        """Return the value of a session; None if no server has saved it or saves it now."""
        # Commands are executed in their order, so a session that is being saved is found.
        value: bytes | None = await self._call(b"GET", key)
        if value is not None:
            return value
        is_held = await self.request_from_others(pid)
        value = await self._call(b"GET", key)
        for _ in range(HELD_READS if is_held else 0):
            # A connect attempt that claims the session at this moment saves it at its end.
            if value is not None:
                break
            await asyncio.sleep(HELD_INTERVAL)
            value = await self._call(b"GET", key)
        return value

    async def claim(self, restored: RestoredSession) -> RestoredSession | None:
        """Remove a session from Redis; return it with the events up to the present."""
        found: _Found = restored.token
        may_be_removed = True
        try:
            async with asyncio.timeout(RESTORE_TIMEOUT):
                while (left := await self._claim(found)) == 0:  # another server was faster
                    may_be_removed = False
                    again = await self._find(restored.saved.pid, found.offset)
                    if again is None:
                        return None
                    restored, found, may_be_removed = again, again.token, True
                missed, end = [*found.missed], found.end
                cursor = self._stream.cursor
                while end < (position := cursor.position):
                    before = end
                    end = await self._read_missed(end, frozenset(restored.saved.rooms), missed)
                    if before == end and position == cursor.position:
                        break  # the entry at the cursor was removed
        except (TimeoutError, MessageError, ConnectionError, asyncio.CancelledError) as error:
            if may_be_removed:  # NX keeps a session that was saved in the meantime
                self._set(found.key, found.value, self._duration, b"NX")
            if isinstance(error, asyncio.CancelledError):
                raise
            logger.warning("a session was not restored: %r", error)
            return None
        # From here on the socket receives the events of the reader, so none is lost or doubled.
        position = self._stream.cursor.position
        self.claimed.add(restored.saved.socket_id)
        packets = [each.packets for each in missed if each.position <= position]
        left_at = self._time() - self._duration + left / 1000
        return RestoredSession(restored.saved._replace(left_at=left_at), packets)

    async def _claim(self, found: _Found) -> int:
        """Remove a session; return its remaining milliseconds, 0 if it has changed."""
        left = await self._call(b"EVAL", _CLAIM, b"1", found.key, found.value)
        if not isinstance(left, int):
            raise ConnectionError("Redis did not execute EVAL")
        return left

    async def _has(self, position: Position) -> bool:
        """Return whether the stream still has all entries after a position."""
        if self._stream.is_ambiguous(position):
            return False
        if position != START:
            name = format_position(position).encode()
            return bool(await self._call(b"XRANGE", self._stream.name, name, name))
        # The stream had no entries: it still has all if none was removed. Redis 7 reports that.
        if await self._call(b"XLEN", self._stream.name) == 0:
            return True
        details = await self._call(b"XINFO", b"STREAM", self._stream.name) or []
        known = dict(zip(details[::2], details[1::2], strict=False))
        return bool(known.get(b"entries-added", 0) == known.get(b"length"))

    async def _read_missed(
        self, after: Position, rooms: frozenset[str], missed: list[_Missed]
    ) -> Position:
        """Add the events after a position to `missed`; return the position of the last entry.

        Raises MessageError for more events than the rules of recovery allow.
        """
        size = sum(len(packet.payload) for each in missed for packet in each.packets)
        while True:
            start = format_position((after[0], after[1] + 1)).encode()
            page = await self._call(
                b"XRANGE", self._stream.name, start, b"+", b"COUNT", b"%d" % PAGE
            )
            if page is None:
                raise ConnectionError("no connection to Redis")
            for entry_id, pairs in page:
                after = parse_position(entry_id.decode()) or after
                packets = self._packets(entry_id, pairs, rooms)
                if packets:
                    missed.append(_Missed(after, packets))
                    size += sum(len(packet.payload) for packet in packets)
            if size > self._rules.max_bytes or len(missed) > self._rules.max_packets:
                raise MessageError("its client has missed more events than the limits allow")
            if len(page) < PAGE:
                return after

    def _packets(
        self, entry_id: bytes, pairs: list[bytes], rooms: frozenset[str]
    ) -> tuple[EncodedPacket, ...]:
        """Return the packets of an entry that the client has missed; none for other entries."""
        fields = dict(zip(pairs[::2], pairs[1::2], strict=False))
        if fields.get(b"nsp") != self._name or fields.get(b"type") != _BROADCAST:
            return ()
        try:
            message = decode_entry(fields)
            event = missed_event(message, rooms) if message is not None else None
            if event is None:
                return ()
            return self._encode([*event, entry_id.decode()], True)
        except ValueError:
            return ()  # the reader has reported it

    async def _call(self, *args: bytes) -> Any:
        """Return the reply of a command; None without a connection, or for an error reply."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def replied(reply: Any) -> None:
            if not done.done():
                done.set_result(reply)

        self._stream.link.query(replied, *args)
        return await done

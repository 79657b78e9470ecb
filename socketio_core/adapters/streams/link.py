"""The Redis stream of one server: reads all entries, and appends the entries of the server.

All namespaces share it. `redis.connection` has the connections, `adapter` the messages of a
namespace, `entry` the contents of entries. After a failure the reader goes on behind the
last entry that it read; then the entries that were not written are written again, in their order.
If Redis has lost that entry, and its clock is behind the former one, new entries have lower ids:
the reader compares its position with the end of the stream, and goes back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, final

from socketio_core.adapters.redis.connection import RedisConnection, encode_command
from socketio_core.adapters.redis.link import RedisLink
from socketio_core.adapters.streams.entry import (
    START,
    Cursor,
    Position,
    append_command,
    format_position,
    parse_position,
)

logger = logging.getLogger("socketio_core")

BLOCK: Final = b"2000"
"""Milliseconds that one read waits; shorter than the interval of the checks of a connection."""
READ_COUNT: Final = 200
"""The number of entries of one read."""
ENTRY_SIZE: Final = 200
"""The bytes that an unwritten entry takes in addition to its data."""
TOLERANCE: Final = 50
"""Milliseconds by which two clocks may differ in the length of an interruption."""

Fields = Mapping[bytes, bytes]


class StreamListener(Protocol):
    """The methods that the stream calls for one namespace."""

    def on_entry(self, fields: Fields) -> None:
        """Receive an entry of another server; the cursor has its position."""

    def on_own_entry(self, body: bytes) -> None:
        """Receive an entry of this server; the cursor has its position."""

    def on_dropped(self, body: bytes) -> None:
        """Continue without an entry that will not be written."""

    def on_state(self, is_up: bool) -> None:
        """Continue with or without Redis."""


@final
class Entry:
    """An entry of this server that is not known to be in the stream."""

    __slots__ = ("args", "body", "is_sent", "listener", "size")

    def __init__(self, args: tuple[bytes, ...], body: bytes, listener: StreamListener) -> None:
        self.args = args
        self.body = body
        self.listener = listener
        self.is_sent = False
        self.size = ENTRY_SIZE + len(body)


@final
class Stream:
    """A stream that this server reads from the end on, and to which it appends.

    At most `max_bytes` of entries wait for Redis; further ones are dropped.
    """

    def __init__(self, link: RedisLink, name: str, max_len: int, max_bytes: int) -> None:
        self.link = link
        self.name = name.encode()
        self.cursor = Cursor()
        self.is_up = False
        """Whether entries are read and written."""
        self.since = time.time()
        self._changed_at = time.monotonic()
        self._up = asyncio.Event()
        self.queued_bytes = 0
        self.published = 0
        self.dropped = 0
        self._max_len = max_len
        self._max_bytes = max_bytes
        self._listeners: dict[bytes, StreamListener] = {}
        self._own: dict[bytes, StreamListener] = {}  # by uid
        self._entries: deque[Entry] = deque()
        self._is_started = False  # the cursor is set
        self._is_reading = False  # up to the end of the stream
        self._is_writing = False
        self._on_reply: Callable[[Any], None] | None = None  # receives the next reply
        self._valid_at = 0.0  # when the stream was last known to end at the cursor or behind it
        self._lost: tuple[Position, Position] = (START, START)
        self._request: bytes | None = None  # the next command of the reader
        self._reader = RedisConnection(
            link.make_connection, "socketio redis stream", self._reader_ready, self._read,
            self._reader_lost,
        )  # fmt: skip
        self._reader.next_batch = self._next_request

    # -- namespaces

    def add(self, namespace: str, uid: str, listener: StreamListener) -> None:
        """Deliver the entries of a namespace to a listener."""
        self._listeners[namespace.encode()] = self._own[uid.encode()] = listener
        if self.is_up:
            listener.on_state(True)

    def remove(self, namespace: str, uid: str) -> None:
        """Stop delivering the entries of a namespace."""
        self._listeners.pop(namespace.encode(), None)
        self._own.pop(uid.encode(), None)

    # -- writing

    def append(self, fields: Mapping[str, str | bytes], listener: StreamListener) -> None:
        """Append an entry, now or after the current failure."""
        args = append_command(self.name.decode(), self._max_len, fields)
        entry = Entry(args, args[-1], listener)  # the data are the last field
        if self.queued_bytes + entry.size > self._max_bytes:
            self._drop(entry)
            return
        self.queued_bytes += entry.size
        self._entries.append(entry)
        if self._is_writing:
            self._send(entry)

    def _send(self, entry: Entry) -> None:
        entry.is_sent = True
        self.link.query(lambda reply: self._appended(entry, reply), *entry.args)

    def _appended(self, entry: Entry, reply: Any) -> None:
        if reply is not None:
            self._written(entry)
        elif self.link.can_send:  # refused, for example because Redis has no memory left
            self._remove(entry)
            self._drop(entry)
        # Otherwise the connection was lost: `resume` finds out whether the entry was written.

    def _written(self, entry: Entry) -> None:
        if self._remove(entry):
            self.published += 1

    def _remove(self, entry: Entry) -> bool:
        try:
            self._entries.remove(entry)  # almost always the first one
        except ValueError:
            return False
        self.queued_bytes -= entry.size
        return True

    def _drop(self, entry: Entry) -> None:
        self.dropped += 1
        entry.listener.on_dropped(entry.body)

    # -- state

    def start(self) -> None:
        """Read in the background."""
        self._reader.start()

    async def close(self) -> None:
        """Stop reading; entries that were not written are lost."""
        await self._reader.close()
        self.is_up = False

    def suspend(self) -> None:
        """Keep entries, because the connection for commands was lost."""
        self._is_writing = False
        self._update_state()

    def resume(self) -> None:
        """Write the entries that are not in the stream, because there is a connection again."""
        if not any(entry.is_sent for entry in self._entries):
            self._write_all()
            return
        # Redis may have executed commands whose replies were lost.
        self._find_sent(self.cursor.position)

    def _find_sent(self, after: Position) -> None:
        start = format_position((after[0], after[1] + 1)).encode()
        self.link.query(
            self._found_sent, b"XRANGE", self.name, start, b"+", b"COUNT", b"%d" % READ_COUNT
        )

    def _found_sent(self, entries: Any) -> None:
        if entries is None:
            return  # the connection was lost again
        for _, pairs in entries:
            fields = dict(zip(pairs[::2], pairs[1::2], strict=False))
            self._find_written(fields)
        if len(entries) == READ_COUNT:
            self._find_sent(parse_position(entries[-1][0].decode()) or START)
        else:
            self._write_all()

    def _write_all(self) -> None:
        self._is_writing = True
        for entry in list(self._entries):
            self._send(entry)
        self._update_state()

    @property
    def down_seconds(self) -> float:
        """Seconds since entries were last read and written, 0.0 while they are."""
        return 0.0 if self.is_up else time.monotonic() - self._changed_at

    async def wait_up(self) -> None:
        """Wait until entries are read and written."""
        await self._up.wait()

    def _update_state(self) -> None:
        is_up = self._is_writing and self._is_reading
        if is_up == self.is_up:
            return
        self.is_up, self.since, self._changed_at = is_up, time.time(), time.monotonic()
        if is_up:
            self.link.error = ""
            self._up.set()
        else:
            self._up.clear()
        for listener in list(self._listeners.values()):
            listener.on_state(is_up)

    # -- reading

    def _next_request(self) -> list[bytes]:
        request, self._request = self._request, None
        return [] if request is None else [request]

    def _ask(self, on_reply: Callable[[Any], None] | None, *args: bytes) -> None:
        self._on_reply = on_reply
        self._request = encode_command(*args)
        self._reader.wake()

    def _ask_for_entries(self) -> None:
        position = format_position(self.cursor.position).encode()
        count = b"%d" % READ_COUNT
        block = (b"BLOCK", BLOCK) if self._is_reading else ()
        self._ask(None, b"XREAD", b"COUNT", count, *block, b"STREAMS", self.name, position)

    def _ask_for_first(self, on_reply: Callable[[Any], None]) -> None:
        self._ask(on_reply, b"XRANGE", self.name, b"-", b"+", b"COUNT", b"1")

    def _ask_for_last(self, on_reply: Callable[[Any], None]) -> None:
        self._ask(on_reply, b"XREVRANGE", self.name, b"+", b"-", b"COUNT", b"1")

    def _reader_ready(self, connection: RedisConnection) -> None:
        if self._is_started:
            self._ask_for_first(self._report_gap)
        else:
            self._ask_for_last(self._begin)

    def _reader_lost(self, error: str) -> None:
        self._is_reading = False
        self._request = None
        self.link.note_error(error)
        self._update_state()

    def _read(self, reply: Any) -> None:
        on_reply, self._on_reply = self._on_reply, None
        if on_reply is not None:
            on_reply(reply)
            return
        _check(reply)
        entries = reply[0][1] if reply else []
        for entry_id, pairs in entries:
            self._receive(entry_id, dict(zip(pairs[::2], pairs[1::2], strict=False)))
        if entries:
            self._valid_at = time.monotonic()
        elif self._is_reading:
            self._ask_for_last(self._check_end)
            return
        if not self._is_reading and len(entries) < READ_COUNT:
            self._is_reading = True
            self._update_state()
        self._ask_for_entries()

    def _begin(self, reply: Any) -> None:
        """Set the cursor to the end of the stream."""
        self.cursor.position = _position(reply)
        self._valid_at = time.monotonic()
        self._is_started = True
        self._ask_for_entries()

    def _report_gap(self, reply: Any) -> None:
        """Report entries that the reader has missed; then compare the end of the stream."""
        if START < self.cursor.position < _position(reply):
            logger.warning(
                "the stream %s no longer has the entry %s, which this server read last: messages "
                "of other servers may be lost; a larger max_len keeps more, and persistence "
                "keeps them across a restart of Redis",
                self.name.decode(), format_position(self.cursor.position),
            )  # fmt: skip
        self._ask_for_last(self._check_end)

    # -- a stream that has lost entries

    def _check_end(self, reply: Any) -> None:
        """Go back if the stream ends before the entry that was read last."""
        end = _position(reply)
        if end >= self.cursor.position:
            self._valid_at = time.monotonic()
            self._ask_for_entries()
        elif end == START:
            self._go_back(START)
        else:
            self._ask_for_first(lambda reply: self._ask_for_time(end, _position(reply)))

    def _ask_for_time(self, end: Position, first: Position) -> None:
        self._ask(lambda reply: self._compare_time(end, first, reply), b"TIME")

    def _compare_time(self, end: Position, first: Position, reply: Any) -> None:
        """Read all entries if all are new by the clock of Redis, and otherwise those behind `end`.

        The others are in an older copy of the stream, such as that of a replica: they were read.
        """
        is_new = False
        if isinstance(reply, list):  # a user of Redis may lack the right to read the clock
            now = int(reply[0]) * 1000 + int(reply[1]) // 1000
            unknown = (time.monotonic() - self._valid_at) * 1000
            is_new = first[0] > now - unknown - TOLERANCE
        self._go_back(START if is_new else end)

    def _go_back(self, position: Position) -> None:
        former = self.cursor.position
        logger.warning(
            "the stream %s has lost the entry %s, which this server read last: messages of other "
            "servers and sessions of clients may be lost; persistence keeps them across a restart "
            "of Redis", self.name.decode(), format_position(former),
        )  # fmt: skip
        low, high = self._lost
        self._lost = (position if high == START else min(low, position), max(high, former))
        self.cursor.position = position
        self._ask_for_entries()

    def is_ambiguous(self, position: Position) -> bool:
        """Return whether a lost entry may have had the id of an entry that the stream has now."""
        low, high = self._lost
        return low < position <= high

    def _receive(self, entry_id: bytes, fields: Fields) -> None:
        self.cursor.position = parse_position(entry_id.decode()) or self.cursor.position
        own = self._find_written(fields)
        if own is not None:
            own.on_own_entry(fields.get(b"data", b""))
            return
        listener = self._listeners.get(fields.get(b"nsp", b""))
        if listener is not None:
            listener.on_entry(fields)

    def _find_written(self, fields: Fields) -> StreamListener | None:
        """Forget an own entry that is in the stream; return its listener, or None for others."""
        own = self._own.get(fields.get(b"uid", b""))
        if own is not None:
            body = fields.get(b"data", b"")
            for entry in self._entries:
                if entry.listener is own and entry.body == body:  # almost always the first one
                    self._written(entry)
                    break
                if not entry.is_sent:
                    break
        return own


def _check(reply: Any) -> None:
    if isinstance(reply, Exception):
        raise reply  # connect again, after a pause


def _position(reply: Any) -> Position:
    """Return the position of the entry in a reply; START if the stream is empty."""
    _check(reply)
    return (parse_position(reply[0][0].decode()) if reply else None) or START

"""The stream of a connection to Redis, on a transport without a network."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from socketio_core.adapters.redis import connection as redis_connection
from socketio_core.adapters.redis.connection import RedisConnection
from socketio_core.adapters.redis.stream import DirectStream

SOON = 300.0


class FakeTransport(asyncio.WriteTransport):
    """A transport without a network; `written` has the data of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_closed = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.is_closed

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))


def refuse(replies: list[Any]) -> None:
    raise ValueError(f"unexpected {replies}")


async def test_stream_delivers_replies_and_reports_the_end_of_the_connection() -> None:
    replies: list[Any] = []
    stream = DirectStream(FakeTransport(), replies.extend, list)
    stream.data_received(b":1\r\n+O")
    stream.data_received(b"K\r\n")
    assert replies == [1, b"OK"]
    await stream.wait(0)
    stream.connection_lost(None)
    with pytest.raises(ConnectionError, match="closed the connection"):
        await stream.wait(SOON)


@pytest.mark.parametrize("data", [b"?\r\n", b"+refused\r\n"])
async def test_stream_ends_after_replies_that_cannot_be_used(data: bytes) -> None:
    stream = DirectStream(FakeTransport(), refuse, list)
    stream.data_received(data)
    with pytest.raises(Exception, match=r"invalid reply|unexpected"):
        await stream.wait(SOON)


async def test_stream_ends_at_once_when_the_connection_has_closed_before() -> None:
    transport = FakeTransport()
    transport.is_closed = True
    stream = DirectStream(transport, refuse, list)
    assert not stream.is_writable
    with pytest.raises(ConnectionError):
        await stream.wait(SOON)


async def test_closed_stream_drops_late_replies() -> None:
    stream = DirectStream(FakeTransport(), refuse, list)
    stream.close()
    stream.data_received(b":1\r\n")
    await stream.wait(0)


class FakeConnection:
    """A connection of redis-py whose transport is fake."""

    def __init__(self) -> None:
        self.transport = FakeTransport()
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(self._reader, loop=loop)
        self._writer = asyncio.StreamWriter(self.transport, protocol, self._reader, loop)

    async def connect(self) -> None:
        """Return at once, because the fake transport is always open."""

    async def disconnect(self, nowait: bool) -> None:
        """Mark the transport as closed."""
        self.transport.is_closed = True


async def test_commands_of_one_turn_leave_in_one_write_unless_redis_does_not_read() -> None:
    client = FakeConnection()
    ready = asyncio.Event()
    commands: list[bytes] = []

    def next_batch() -> list[bytes]:
        batch = commands.copy()
        commands.clear()
        return batch

    connection = RedisConnection(lambda: client, "test", lambda _: ready.set(), refuse, list)
    connection.next_batch = next_batch
    connection.start()
    await ready.wait()
    protocol = client.transport.protocol
    assert isinstance(protocol, DirectStream)
    for each in (b"a", b"b"):
        commands.append(each)
        connection.wake()
    await asyncio.sleep(0)
    assert client.transport.written == [b"ab"]
    protocol.pause_writing()
    commands.append(b"c")
    connection.wake()
    await asyncio.sleep(0)
    assert client.transport.written == [b"ab"]
    protocol.resume_writing()
    assert client.transport.written == [b"ab", b"c"]
    await connection.close()
    assert client.transport.is_closed


class ClosedPort:
    """A connection of redis-py to a server that does not run."""

    async def connect(self) -> None:
        """Fail, as a connection to a closed port does."""
        raise ConnectionRefusedError

    async def disconnect(self, nowait: bool) -> None:
        """Accept the call, which redis-py allows without a connection."""


async def test_next_attempt_begins_a_second_after_a_failed_one_at_the_latest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So servers return soon after a restart of Redis, however long it was away."""
    pauses: list[float] = []
    enough = asyncio.Event()
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 50:
            enough.set()
        await real_sleep(0)

    monkeypatch.setattr(redis_connection.asyncio, "sleep", sleep)
    failures: list[str] = []
    connection = RedisConnection(ClosedPort, "test", lambda _: None, refuse, failures.append)
    connection.start()
    await enough.wait()
    await connection.close()
    assert len(failures) >= 50
    assert pauses[0] <= 0.05
    assert sum(pauses[:5]) > 0.4, "the pauses must grow"
    assert max(pauses) <= 1.0

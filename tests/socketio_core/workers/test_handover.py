"""Connections on their way between processes: their bytes, full queues, and ended receivers."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from pathlib import Path

import pytest

from engineio_core.http.exchange import Origin
from socketio_core.workers.handover import (
    MAX_INLINE,
    MAX_QUEUE,
    HandoverReceiver,
    HandoverSender,
    Parcel,
)
from tests.helpers.waiting import until

ORIGIN = Origin("192.0.2.1", 50000, True)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def wait_for(received: list[Parcel], count: int) -> None:
    async with asyncio.timeout(300):
        while len(received) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("size", [0, 10, MAX_INLINE, MAX_INLINE + 1, 3_000_000])
async def test_connection_arrives_with_its_bytes_and_its_client(tmp_path: Path, size: int) -> None:
    gc.collect()
    files = open_files()
    received: list[Parcel] = []
    receiver = HandoverReceiver(str(tmp_path / "to"), received.append)
    receiver.start()
    sender = HandoverSender(str(tmp_path / "to"), pytest.fail)
    near, far = socket.socketpair()
    data = os.urandom(size)
    sender.send(Parcel(far, data, ORIGIN))
    assert far.fileno() == -1, "the sender has closed its descriptor"
    await wait_for(received, 1)
    ((connection, arrived, origin),) = received
    assert (arrived, origin) == (data, ORIGIN)
    near.sendall(b"open")
    assert connection.recv(10) == b"open"
    for each in (near, connection, sender, receiver):
        each.close()
    await until(lambda: open_files() <= files)  # files of other tests may close meanwhile


async def test_connections_wait_in_order_when_the_receiver_is_busy(tmp_path: Path) -> None:
    received: list[Parcel] = []
    receiver = HandoverReceiver(str(tmp_path / "to"), received.append)
    sender = HandoverSender(str(tmp_path / "to"), pytest.fail)
    near, far = socket.socketpair()
    for number in range(200):  # more than the kernel queues for one receiver
        sender.send(Parcel(far.dup(), b"%d" % number, None))
    receiver.start()
    await wait_for(received, 200)
    assert [parcel.data for parcel in received] == [b"%d" % number for number in range(200)]
    for parcel in received:
        parcel.connection.close()
    for each in (near, far, sender, receiver):
        each.close()


async def test_connections_above_the_limit_are_closed(tmp_path: Path) -> None:
    receiver = HandoverReceiver(str(tmp_path / "to"), pytest.fail)
    receiver_path = str(tmp_path / "to")
    sender = HandoverSender(receiver_path, pytest.fail)
    near, far = socket.socketpair()
    queued = []
    for _ in range(MAX_QUEUE + 20):
        connection = far.dup()
        queued.append(connection)
        sender.send(Parcel(connection, b"", None))
    assert len(sender._queue) == MAX_QUEUE
    assert queued[-1].fileno() == -1
    sender.close()
    assert all(connection.fileno() == -1 for connection in queued)
    for each in (near, far):
        each.close()
    received: list[Parcel] = []
    receiver._receive = received.append
    receiver.close()
    for parcel in received:
        parcel.connection.close()


@pytest.mark.parametrize("has_started", [True, False])
async def test_connection_returns_when_its_receiver_has_ended(
    tmp_path: Path, has_started: bool
) -> None:
    path = str(tmp_path / "to")
    failed: list[Parcel] = []
    sender = HandoverSender(path, failed.append)
    near, far = socket.socketpair()
    if has_started:
        receiver = HandoverReceiver(path, lambda parcel: parcel.connection.close())
        receiver.start()
        sender.send(Parcel(far.dup(), b"", None))
        receiver._socket.close()  # as the kernel does for a killed process
        asyncio.get_running_loop().remove_reader(receiver._socket)
    sender.send(Parcel(far, b"data", ORIGIN))
    assert failed == [Parcel(far, b"data", ORIGIN)]
    for each in (near, far, sender):
        each.close()

"""Tests of the background writer."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from hextrackr_server.storage import background_writer
from hextrackr_server.storage.background_writer import BackgroundWriter


async def test_calls_run_in_order_and_before_close_returns() -> None:
    writer, done = BackgroundWriter(), list[int]()
    for number in range(100):
        writer.soon(done.append, number)
    assert await writer.run(len, done) == 100
    writer.soon(done.append, 100)
    await writer.close()
    assert (done, writer.waiting) == (list(range(101)), 0)


async def test_failed_call_is_logged_and_later_calls_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer, done = BackgroundWriter(), list[int]()
    writer.soon([].index, 1)
    writer.soon(done.append, 1)
    await writer.close()
    assert done == [1]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_run_and_close_time_out_when_a_call_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_writer, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(background_writer, "CLOSE_SECONDS", 0.0)
    writer, hindered = BackgroundWriter(), threading.Event()
    writer.soon(hindered.wait)
    assert writer.waiting == 1
    with pytest.raises(TimeoutError):
        await writer.run(int)
    await writer.close()
    hindered.set()
    await asyncio.to_thread(writer._executor.shutdown)
    assert writer.waiting == 0

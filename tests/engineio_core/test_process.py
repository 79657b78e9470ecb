"""Server process: start, service and a clean exit on SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.helpers.ports import reserve_port
from tests.helpers.wire import (
    CLOSE,
    WEBSOCKET_HEADERS,
    http_request,
    parse_frames,
    parse_responses,
    text_frame,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "engineio_echo.py"


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(300):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_echo_example_serves_and_exits_cleanly(number: signal.Signals) -> None:
    port = reserve_port()
    process = await asyncio.create_subprocess_exec(
        # Development mode reports each transport that the event loop leaves open.
        sys.executable, "-X", "dev", "-W", "error",
        str(EXAMPLE), "--port", str(port), "--ping-interval", "300",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    writer: asyncio.StreamWriter | None = None
    try:
        reader, writer = await connect(port)
        target = "/engine.io/?EIO=4&transport=websocket"
        writer.write(http_request("GET", target, WEBSOCKET_HEADERS) + text_frame("4hello"))
        async with asyncio.timeout(300):
            data = b""
            while b"4hello" not in data:
                data += await reader.read(65536)
        (response,), frames = parse_responses(data)
        assert response.status == 101
        assert [frame.payload[:1] for frame in parse_frames(frames)[0]] == [b"0", b"4"]
        # Without TLS, SIGHUP has nothing to reload; the process continues.
        process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.02)
        process.send_signal(number)
        async with asyncio.timeout(300):
            last_data = await reader.read()
            _, errors = await process.communicate()
        assert [frame.opcode for frame in parse_frames(last_data)[0]] == [CLOSE]
        # Development mode logs each callback that takes 0.1 seconds, as on a busy machine.
        errors = re.sub(rb"(?m)^Executing <.*> took [\d.]+ seconds\n", b"", errors)
        assert (process.returncode, errors) == (0, b"")
    finally:
        if writer is not None:
            writer.close()
        if process.returncode is None:
            process.kill()
            await process.wait()

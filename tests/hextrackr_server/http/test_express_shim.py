"""Tests of examples/express/realtime.js, run by Node against a server, and of its document."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path

from socketio_core.testing import settle
from tests.contract.support import TIMEOUT, HubHarness
from tests.hextrackr_server.http.ingest.test_routes import FULL

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SHIM = ROOT / "examples" / "express" / "realtime.js"
DOCUMENT = ROOT / "docs" / "express-shim.md"


async def test_shim_forwards_progress_and_logouts(tmp_path: Path) -> None:
    async with HubHarness(tmp_path, ingest_tokens=(FULL,)) as hub:
        follower = await hub.server.connect(headers=hub.session_store.log_in("7"))
        for session in ("import-1-abc", "import-2-abc"):
            follower.emit("join-progress", session)
        await settle()
        node = await asyncio.create_subprocess_exec(
            "node",
            str(HERE / "express_shim.js"),
            str(SHIM),
            env=os.environ
            | {
                "HEXTRACKR_REALTIME_URL": hub.url,
                "HEXTRACKR_INGEST_TOKEN": FULL.secret.decode(),
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        complete = (await follower.receive_event("progress-complete"))[0]
        assert (complete["sessionId"], complete["status"]) == ("import-1-abc", "completed")
        assert complete["metadata"]["rows"] == 5
        assert complete["metadata"]["filename"] == "x.csv"
        error = (await follower.receive_event("progress-error"))[0]
        assert (error["sessionId"], error["error"]["message"]) == ("import-2-abc", "broken")
        updates = [args[0]["progress"] for args in follower.events("progress-update")]
        assert updates == sorted(updates)
        output, _ = await asyncio.wait_for(node.communicate(b"log out\n"), TIMEOUT)
        assert (node.returncode, output) == (0, b"")
        # A logout that Express reports disconnects the client.
        await hub.wait_until(lambda: not follower.connected)


async def test_shim_repeats_the_final_event_while_the_hub_is_unavailable() -> None:
    events: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = re.findall(rb"content-length: (\d+)", head)
        events.append(json.loads(await reader.readexactly(int(length)))["event"])
        status = "503 Service Unavailable" if len(events) < 3 else "202 Accepted"
        reply = f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        writer.write(reply.encode())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as hub:
        port = hub.sockets[0].getsockname()[1]
        script = (
            f"const room = require({json.dumps(str(SHIM))}).io.to('progress-a');"
            "room.emit('progress-update', {}); room.emit('progress-complete', {});"
        )
        node = await asyncio.create_subprocess_exec(
            "node",
            "-e",
            script,
            env=os.environ | {"HEXTRACKR_REALTIME_URL": f"http://127.0.0.1:{port}"},
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert await asyncio.wait_for(node.wait(), TIMEOUT) == 0
    # The update is not repeated.
    assert events == ["progress-update", "progress-complete", "progress-complete"]

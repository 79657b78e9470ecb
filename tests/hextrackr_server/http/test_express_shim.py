"""Tests of the shim in docs/express-shim.md, run by Node against a server."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

from socketio_core.testing import settle
from tests.contract.support import TIMEOUT, HubHarness
from tests.hextrackr_server.http.ingest.test_routes import FULL

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[2] / "docs" / "express-shim.md"


async def test_documented_shim_forwards_progress_and_logouts(tmp_path: Path) -> None:
    (code,) = re.findall(r"```javascript\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    shim = tmp_path / "realtime.js"
    shim.write_text(code)
    async with HubHarness(tmp_path, ingest_tokens=(FULL,)) as hub:
        follower = await hub.server.connect(headers=hub.session_store.log_in("7"))
        for session in ("import-1-abc", "import-2-abc"):
            follower.emit("join-progress", session)
        await settle()
        node = await asyncio.create_subprocess_exec(
            "node",
            str(HERE / "express_shim.js"),
            str(shim),
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

"""Imports as the contract's tests play them.

Knows: the stage, files that are quick to import.  Does not know: what any test wants.
"""

from __future__ import annotations

from typing import Any

from socketio_core.testing import TestClient
from tests.contract.support import Stage
from tests.hextrackr_server.support import csv_text, finding_row

ROWS = [finding_row(host=f"h-{number}") for number in range(20)]
GOOD = csv_text(ROWS)
FOREIGN = "Location,Devices\n1,2\n"


async def start(client: TestClient, csv: str = GOOD, **more: Any) -> dict[str, Any]:
    """Start an import of a small file; the ack."""
    payload = {"source": "inline", "filename": "scan.csv", "csv": csv} | more
    answer = await client.emit_with_ack("start-import", payload)
    assert isinstance(answer, dict)
    return answer


async def finished(client: TestClient, csv: str = GOOD, **more: Any) -> dict[str, Any]:
    """Import a small file to its end; the payload of `import-finished`."""
    answer = await start(client, csv, **more)
    assert answer["success"], answer
    return await payload(client, "import-finished")


async def payload(client: TestClient, event: str) -> dict[str, Any]:
    """The payload of the next event of a name."""
    given = (await client.receive_event(event))[0]
    assert isinstance(given, dict)
    return given


def names(client: TestClient) -> list[str]:
    """What has come so far and was not looked at."""
    return [name for name, _ in client.received]


async def reached(stage: Stage, client: TestClient) -> None:
    """Wait until whatever was sent to a client before now has come."""
    await client.emit_with_ack("leave-import-room", 1)

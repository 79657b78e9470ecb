"""Import helpers of the contract tests: small files, and the events of an import."""

from __future__ import annotations

from typing import Any

from socketio_core.testing import TestClient
from tests.hextrackr_server.support import csv_text, finding_row

ROWS = [finding_row(host=f"h-{number}") for number in range(20)]
VALID_CSV = csv_text(ROWS)
UNKNOWN_COLUMNS_CSV = "Location,Devices\n1,2\n"


async def start_import(client: TestClient, csv: str = VALID_CSV, **more: Any) -> dict[str, Any]:
    """Start the import of a small file and return the ack."""
    payload = {"source": "inline", "filename": "scan.csv", "csv": csv} | more
    answer = await client.emit_with_ack("start-import", payload)
    assert isinstance(answer, dict)
    return answer


async def run_import(client: TestClient, csv: str = VALID_CSV, **more: Any) -> dict[str, Any]:
    """Import a small file and return the payload of `import-finished`."""
    answer = await start_import(client, csv, **more)
    assert answer["success"], answer
    return await receive_payload(client, "import-finished")


async def receive_payload(client: TestClient, event: str) -> dict[str, Any]:
    """Return the payload of the next event with a name."""
    received = (await client.receive_event(event))[0]
    assert isinstance(received, dict)
    return received


def received_names(client: TestClient) -> list[str]:
    """Return the names of the received events that no test has taken."""
    return [name for name, _ in client.received]


async def flush_events(client: TestClient) -> None:
    """Wait until a client has received all events that were sent before."""
    await client.emit_with_ack("leave-import-room", 1)

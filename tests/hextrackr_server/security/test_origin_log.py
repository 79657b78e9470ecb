"""Log lines for refused origins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hextrackr_server.sockets.origin_log import MAXIMUM_ORIGINS
from tests.contract.support import POLLING, HubHarness
from tests.helpers.wire import WEBSOCKET_HEADERS

WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubHarness]:
    async with HubHarness(tmp_path) as hub:
        yield hub


def refused_origins(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the origins of the log lines that name the setting."""
    return [
        record.__dict__["fields"]["origin"]
        for record in caplog.records
        if "HEXTRACKR_CORS_ORIGINS" in record.getMessage()
    ]


async def test_log_names_the_setting_that_allows_a_refused_origin_once(
    hub: HubHarness, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        response = await hub.request("GET", POLLING, {"origin": "https://polling.example"})
        assert "access-control-allow-origin" not in response.headers
        refused = await hub.request(
            "GET", WEBSOCKET, WEBSOCKET_HEADERS | {"origin": "https://websocket.example"}
        )
        assert refused.status == 400
    assert refused_origins(caplog) == ["https://polling.example", "https://websocket.example"]


async def test_log_names_no_setting_for_allowed_origins(
    hub: HubHarness, caplog: pytest.LogCaptureFixture
) -> None:
    for origin in ("https://app.example", f"http://127.0.0.1:{hub.port}"):
        await hub.request("GET", POLLING, {"origin": origin})
    await hub.request("GET", POLLING)
    assert refused_origins(caplog) == []


async def test_number_of_logged_origins_is_limited(
    hub: HubHarness, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(MAXIMUM_ORIGINS + 2):
        await hub.request("GET", POLLING, {"origin": f"https://page-{number}.example"})
    assert len(refused_origins(caplog)) == MAXIMUM_ORIGINS

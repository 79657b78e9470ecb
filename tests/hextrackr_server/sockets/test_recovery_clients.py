"""The clients of the hub that get recovery."""

from __future__ import annotations

import pytest

from engineio_core.http.message import HttpRequest
from hextrackr_server.sockets.recovery_clients import is_javascript_client
from socketio_core.handshake import Handshake

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36"


@pytest.mark.parametrize(("agent", "query", "expected"), [
    (BROWSER, "", True),
    ("node-XMLHttpRequest", "", True),
    ("node", "", True),
    ("node-fetch", "", False),
    ("Python/3.11 aiohttp/3.9.1", "", False),
    ("python-requests/2.31.0", "", False),
    ("okhttp/4.12.0", "", False),
    ("Go-http-client/1.1", "", False),
    ("curl/8.5.0 (compatible; Mozilla/5.0)", "", False),
    ("", "", False),
    (None, "", False),
    (None, "recovery=1", True),
    ("okhttp/4.12.0", "recovery=1", True),
    (BROWSER, "recovery=0", False),
    (BROWSER, "recovery=no", True),
    (None, "recovery=true", False),
])  # fmt: skip
def test_recovery_is_offered_when_the_client_is_javascript_or_requests_it(
    agent: str | None, query: str, expected: bool
) -> None:
    headers = {} if agent is None else {"user-agent": agent}
    request = HttpRequest("GET", f"/socket.io/?EIO=4&{query}", headers)
    assert is_javascript_client(Handshake(request, {})) is expected

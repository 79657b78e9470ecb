"""Log entries for the listening address and for refused clients."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from engineio_core import Engine, HttpResponse
from tests.helpers.client import Server


async def test_listening_address_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "engineio_core")
    async with Engine() as engine:
        port = (await engine.listen()).port
    assert f"listening on http://127.0.0.1:{port}" in caplog.text


@pytest.mark.parametrize(
    ("options", "query", "text"),
    [
        ({}, {"transport": "pigeon"}, "Transport unknown (code 0; transport: 'pigeon')"),
        (
            {},
            {"transport": "polling", "sid": "abcdefghij"},
            "Session ID unknown (code 1; sid: 'abcdef')",
        ),
        ({"allow_request": lambda _: "no"}, {"transport": "polling"}, "Forbidden (code 4; mess"),
    ],
)
def test_refused_client_is_logged_in_one_line(
    options: Any, query: Any, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "engineio_core")
    server = Server(**options)
    server.get(**query)
    (record,) = [record for record in caplog.records if "refused" in record.message]
    assert record.levelno == logging.INFO
    assert record.message.startswith("refused GET /engine.io/ from ")
    assert text in record.message


def test_refusal_by_a_middleware_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "engineio_core")
    server = Server()
    server.engine.use(lambda request: HttpResponse(429))
    server.get(transport="polling")
    (record,) = [record for record in caplog.records if "refused" in record.message]
    assert record.message.endswith("status 429")

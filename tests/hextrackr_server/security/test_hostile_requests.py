"""Tests of hostile requests: the server refuses them and logs no error."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.support import HubHarness

DEEP = b'{"x": ' + b"[" * 16_000
MANY_DIGITS = "9" * 5000


@pytest.fixture
async def hub(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[HubHarness]:
    async with HubHarness(tmp_path) as hub:
        yield hub
    broken = [each.message for each in caplog.records if each.levelno >= logging.ERROR]
    assert broken == []


def bearer(hub: HubHarness, role: str = "user") -> dict[str, str]:
    return {"authorization": f"Bearer {hub.token('7', role)}"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/api/imports/{MANY_DIGITS}"),
        ("POST", f"/api/imports/{MANY_DIGITS}/cancel"),
        ("PATCH", f"/ingest/v1/imports/{MANY_DIGITS}"),
        ("POST", f"/ingest/v1/imports/{MANY_DIGITS}/fail"),
        ("POST", f"/ingest/v1/imports/{MANY_DIGITS}/cancel"),
    ],
)
async def test_overlong_number_in_a_path_is_not_found(
    hub: HubHarness, method: str, path: str
) -> None:
    assert (await hub.request(method, path)).status == 404


@pytest.mark.parametrize("origin", ["http://[", "null", "http://[::1]x", "//"])
async def test_invalid_origin_is_treated_as_another_site(hub: HubHarness, origin: str) -> None:
    headers = hub.session_store.log_in("7", "admin") | {"origin": origin}
    refusal = (await hub.request("POST", "/api/kev/sync", headers)).json()
    assert refusal["code"] == "FORBIDDEN"
    assert "must come from the same site" in refusal["error"]


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [("/api/vulnerabilities/import-cancel", "user", 400), ("/api/kev/sync", "admin", 400)],
)
async def test_too_deeply_nested_json_is_refused(
    hub: HubHarness, path: str, role: str, status: int
) -> None:
    assert (await hub.request("POST", path, bearer(hub, role), DEEP)).status == status


@pytest.mark.parametrize(
    "payload",
    [
        {"resource": "vulnerabilities", "filters": {"search": "\ud800"}},
        {"resource": "vulnerabilities", "filters": {"hostname": "a\0"}},
        {"resource": "kev", "filters": {"search": "\udfff"}},
        {"resource": "imports", "filters": {"vendor": "\ud800"}},
    ],
)
async def test_search_for_impossible_text_finds_nothing(
    hub: HubHarness, payload: dict[str, Any]
) -> None:
    client = await hub.client()
    assert (await client.emit_with_ack("get-data", payload))["data"] == []

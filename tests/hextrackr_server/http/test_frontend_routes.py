"""Tests of the routes that HexTrackr's front end uses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hextrackr_server.http.app import create_http_app
from hextrackr_server.http.frontend_routes import front_end_routes
from tests.hextrackr_server.http.test_app import BOUNDARY, GOOD, Browser, body, form
from tests.hextrackr_server.support import ALICE, BOB, ImportHarness, Response, request

SESSION = "import-1735088423891-a3b2c1d4e"


class FrontEnd(Browser):
    """An HTTP client of the front-end routes."""

    def __init__(self, harness: ImportHarness) -> None:
        super().__init__(harness)
        routes = front_end_routes(self.identity, harness.imports, harness.uploads)
        self.app = create_http_app(routes)

    async def upload(self, **fields: str) -> Response:
        content = form("csvFile", GOOD, **({"vendor": "cisco", "sessionId": SESSION} | fields))
        return await self.post_form("/api/vulnerabilities/import-staging", content)

    async def cancel(self, given: Any, user: str = ALICE.user_id) -> Response:
        headers = self.headers(user, content_type="application/json")
        path = "/api/vulnerabilities/import-cancel"
        chunks = (given if isinstance(given, bytes) else json.dumps(given).encode(),)
        return await request(self.app, "POST", path, headers=headers, chunks=chunks)


@pytest.fixture
def front_end(harness: ImportHarness) -> FrontEnd:
    return FrontEnd(harness)


async def test_upload_starts_an_import_that_can_be_polled(
    front_end: FrontEnd,
) -> None:
    answer = body(await front_end.upload(scanDate="2025-09-30"), 200)
    assert answer == {
        "success": True,
        "sessionId": SESSION,
        "importId": answer["importId"],
        "message": "CSV import started",
        "filename": "scan.csv",
        "vendor": "cisco",
        "scanDate": "2025-09-30",
    }
    await front_end.harness.ended(answer["importId"])
    progress = body(await front_end.get(f"/api/import/progress/{SESSION}"), 200)
    assert (progress["success"], progress["status"], progress["progress"]) == (
        True,
        "completed",
        100,
    )
    assert progress["metadata"]["importSummary"]["sessionId"] == SESSION


@pytest.mark.parametrize("session", [SESSION, "never-there"])
async def test_sessions_of_others_and_unknown_ones_are_not_found(
    front_end: FrontEnd, session: str
) -> None:
    await front_end.upload()
    answer = body(await front_end.get(f"/api/import/progress/{session}", BOB.user_id), 404)
    assert (answer["success"], answer["error"]) == (False, "Session not found")


async def test_invalid_session_id_is_refused(front_end: FrontEnd) -> None:
    body(await front_end.get("/api/import/progress/" + "x" * 200), 400)


async def test_cancel_is_refused_when_the_import_has_ended(
    front_end: FrontEnd,
) -> None:
    answer = body(await front_end.upload(), 200)
    await front_end.harness.ended(answer["importId"])
    assert body(await front_end.cancel({"sessionId": SESSION}), 409)["code"] == "CONFLICT"
    body(await front_end.cancel({"sessionId": SESSION}, BOB.user_id), 404)


@pytest.mark.parametrize("given", [{}, [], {"sessionId": 5}, {"sessionId": ""}, b"{", b""])
async def test_cancel_without_a_session_id_is_refused_with_its_field(
    front_end: FrontEnd, given: Any
) -> None:
    assert body(await front_end.cancel(given), 400)["fields"][0]["path"] == "sessionId"


async def test_too_large_cancel_is_refused(front_end: FrontEnd) -> None:
    body(await front_end.cancel(b"x" * 20_000), 413)


@pytest.mark.parametrize("name", ["confirm", "allowPartial"])
async def test_switch_is_true_or_false(front_end: FrontEnd, name: str) -> None:
    refused = body(await front_end.upload(**{name: "maybe"}), 400)
    assert refused["fields"] == [{"path": name, "message": "must be true or false"}]
    assert list((front_end.harness.bench.directory / "uploads").iterdir()) == []
    answer = body(await front_end.upload(**{name: "true"}), 200)
    assert (await front_end.harness.ended(answer["importId"]))["status"] == "completed"


async def test_unknown_scope_is_refused_with_its_field(front_end: FrontEnd) -> None:
    assert body(await front_end.upload(scope="all"), 400)["fields"][0]["path"] == "scope"


async def test_front_end_routes_require_a_token(front_end: FrontEnd) -> None:
    for method, path in (
        ("GET", f"/api/import/progress/{SESSION}"),
        ("POST", "/api/vulnerabilities/import-cancel"),
        ("POST", "/api/vulnerabilities/import-staging"),
    ):
        headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        body(await request(front_end.app, method, path, headers=headers), 401)

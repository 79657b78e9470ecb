"""Tests of the HTTP routes for imports."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from hextrackr_server.clock import LoopClock
from hextrackr_server.http.app import create_http_app
from hextrackr_server.http.import_routes import import_routes
from hextrackr_server.imports.inspector import ImportInspector
from hextrackr_server.imports.uploads import MAXIMUM_ARRIVING_PER_USER
from hextrackr_server.security.identity import IdentityService
from tests.hextrackr_server.support import (
    ALICE,
    BOB,
    ImportHarness,
    Response,
    csv_text,
    finding_row,
    request,
)

GOOD = csv_text([finding_row()]).encode()
BOUNDARY = "frontier"


def form(field: str, content: bytes, filename: str = "scan.csv", **fields: str) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = (
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{field}"; filename="{filename}"\r\n'
    )
    parts += [head.encode(), b"content-type: text/csv\r\n\r\n", content, b"\r\n"]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


class Browser:
    """An HTTP client of the application of a harness, with tokens of its users."""

    def __init__(self, harness: ImportHarness, cors_origins: tuple[str, ...] = ()) -> None:
        self.harness = harness
        self.identity = IdentityService(harness.authority, LoopClock())
        inspector = ImportInspector(harness.bench.database, harness.uploads)
        routes = import_routes(self.identity, harness.imports, harness.uploads, inspector)
        self.app = create_http_app(routes, cors_origins=cors_origins)

    def headers(self, user: str = ALICE.user_id, **more: str) -> dict[str, str]:
        token = self.harness.authority.sign(user)
        return {"authorization": f"Bearer {token}"} | {
            name.replace("_", "-"): value for name, value in more.items()
        }

    async def post(
        self, path: str, *chunks: bytes, content_type: str = "text/csv", **more: str
    ) -> Response:
        headers = self.headers(content_type=content_type, **more)
        return await request(self.app, "POST", path, headers=headers, chunks=chunks or (b"",))

    async def post_form(self, path: str, *chunks: bytes) -> Response:
        return await self.post(
            path, *chunks, content_type=f"multipart/form-data; boundary={BOUNDARY}"
        )

    async def get(self, path: str, user: str = ALICE.user_id) -> Response:
        return await request(self.app, "GET", path, headers=self.headers(user))


@pytest.fixture
def browser(harness: ImportHarness) -> Browser:
    return Browser(harness)


def body(response: Response, status: int) -> dict[str, Any]:
    assert response.status == status, response.body
    assert response.headers["content-type"] == "application/json"
    parsed = json.loads(response.body)
    assert isinstance(parsed, dict)
    return parsed


async def test_health_requires_no_token(browser: Browser) -> None:
    answer = body(await request(browser.app, "GET", "/health"), 200)
    assert answer["status"] == "ok"


async def test_csv_body_is_imported(browser: Browser) -> None:
    response = await browser.post("/api/imports?filename=x.csv", GOOD[:10], GOOD[10:])
    answer = body(response, 202)
    assert response.headers["location"] == f"/api/imports/{answer['importId']}"
    await browser.harness.ended(answer["importId"])
    status = body(await browser.get(response.headers["location"]), 200)["status"]
    assert (status["status"], status["result"]["summary"]["inserted"]) == ("completed", 1)


@pytest.mark.parametrize("field", ["csvFile", "file"])
async def test_form_file_is_imported_with_its_fields(browser: Browser, field: str) -> None:
    content = form(field, GOOD, vendor="cisco", scanDate="2025-01-02", sessionId="import-1-x")
    answer = body(await browser.post_form("/api/imports", content[:100], content[100:]), 202)
    assert answer["sessionId"] == "import-1-x"
    await browser.harness.ended(answer["importId"])
    (found,) = browser.harness.bench.findings()
    assert (found["scan_date"], found["vendor"]) == ("2025-01-02", "CISCO")
    assert browser.harness.sent.payloads("import-started")[0]["filename"] == "scan.csv"


async def test_endless_uploads_of_one_user_block_only_that_user(
    browser: Browser,
) -> None:
    def endless() -> asyncio.Task[Response]:
        asked = request(browser.app, "POST", "/api/imports", headers=browser.headers(), chunks=())
        return asyncio.create_task(asked)

    arriving = [endless() for _ in range(MAXIMUM_ARRIVING_PER_USER)]
    await asyncio.sleep(0)
    assert body(await browser.post("/api/imports", GOOD), 429)["code"] == "RATE_LIMITED"
    headers = browser.headers(BOB.user_id)
    body(await request(browser.app, "POST", "/api/imports", headers=headers, chunks=[GOOD]), 202)
    for task in arriving:
        task.cancel()
    await asyncio.wait(arriving)
    body(await browser.post("/api/imports", GOOD), 202)


async def test_upload_is_kept_until_its_import_starts(browser: Browser) -> None:
    answer = body(await browser.post_form("/api/imports/upload", form("file", GOOD)), 201)
    assert (answer["filename"], answer["size"]) == ("scan.csv", len(GOOD))
    upload = browser.harness.uploads.take(answer["uploadId"], ALICE)
    assert upload.path.read_bytes() == GOOD


@pytest.mark.parametrize("path", ["/api/imports", "/api/imports/upload"])
@pytest.mark.parametrize("header", [None, "Basic x", "Bearer forged.forged.forged"])
async def test_upload_without_a_valid_token_is_refused_and_not_stored(
    browser: Browser, path: str, header: str | None
) -> None:
    headers = {"content-type": "text/csv"} | ({"authorization": header} if header else {})
    response = await request(browser.app, "POST", path, headers=headers, chunks=(GOOD,))
    answer = body(response, 401)
    assert (answer["success"], answer["code"]) == (False, "UNAUTHORIZED")
    assert response.headers["www-authenticate"] == "Bearer"
    assert list((browser.harness.bench.directory / "uploads").iterdir()) == []


async def test_import_status_is_visible_to_its_owner_only(browser: Browser) -> None:
    number = body(await browser.post("/api/imports", GOOD), 202)["importId"]
    body(await browser.get(f"/api/imports/{number}"), 200)
    assert (
        body(await browser.get(f"/api/imports/{number}", BOB.user_id), 404)["code"] == "NOT_FOUND"
    )
    body(await request(browser.app, "GET", f"/api/imports/{number}"), 401)


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("kind", ["body", "form"])
async def test_too_large_file_is_refused(browser: Browser, kind: str, announced: bool) -> None:
    content = b"x" * 200_000
    more = {"content_length": str(len(content))} if announced else {}
    content_type = "text/csv"
    if kind == "form":
        content, content_type = form("file", content), f"multipart/form-data; boundary={BOUNDARY}"
    pieces = [content[start : start + 50_000] for start in range(0, len(content), 50_000)]
    response = await browser.post("/api/imports", *pieces, content_type=content_type, **more)
    assert body(response, 413)["code"] == "TOO_LARGE"
    assert list((browser.harness.bench.directory / "uploads").iterdir()) == []


async def test_form_without_a_file_is_refused_with_its_field(browser: Browser) -> None:
    for content in (
        form("other", GOOD),
        form("x", b"").replace(b'name="x"; filename', b'name="file"; x'),
    ):
        answer = body(await browser.post_form("/api/imports", content), 400)
        assert answer["fields"][0]["path"] == "csvFile"


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"--frontier\r\nbad\r\n", form("file", GOOD)[:-30]]
)
async def test_unreadable_form_is_refused(browser: Browser, content: bytes) -> None:
    answer = body(await browser.post_form("/api/imports", content), 400)
    assert answer["code"] == "VALIDATION_ERROR"


async def test_invalid_options_are_refused_and_leave_no_file(browser: Browser) -> None:
    answer = body(await browser.post("/api/imports?scanDate=soon", GOOD), 400)
    assert answer["fields"] == [
        {"path": "scanDate", "message": "must be a date such as 2025-09-30"}
    ]
    assert list((browser.harness.bench.directory / "uploads").iterdir()) == []


async def test_unknown_paths_and_methods_are_refused_as_json(browser: Browser) -> None:
    assert body(await browser.get("/api/nothing"), 404)["code"] == "NOT_FOUND"
    assert body(await browser.get("/api/imports/x"), 404)["code"] == "NOT_FOUND"
    assert body(await browser.get(f"/api/imports/{10**30}"), 404)["code"] == "NOT_FOUND"
    assert body(await browser.get("/api/imports"), 405)["code"] == "METHOD_NOT_ALLOWED"


async def test_configured_origins_receive_cors_headers(harness: ImportHarness) -> None:
    browser = Browser(harness, cors_origins=("https://app.example",))
    for origin, allowed in (("https://app.example", True), ("https://evil.example", False)):
        response = await request(browser.app, "GET", "/health", headers={"origin": origin})
        assert (response.headers.get("access-control-allow-origin") == origin) is allowed

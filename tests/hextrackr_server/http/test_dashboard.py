"""Tests of the routes of the dashboard, with a build of two small files."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.clock import LoopClock
from hextrackr_server.http.app import create_http_app
from hextrackr_server.http.dashboard_files import POLICY, DashboardFiles, build_step, is_built
from hextrackr_server.http.dashboard_routes import dashboard_routes
from hextrackr_server.security.identity import IdentityService
from hextrackr_server.security.principal import TokenAuthority
from tests.hextrackr_server.support import Response, request

ROOT = Path(__file__).resolve().parents[3]
PAGE = b'<script type="module" src="./assets/index-abc.js"></script>' * 20
SCRIPT = b"console.log(1);" * 100
SCRIPT_NAME = "index-abc.js"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """Write a build as Vite does: an index, and assets with their compressed variants."""
    assets = tmp_path / "assets"
    assets.mkdir()
    (tmp_path / "index.html").write_bytes(PAGE)
    (assets / SCRIPT_NAME).write_bytes(SCRIPT)
    (assets / f"{SCRIPT_NAME}.gz").write_bytes(gzip.compress(SCRIPT))
    (assets / f"{SCRIPT_NAME}.br").write_bytes(b"brotli")
    (assets / "note.md").write_bytes(b"not a file of the page")
    return tmp_path


class Dashboard:
    def __init__(self, build: Path) -> None:
        self.authority = TokenAuthority(b"s" * 32)
        identity = IdentityService(self.authority, LoopClock())
        self.app = create_http_app(dashboard_routes(identity, DashboardFiles(build)))

    async def get(self, path: str, method: str = "GET", **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await request(self.app, method, path, headers=named)


async def test_page_is_revalidated_and_forbids_inline_scripts_and_frames(build: Path) -> None:
    response = await Dashboard(build).get("/")
    assert (response.status, response.body) == (200, PAGE)
    headers = response.headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    directives = dict(each.split(" ", 1) for each in POLICY.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == "'self'"
    assert directives["frame-ancestors"] == directives["base-uri"] == "'none'"
    assert "unsafe" not in POLICY


async def test_asset_may_be_cached_forever(build: Path) -> None:
    response = await Dashboard(build).get(f"/assets/{SCRIPT_NAME}")
    assert (response.status, response.body) == (200, SCRIPT)
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["vary"] == "accept-encoding"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("accepted", "encoding"), [
    ("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("deflate", None),
    ("identity", None), ("", None),
])  # fmt: skip
async def test_asset_has_the_best_accepted_encoding(
    build: Path, accepted: str, encoding: str | None
) -> None:
    response = await Dashboard(build).get(f"/assets/{SCRIPT_NAME}", accept_encoding=accepted)
    assert response.headers.get("content-encoding") == encoding
    assert response.headers["content-length"] == str(len(response.body))
    body = gzip.decompress(response.body) if encoding == "gzip" else response.body
    assert body == (b"brotli" if encoding == "br" else SCRIPT)


async def test_unchanged_file_is_not_sent_again(build: Path) -> None:
    dashboard = Dashboard(build)
    etag = (await dashboard.get("/")).headers["etag"]
    for known in (etag, f'"other", {etag}'):
        response = await dashboard.get("/", if_none_match=known)
        assert (response.status, response.body) == (304, b"")
        assert response.headers["etag"] == etag
    assert (await dashboard.get("/", if_none_match='"other"')).status == 200


async def test_head_request_has_the_headers_of_the_page(build: Path) -> None:
    response = await Dashboard(build).get("/", "HEAD")
    assert response.status == 200  # the host of the application omits the body
    assert response.headers["content-length"] == str(len(PAGE))


@pytest.mark.parametrize(
    "name", ["missing.js", "note.md", f"{SCRIPT_NAME}.gz", "..%2Findex.html", "%2e%2e", "a/b.js"]
)
async def test_other_names_are_not_found(build: Path, name: str) -> None:
    (build / "secret.js").write_bytes(b"secret")
    assert (await Dashboard(build).get(f"/assets/{name}")).status == 404


async def test_page_without_a_build_describes_how_to_build_it(tmp_path: Path) -> None:
    response = await Dashboard(tmp_path).get("/")
    assert response.status == 404
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert b"Node 20.19 or newer" in response.body
    assert b"make dashboard" in response.body
    assert not is_built(tmp_path)


def test_remedy_for_a_missing_page_depends_on_the_sources(tmp_path: Path) -> None:
    assert build_step(tmp_path) == "install the hub again"
    (tmp_path / "package.json").touch()
    assert build_step(tmp_path) == "run `make dashboard`"


async def test_running_server_keeps_the_files_of_its_build(build: Path) -> None:
    dashboard = Dashboard(build)
    (build / "assets" / SCRIPT_NAME).unlink()
    (build / "index.html").write_bytes(b"a later build")
    assert (await dashboard.get("/")).body == PAGE
    assert (await dashboard.get(f"/assets/{SCRIPT_NAME}")).body == SCRIPT


async def test_session_is_that_of_the_token(build: Path) -> None:
    dashboard = Dashboard(build)
    token = dashboard.authority.sign("alice", role="admin")
    response = await dashboard.get("/api/session", authorization=f"Bearer {token}")
    assert response.headers["cache-control"] == "no-store"
    answer: dict[str, Any] = json.loads(response.body)
    assert answer == {
        "success": True,
        "userId": "alice",
        "username": "alice",
        "role": "admin",
        "isAdmin": True,
    }


async def test_session_without_a_login_is_refused(build: Path) -> None:
    response = await Dashboard(build).get("/api/session")
    assert (response.status, json.loads(response.body)["code"]) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(("options", "code"), [([], 1), (["--optional"], 0)])
def test_build_without_node_names_the_remedy(options: list[str], code: int, tmp_path: Path) -> None:
    """A copy of the sources without a build, and a path without Node."""
    script = tmp_path / "scripts" / "build-dashboard"
    script.parent.mkdir()
    script.write_bytes((ROOT / "scripts" / "build-dashboard").read_bytes())
    script.chmod(0o755)
    sources = tmp_path / "hextrackr_server" / "dashboard"
    (sources / "src").mkdir(parents=True)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("dirname", "find", "sort", "xargs", "cksum", "cat"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [script, *options], env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert "Node is not installed" in done.stderr
    assert "make dashboard" in done.stderr

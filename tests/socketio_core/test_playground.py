"""The responses of the playground; `tests/dashboard` runs its page in Chromium."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from socketio_core import playground
from socketio_core.playground.app import ASSETS, NAMES


async def fetch(
    app: Any, path: str, method: str = "GET", root_path: str = "", **headers: str
) -> tuple[int, dict[str, str], str]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "method": method, "path": path, "root_path": root_path, "headers": raw,
    }  # fmt: skip
    await app(scope, None, send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, sent[1]["body"].decode()


async def other_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"other {scope['path']}".encode()})


async def test_page_has_a_policy_without_inline_scripts_and_frames() -> None:
    status, headers, body = await fetch(playground(), "/playground/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = dict(
        each.strip().partition(" ")[::2] for each in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == policy["style-src"] == "'self'"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=|style=", body)


def test_every_asset_is_served_and_named_once() -> None:
    assert {path.name for path in ASSETS.iterdir()} == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
async def test_asset_has_its_type_and_is_not_sent_again(name: str) -> None:
    app = playground()
    status, headers, body = await fetch(app, f"/playground/{name}")
    kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
    assert status == 200
    assert headers["content-type"] == f"{kinds[Path(name).suffix]}; charset=utf-8"
    assert headers["content-length"] == str(len(body.encode()))
    assert len(body) > 100
    again = await fetch(app, f"/playground/{name}", if_none_match=headers["etag"])
    assert (again[0], again[2]) == (304, "")
    assert "content-security-policy" in again[1]


def test_modules_use_no_markup() -> None:
    for path in ASSETS.glob("*.js"):
        code = path.read_text("utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", code)


async def test_address_without_a_slash_redirects_to_the_page() -> None:
    status, headers, _ = await fetch(playground(path="/tools/try/"), "/tools/try")
    assert (status, headers["location"]) == (307, "try/")


@pytest.mark.parametrize(
    "path",
    ["/playground/../app.py", "/playground/%2e%2e/app.py", "/playground//index.html", "/other",
     "/playground/app.py", "/playgroundx/", "//evil.example/playground"],
)  # fmt: skip
async def test_other_paths_are_not_found(path: str) -> None:
    status, headers, body = await fetch(playground(), path)
    assert status == 404
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert body == "not found: the playground is at /playground/\n"


@pytest.mark.parametrize(
    ("path", "root_path"),
    [
        ("/prefix/playground/main.js", "/prefix"),  # a host with a prefix
        ("/tools/playground/main.js", "/tools/playground"),  # mounted by a framework at its path
        ("/playground/main.js", ""),
    ],
)
async def test_page_is_found_below_the_root_path(path: str, root_path: str) -> None:
    assert (await fetch(playground(), path, root_path=root_path))[0] == 200


async def test_head_has_no_body_and_other_methods_are_refused() -> None:
    status, headers, body = await fetch(playground(), "/playground/", "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["content-length"]) > 1000
    status, headers, _ = await fetch(playground(), "/playground/", "POST")
    assert (status, headers["allow"]) == (405, "GET, HEAD")


async def test_page_names_the_path_of_the_server() -> None:
    _, _, body = await fetch(playground(server_path="/live/socket.io/"), "/playground/")
    assert '<meta name="server-path" content="/live/socket.io">' in body


async def test_other_application_serves_other_paths() -> None:
    app = playground(other_app)
    assert (await fetch(app, "/"))[2] == "other /"
    assert (await fetch(app, "/playground/"))[2].startswith("<!doctype html>")
    with pytest.raises(NotImplementedError):
        await app({"type": "lifespan"}, None, None)  # type: ignore[arg-type] # of the other one


async def test_websocket_is_refused_without_another_application() -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/playground/"}
    await playground()(scope, None, send)  # type: ignore[arg-type] # unused
    assert sent == [{"type": "websocket.close"}]


async def test_lifespan_is_not_supported_without_another_application() -> None:
    with pytest.raises(NotImplementedError, match="'lifespan'"):
        await playground()({"type": "lifespan"}, None, None)  # type: ignore[arg-type] # unused


@pytest.mark.parametrize("path", ["", "playground", "/a b", "/a//b", "//evil.example", '/"', 7])
def test_invalid_path_is_refused(path: Any) -> None:
    with pytest.raises(ValueError, match=r"^path must be a path such as '/playground'"):
        playground(path=path)
    with pytest.raises(ValueError, match=r"^server_path must be"):
        playground(server_path=path)


def test_other_application_must_be_callable() -> None:
    with pytest.raises(TypeError, match=r"^other_app must be an ASGI application, got 7$"):
        playground(7)  # type: ignore[arg-type] # the mistake

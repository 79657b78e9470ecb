"""The playground of the hub is served in development only."""

from __future__ import annotations

import pytest

from hextrackr_server.config.settings import Settings
from hextrackr_server.http.app import create_http_app
from hextrackr_server.http.playground_routes import playground_routes
from tests.hextrackr_server.support import request


def test_no_playground_by_default() -> None:
    assert playground_routes(Settings()) == []


@pytest.mark.parametrize("settings", [Settings(dev=True), Settings(playground=True)])
async def test_playground_is_served_in_development_and_by_its_setting(settings: Settings) -> None:
    app = create_http_app(playground_routes(settings))
    redirect = await request(app, "GET", "/playground")
    assert (redirect.status, redirect.headers["location"]) == (307, "playground/")
    page = await request(app, "GET", "/playground/")
    assert page.status == 200
    assert b'content="/socket.io"' in page.body
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert (await request(app, "GET", "/playground/main.js")).status == 200
    assert (await request(app, "GET", "/playground/app.py")).status == 404

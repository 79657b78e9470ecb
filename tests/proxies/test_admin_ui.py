"""The configuration of nginx in docs/admin-ui.md: the page for the own network, and the server."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from socketio_core import ConnectError, SocketServer, instrument
from socketio_core.client import AsyncClient, ClientTls
from tests.docs.blocks import ROOT, blocks_of
from tests.interop.support import serving
from tests.proxies.proxies import run_proxy

DOCUMENT = ROOT / "docs" / "admin-ui.md"


def documented(page: Path, upstream: str, *, is_near: bool) -> str:
    """Return the documented configuration, which allows this machine only if `is_near`."""
    (text,) = [block.text for block in blocks_of(DOCUMENT) if block.language == "nginx"]
    changes = {"http://127.0.0.1:3000": upstream, "/var/www/admin-ui/": f"{page}/"}
    if not is_near:
        changes["allow 127.0.0.1;"] = ""
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


async def log_in(url: str, password: str) -> None:
    client = AsyncClient(
        f"{url}/admin",
        auth={"username": "admin", "password": password},
        tls=ClientTls(verify=False),
        reconnection=False,
    )
    try:
        await client.connect()
    finally:
        await client.close()


@pytest.mark.parametrize("is_near", [True, False])
async def test_nginx_serves_the_page_to_the_own_network_and_passes_logins(
    tmp_path: Path, is_near: bool
) -> None:
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("the page")
    io = SocketServer(trusted_proxies=["127.0.0.1"])
    instrument(io, auth=lambda username, password: password == "s3cret")
    with serving(io) as (upstream, _):
        text = documented(page, upstream, is_near=is_near)
        port = urlsplit(upstream).port or 0
        with run_proxy("nginx", tmp_path / "nginx", port, lambda _: text) as proxy:
            async with httpx.AsyncClient(verify=False) as client:
                response = await client.get(f"{proxy.url}/admin-ui/")
            if is_near:
                assert response.text == "the page"
                assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
            else:
                assert response.status_code == 403
            await log_in(proxy.url, "s3cret")
            with pytest.raises(ConnectError, match="invalid credentials"):
                await log_in(proxy.url, "wrong")

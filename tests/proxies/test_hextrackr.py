"""HexTrackr's deployment in docs/express-shim.md: nginx, an application with the shim, the hub."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.support import SESSION_SECRET, SessionStore
from tests.docs.blocks import ROOT
from tests.interop import program
from tests.interop.support import CaseResults, find_node
from tests.proxies.proxies import CERTIFICATE, documented, run_proxy

HERE = Path(__file__).parent
DOCUMENT = ROOT / "docs" / "express-shim.md"
PRODUCER_SECRET = "fedcba9876543210" * 2
LIMIT = 300.0

pytestmark = pytest.mark.interop


@contextmanager
def run_application(hub_url: str) -> Iterator[int]:
    """Run the application and yield its port."""
    process = subprocess.Popen(
        [find_node(), str(HERE / "express.js")],
        env=os.environ
        | {"HEXTRACKR_REALTIME_URL": hub_url, "HEXTRACKR_INGEST_TOKEN": PRODUCER_SECRET},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            assert process.wait(LIMIT) == 0


def test_page_follows_an_import_and_a_logout_of_express_behind_nginx(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "sessions.db")
    cookie = store.log_in("7")["cookie"]
    hub = program.run_server(
        tmp_path,
        TRUSTED_PROXIES="127.0.0.1",
        SESSION_SECRET=SESSION_SECRET.decode(),
        HEXTRACKR_SESSIONS_DATABASE=str(store.path),
        HEXTRACKR_INGEST_TOKENS=f"express:progress+notify+broadcast+admin:{PRODUCER_SECRET}",
    )
    with hub as server, run_application(server.url) as port:
        hub_port = int(server.url.rpartition(":")[2])

        def add_express(configuration: str) -> str:
            # All paths but the location of the document belong to the application.
            before = configuration[: configuration.index("location / {")]
            location = documented("nginx", hub_port, DOCUMENT)
            return f"{before}{location}location / {{ proxy_pass http://127.0.0.1:{port}; }}\n}}\n"

        with run_proxy("nginx", tmp_path / "nginx", hub_port, add_express) as proxy:
            ended = subprocess.run(
                [find_node(), str(HERE / "hextrackr.js"), proxy.url, cookie, "sid-7"],
                env=os.environ | {"NODE_EXTRA_CA_CERTS": str(CERTIFICATE)},
                capture_output=True,
                text=True,
                timeout=LIMIT,
                check=False,
            )
        _, log = server.stop()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    results = CaseResults([json.loads(line) for line in ended.stdout.splitlines()])
    sid = results.data("import and logout")
    (line,) = [line for line in log.splitlines() if " connected " in line and sid in line]
    assert re.search(r"\baddress=127\.0\.0\.2\b", line), line

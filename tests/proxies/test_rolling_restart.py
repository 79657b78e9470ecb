"""One of two servers drains behind the proxies of docs/shutdown.md, with official clients."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT
from tests.interop.test_drain import APPLICATION, LIMIT, check_events
from tests.interop.worker_processes import clients, serve
from tests.proxies.plain_proxies import run_proxy

CLIENTS = 60

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]


@pytest.mark.parametrize("name", ["haproxy", "nginx"])
def test_clients_move_to_the_other_server_without_a_lost_ack(name: str, tmp_path: Path) -> None:
    log = tmp_path / "handled"
    variables = {"application": APPLICATION, "DRAIN_LOG": str(log)}
    folders = [tmp_path / each for each in ("one", "two")]
    with ExitStack() as stack:
        for folder in folders:
            folder.mkdir()
        two = stack.enter_context(serve(folders[1], 1, "--drain", "1", **variables))
        with serve(folders[0], 1, "--drain", "5", **variables) as one:
            addresses = {"10.0.0.5:8080": one.url, "10.0.0.6:8080": two.url}
            document = ROOT / "docs" / "shutdown.md"
            url = stack.enter_context(
                run_proxy(name, tmp_path / name, addresses, document=document)
            )
            only = ("websocket",) if name == "nginx" else ()
            node = stack.enter_context(
                clients(url, CLIENTS, "p", *only, script="drain_clients.js", limit=LIMIT)
            )
            assert "opened over" in one.log
            one.signal(signal.SIGTERM)
            assert one.wait() == 0
        node.call("served")
        results = [node.call("stop")]
        stack.pop_all().close()
    check_events(log, results, CLIENTS)
    moved = one.log.count("opened over")
    assert 0 < moved < CLIENTS
    # Each client of the first server was disconnected once.
    assert results[0]["disconnects"] == moved

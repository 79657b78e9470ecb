"""Workers behind the proxies of docs/scaling.md, which reuse connections for several clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.worker_processes import clients, serve
from tests.proxies.plain_proxies import NAMES, run_proxy

CLIENTS = 60


@pytest.mark.parametrize("name", NAMES)
def test_clients_of_all_workers_share_the_connections_of_a_proxy(tmp_path: Path, name: str) -> None:
    with (
        serve(tmp_path, 4) as server,
        run_proxy(name, tmp_path / name, {"127.0.0.1:3000": server.url}) as url,
        clients(url, CLIENTS) as node,
    ):
        assert set(node.processes()) == server.workers()
        text = "x" * 50_000
        for _ in range(3):
            assert set(node.call("emit", "echo", text)) == {text}
        for value in range(10):
            assert node.call("emitOne", value * 5, "broadcast", value)
        # Events of different workers have no common order.
        assert [sorted(each) for each in node.call("received", 10)] == [list(range(10))] * CLIENTS
        assert node.call("refusals") == []

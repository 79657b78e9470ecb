"""Official clients of a server that drains: no acked event is lost, and none is handled twice."""

from __future__ import annotations

import re
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.ports import reserve_port

from .worker_processes import Clients, clients, serve

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1800)]

#: Seconds for one command of hundreds of clients, on a machine that runs other programs.
LIMIT = 800.0
APPLICATION = "drain_app:io"
#: After each of them, the client connects again; the second is that of a POST that was under way.
REASONS = {"transport close", "transport error"}


def open_clients(stack: ExitStack, url: str, count: int, processes: int) -> list[Clients]:
    return [
        stack.enter_context(
            clients(url, count // processes, f"p{each}", script="drain_clients.js", limit=LIMIT)
        )
        for each in range(processes)
    ]


def check_events(log: Path, results: list[dict[str, Any]], count: int) -> None:
    """Compare the events that handlers have handled with the results at the clients."""
    handled = Counter(log.read_text().split())
    acked = [event for result in results for event in result["acked"]]
    failed = [event for result in results for event in result["failed"]]
    assert len(acked) >= 2 * count
    assert len(acked) + len(failed) == sum(result["sent"] for result in results)
    assert set(acked) <= set(handled), "an acked event was not handled"
    assert {event for event, times in handled.items() if times > 1} == set()
    assert not set(failed) & set(handled), "a handled event was not acked"
    assert {reason for result in results for reason in result["reasons"]} <= REASONS


def test_1000_clients_lose_no_acked_event_when_their_server_is_replaced(tmp_path: Path) -> None:
    log = tmp_path / "handled"
    variables = {"application": APPLICATION, "DRAIN_LOG": str(log)}
    port = str(reserve_port())
    with ExitStack() as stack:
        with serve(tmp_path, 1, "--drain", "8", "--port", port, **variables) as server:
            node = open_clients(stack, server.url, 1000, 2)
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
            former_log = server.log
        found = re.search(r"disconnected (\d+) clients in .* seconds; (\d+) have", former_log)
        assert found is not None, former_log
        assert int(found[1]) + int(found[2]) == 1000
        (tmp_path / "again").mkdir()
        with serve(tmp_path / "again", 1, "--port", port, **variables):
            for each in node:
                each.call("returned")
            results = [each.call("stop") for each in node]
    check_events(log, results, 1000)
    assert sum(result["disconnects"] for result in results) == 1000


def test_clients_of_replaced_workers_lose_no_acked_event(tmp_path: Path) -> None:
    log = tmp_path / "handled"
    variables = {"application": APPLICATION, "DRAIN_LOG": str(log)}
    with (
        ExitStack() as stack,
        serve(tmp_path, 2, "--drain", "3", **variables) as server,
    ):
        (node,) = open_clients(stack, server.url, 150, 1)
        server.signal(signal.SIGHUP)
        server.wait_for_log("all workers are replaced")
        node.call("returned")
        results = [node.call("stop")]
        stack.close()  # the server has no client when it ends
    check_events(log, results, 150)

"""Processes that are killed while a server drains: effects on clients and other processes."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.helpers.ports import reserve_port
from tests.helpers.waiting import PATIENT

from . import program
from .test_drain import APPLICATION, LIMIT
from .test_exit_codes import SERVERS, Running, running
from .worker_processes import alive, clients, serve

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "the condition is still false"
        time.sleep(0.02)  # no event reports the state of another process


def test_server_is_killed_while_it_drains(tmp_path: Path) -> None:
    log = tmp_path / "handled"
    variables = {"application": APPLICATION, "DRAIN_LOG": str(log)}
    port = str(reserve_port())
    with ExitStack() as stack:
        with serve(tmp_path, 1, "--drain", "600", "--port", port, code=-9, **variables) as server:
            node = stack.enter_context(
                clients(server.url, 60, "p", script="drain_clients.js", limit=LIMIT)
            )
            server.signal(signal.SIGTERM)
            server.wait_for_log("draining: new sessions are refused")
            server.signal(signal.SIGKILL)
            server.wait()
        (tmp_path / "again").mkdir()
        with serve(tmp_path / "again", 1, "--port", port, **variables):
            node.call("returned")
            result = node.call("stop")
    handled = Counter(log.read_text().split())
    assert set(result["acked"]) <= set(handled)
    assert len(result["acked"]) + len(result["failed"]) == result["sent"]
    # Only `retries` may repeat an event whose ack was lost: the clients with odd numbers.
    repeated = {event for event, times in handled.items() if times > 1}
    assert all(int(event.split("-")[1]) % 2 for event in repeated)


def test_worker_is_killed_while_it_drains_for_its_replacement(tmp_path: Path) -> None:
    log = tmp_path / "handled"
    variables = {"application": APPLICATION, "DRAIN_LOG": str(log)}
    with ExitStack() as stack, serve(tmp_path, 2, "--drain", "600", **variables) as server:
        former = server.workers()
        node = stack.enter_context(
            clients(server.url, 30, "p", script="drain_clients.js", limit=LIMIT)
        )
        server.signal(signal.SIGHUP)
        for number in (0, 1):  # the order in which the supervisor replaces them
            server.wait_for_log("draining: new sessions are refused", number + 1)
            found = re.search(rf"worker {number} is ready \(process (\d+)\)", server.log)
            assert found is not None
            os.kill(int(found[1]), signal.SIGKILL)
        server.wait_for_log("all workers are replaced")
        assert not former & server.workers()
        node.call("returned")
        result = node.call("stop")
        stack.close()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert set(result["acked"]) <= set(log.read_text().split())
    assert len(result["acked"]) + len(result["failed"]) == result["sent"]


@pytest.mark.parametrize("kind", ["command with workers", "hub with workers"])
def test_processes_end_when_their_supervisor_is_killed_while_they_drain(
    kind: str, tmp_path: Path
) -> None:
    with running(SERVERS[kind], tmp_path) as server:
        pid = server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        workers = {int(each) for each in children.split()}
        address = server.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        with connect(address, **PATIENT) as websocket:
            websocket.recv(LIMIT)
            server.wait_until_opened(kind)
            server.process.send_signal(signal.SIGTERM)
            server.wait_until_draining()
            server.process.kill()
            assert server.end()[0] == -signal.SIGKILL
            until(lambda: not alive(workers))


@pytest.mark.parametrize("victim", ["application", "gateway 1"])
def test_hub_ends_in_order_when_a_process_is_killed_while_it_drains(
    victim: str, tmp_path: Path
) -> None:
    with running(SERVERS["hub with workers"], tmp_path) as server:
        log = (tmp_path / "log").read_text()
        pids = dict(re.findall(r"worker ([\w ]+) started as process (\d+)", log))
        address = server.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        with connect(address, **PATIENT) as websocket:
            websocket.recv(LIMIT)
            server.wait_until_opened("hub with workers")
            server.process.send_signal(signal.SIGTERM)
            server.wait_until_draining()
            os.kill(int(pids[victim]), signal.SIGKILL)
            if victim != "application":
                # The application still waits for the clients of the other gateway.
                os.kill(int(pids["application"]), signal.SIGKILL)
            code, errors = server.end()
    assert code == 0, errors
    assert not alive({int(pid) for pid in pids.values()})
    assert "Traceback" not in errors, errors
    # The database is not locked or damaged: the hub starts again.
    with running(SERVERS["hub"], tmp_path) as server:
        assert server.get("/ready")[0] == 200


def call(server: Running, path: str, token: str, body: bytes | None = None) -> dict[str, object]:
    """Return the JSON of a response; of the next one if a gateway ends during a request."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/csv"}
    while True:
        try:
            request = urllib.request.Request(server.url + path, body, headers)
            with urllib.request.urlopen(request, timeout=LIMIT) as response:
                answer: dict[str, object] = json.load(response)
                return answer
        except (ConnectionError, urllib.error.URLError):
            time.sleep(0.02)  # the next gateway accepts the connection


def children(pid: str) -> set[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for task in tasks for child in task.read_text().split()}


def test_import_completes_when_all_gateways_are_replaced_while_its_reading_process_is_stopped(
    tmp_path: Path,
) -> None:
    token = program.token(tmp_path, "7")
    rows = b"".join(b"h-%d,192.0.2.1,CVE-2030-1000,High\n" % each for each in range(60_000))
    with running(SERVERS["hub with workers"], tmp_path) as server:

        def started() -> dict[str, str]:
            log = (tmp_path / "log").read_text()
            return dict(re.findall(r"worker ([\w ]+) started as process (\d+)", log))

        def status() -> object:
            found = call(server, "/api/imports/1", token)["status"]
            assert isinstance(found, dict)
            return found["status"]

        former = started()
        call(server, "/api/imports", token, b"Host,IP Address,CVE,Severity\n" + rows)
        until(lambda: children(former["application"]) or status() == "completed")
        stopped = children(former["application"])
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        server.process.send_signal(signal.SIGHUP)
        until(
            lambda: all(
                pid != former.get(name) for name, pid in started().items() if name != "application"
            )
        )
        until(lambda: not alive({int(former["gateway 1"]), int(former["gateway 2"])}))
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        until(lambda: status() == "completed")
        assert started()["application"] == former["application"]
        server.process.send_signal(signal.SIGTERM)
        code, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors, errors

"""Several worker processes with official clients, without sticky sessions."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from .worker_processes import alive, clients, serve

pytestmark = pytest.mark.interop

CLIENTS = 200
#: The remainder of the index of the clients on WebSocket only (workers.js).
WEBSOCKET = 1
#: Milliseconds until all clients are back, on a busy machine. Clients that notice a lost connection
#: by its missing pings only, take longer: worker_app.py has a `ping_timeout` of 300 s.
BACK = 240_000


def test_200_clients_of_4_workers_need_no_sticky_sessions(tmp_path: Path) -> None:
    with serve(tmp_path, 4) as server, clients(server.url, CLIENTS) as node:
        processes = node.processes()
        assert set(processes) == server.workers()
        assert sum(processes.values()) == CLIENTS
        text = "x" * 100_000
        assert set(node.call("emit", "echo", text)) == {text}
        assert set(node.call("emit", "count")) == {CLIENTS}
        for value in range(20):
            assert node.call("emitOne", value * 10, "broadcast", value)
        # Events of different workers have no common order.
        assert [sorted(each) for each in node.call("received", 20)] == [list(range(20))] * CLIENTS
        assert node.call("refusals") == []


def test_clients_are_back_before_a_ping_timeout_when_a_worker_is_killed(tmp_path: Path) -> None:
    with serve(tmp_path, 4) as server, clients(server.url, CLIENTS) as node:
        processes = node.call("emit", "process")
        victim = processes[0]
        os.kill(victim, signal.SIGKILL)
        node.call("lost", [index for index, pid in enumerate(processes) if pid == victim])
        assert node.call("connected") < BACK
        assert victim not in node.processes()
        node.call("counted", CLIENTS)
        server.wait_for_log("is ready", 5)
        assert len(server.workers()) == 4


def test_clients_recover_and_miss_no_event_when_a_worker_is_killed(tmp_path: Path) -> None:
    with serve(tmp_path, 4, RECOVERY="1") as server, clients(server.url, CLIENTS) as node:
        processes = node.call("emit", "process")
        victim = processes[0]
        # On a WebSocket: a POST through the killed worker is lost with its event.
        sender = next(
            index for index, pid in enumerate(processes) if pid != victim and index % 3 == WEBSOCKET
        )
        states = node.call("emit", "state")
        assert states == [[["all"], pid] for pid in processes]
        for value in range(100):
            assert node.call("emitOne", sender, "broadcast", value)
            if value == 20:
                os.kill(victim, signal.SIGKILL)
            if value == 60:
                assert node.call("connected") < BACK
        assert node.call("received", 100) == [list(range(100))] * CLIENTS
        for pid, connects in zip(processes, node.call("connects"), strict=True):
            (first, *later) = connects
            assert not first[1]
            # A poll of another worker's client may have been on its way through the killed worker.
            assert later or pid != victim
            assert all(each == [first[0], True] for each in later)
        assert node.call("emit", "state") == states, "the rooms and data are restored"


def test_clients_recover_when_the_workers_are_replaced(tmp_path: Path) -> None:
    with serve(tmp_path, 3, RECOVERY="1") as server, clients(server.url, 60) as node:
        states = node.call("emit", "state")
        assert node.call("emitOne", 0, "broadcast", 0)
        server.signal(signal.SIGHUP)
        server.wait_for_log("all workers are replaced")
        node.call("lost", list(range(60)))
        assert set(node.processes()) <= server.workers()
        assert node.call("emitOne", 0, "broadcast", 1)
        assert node.call("received", 2) == [[0, 1]] * 60
        assert node.call("emit", "state") == states
        for first, *later in node.call("connects"):
            assert later
            assert all(each == [first[0], True] for each in later)


def test_hangup_replaces_the_workers_one_by_one(tmp_path: Path) -> None:
    with serve(tmp_path, 3) as server, clients(server.url, 60) as node:
        former = server.workers()
        server.signal(signal.SIGHUP)
        server.wait_for_log("all workers are replaced")
        assert not former & server.workers()
        node.call("lost", list(range(60)))
        node.call("counted", 60)
        assert set(node.processes()) <= server.workers()


def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="exit"), serve(tmp_path, 2) as server:  # noqa: PT012
        workers = server.workers()
        server.signal(signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL
        deadline = time.monotonic() + 300
        while alive(workers):
            assert time.monotonic() < deadline, "workers outlive their supervisor"
            time.sleep(0.02)  # no event reports the end of a grandchild
        raise AssertionError("exit")


def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    with serve(tmp_path, 2, "--drain", "600", code=143) as server, clients(server.url, 12):
        workers = server.workers()
        server.signal(signal.SIGTERM)
        server.wait_for_log("ending 2 workers")
        server.signal(signal.SIGTERM)
        assert server.wait() == 143
        assert not alive(workers)

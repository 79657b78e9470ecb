"""Reports to systemd over its datagram socket, without systemd."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from engineio_core.service_manager import ServiceManager


@pytest.fixture(params=["file", "abstract"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """Return the socket of a manager, with its address for the variable as `name`."""
    name = str(tmp_path / "notify") if request.param == "file" else f"\0test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(name)
        bound.setblocking(False)
        yield bound


def address_of(receiver: socket.socket) -> str:
    name = receiver.getsockname()
    return f"@{name[1:].decode()}" if isinstance(name, bytes) else str(name)


def lines(receiver: socket.socket) -> list[str]:
    return receiver.recv(4096).decode().split("\n")


def test_states_are_reported(receiver: socket.socket) -> None:
    manager = ServiceManager.of({"NOTIFY_SOCKET": address_of(receiver)})
    manager.ready("listening\non 1")
    assert lines(receiver) == ["READY=1", "STATUS=listening on 1"]
    manager.during(manager.stopping)()
    first, second = lines(receiver)
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")
    assert lines(receiver) == ["STOPPING=1", "STATUS=draining"]
    assert lines(receiver) == ["READY=1"]


async def test_watchdog_gets_reports_while_the_loop_runs(receiver: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": address_of(receiver), "WATCHDOG_USEC": "3000"}
    manager = ServiceManager.of(environment)
    loop = asyncio.get_running_loop()
    async with manager.watched():
        for _ in range(3):
            assert await loop.sock_recv(receiver, 4096) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "30000000"}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "self"}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "parent"}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1000000000"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
    ],
)
def test_watchdog_is_that_of_this_service(environment: dict[str, str], seconds: float) -> None:
    pids = {"self": str(os.getpid()), "parent": str(os.getppid())}
    named = {name: pids.get(value, value) for name, value in environment.items()}
    manager = ServiceManager.of({"NOTIFY_SOCKET": "/run/systemd/notify"} | named)
    assert manager.watchdog == seconds


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
async def test_nothing_is_sent_without_a_unix_socket(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    manager = ServiceManager.of({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1"})
    manager.ready()
    async with manager.watched():
        pass
    assert caplog.text == ""


def test_missing_manager_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manager = ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    manager.ready()
    manager.stopping()
    assert caplog.text.count("the service manager does not receive reports") == 1

"""Tests of raising the limit of open files, and of the warning about a short accept queue."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from hextrackr_server.cli import system_limits
from hextrackr_server.cli.system_limits import OTHER_FILES, allow, check_accept_queue

FEW = 512


@pytest.fixture(autouse=True)
def few() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def soft_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_sufficient_limit_is_not_changed(caplog: pytest.LogCaptureFixture) -> None:
    assert allow(FEW - OTHER_FILES)
    assert soft_limit() == FEW
    assert caplog.text == ""


def test_too_low_limit_is_raised() -> None:
    assert allow(FEW)
    assert soft_limit() == FEW + OTHER_FILES


def test_warning_is_logged_when_the_limit_cannot_be_raised(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (FEW, FEW))
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert not allow(10_000)
    assert asked == [(FEW, FEW)]
    assert "the limit of 512 open files is too low for 10000 connections" in caplog.text
    monkeypatch.undo()


@pytest.mark.parametrize(("limit", "connections", "is_enough"), [
    ("128\n", 10_000, False),
    ("4095\n", 10_000, False),
    ("4096\n", 10_000, True),
    ("65535\n", 1_000_000, True),
    ("128\n", 100, True),
    ("unlimited\n", 10_000, True),
    (None, 10_000, True),
])  # fmt: skip
def test_accept_queue_is_compared_with_the_number_of_connections(
    limit: str | None, connections: int, is_enough: bool,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    file = tmp_path / "somaxconn"
    if limit is not None:
        file.write_text(limit)
    monkeypatch.setattr(system_limits, "QUEUE_LIMIT", file)
    assert check_accept_queue(connections) is is_enough
    warning = f"the system queues at most {(limit or '').strip()} new connections"
    assert (warning in caplog.text) is not is_enough

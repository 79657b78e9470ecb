"""Tests of raising the limit of open files."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from hextrackr_server.cli.open_files import OTHER_FILES, allow

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

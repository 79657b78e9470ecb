"""Tests of the process that parses a KEV catalog."""

from __future__ import annotations

import signal
import subprocess
from typing import Any

import pytest

from hextrackr_server.kev import parsing_process
from hextrackr_server.kev.catalog import Catalog, KevError, parse_catalog
from hextrackr_server.kev.parsing_process import ParsingFailedError, parse_in_process
from tests.hextrackr_server.kev_support import feed, item, many

CSV = b"cveID,dateAdded,dueDate,product\nCVE-2024-1000,2025-01-02,2025-01-23,\xff\n" + (
    b"CVE-2024-1001,2025-01-02,2025-01-23,x\n" * 2
)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Return the list of the processes that the test starts."""
    processes: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def noting(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        processes.append(start(*args, **options))
        return processes[-1]

    monkeypatch.setattr(subprocess, "Popen", noting)
    return processes


@pytest.mark.parametrize(
    "body",
    [
        feed(item()),
        feed(
            *many(250),
            *(item(f"CVE-2024-{number}", dueDate="soon") for number in range(5000, 5200)),
            item("CVE-2024-1000", product="Switch"),
            item("no CVE"),
        ),
        CSV,
    ],
    ids=["one entry", "several messages", "CSV"],
)
def test_process_returns_the_same_catalog_as_the_parser(body: bytes) -> None:
    catalog = parse_catalog(body)
    assert parse_in_process(body) == catalog
    assert list(parse_in_process(body).entries) == list(catalog.entries)


@pytest.mark.parametrize("body", [b"", b"[]", feed(), b"x" * 300_000], ids=len)
def test_refused_catalog_raises_the_error_of_the_parser(body: bytes) -> None:
    with pytest.raises(KevError) as expected:
        parse_catalog(body)
    with pytest.raises(KevError) as refusal:
        parse_in_process(body)
    assert str(refusal.value) == str(expected.value)


def test_process_is_killed_when_the_service_stops(
    started: list[subprocess.Popen[bytes]],
) -> None:
    with pytest.raises(KevError, match="the server is stopping"):
        parse_in_process(feed(item()), lambda: True)
    assert started[0].returncode == -signal.SIGKILL


def test_process_is_killed_when_parsing_takes_too_long(
    started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing_process, "PARSE_SECONDS", -1.0)
    with pytest.raises(KevError, match="was not parsed within"):
        parse_in_process(feed(item()))
    assert started[0].returncode == -signal.SIGKILL


def test_process_that_is_killed_fails_the_synchronization_with_its_signal(
    started: list[subprocess.Popen[bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    def kill() -> bool:
        started[0].kill()
        return False

    with pytest.raises(KevError, match=r"ended unexpectedly \(killed by SIGKILL\)"):
        # More than a pipe holds: the process reads none of it.
        parse_in_process(feed(*many(10_000)), kill)
    assert "ended before its result" in caplog.text


def test_incomplete_output_is_not_a_catalog(caplog: pytest.LogCaptureFixture) -> None:
    lines = [parsing_process._encode(each) for each in parsing_process._messages(feed(*many(300)))]
    output = b"\n".join(lines)
    assert len(parsing_process._catalog_of(output, 0).entries) == 300
    for end in (len(lines[0]) + 1, len(output) - len(lines[-1]), len(output) - 1):
        with pytest.raises(KevError, match=r"ended unexpectedly \(exit status 1\)"):
            parsing_process._catalog_of(output[:end], 1)


def test_unexpected_error_contains_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: bytes) -> Catalog:
        raise MemoryError("too much")

    monkeypatch.setattr(parsing_process, "parse_catalog", fail)
    (message,) = parsing_process._messages(b"")
    with pytest.raises(ParsingFailedError, match="MemoryError: too much"):
        parsing_process._catalog_of(parsing_process._encode(message), 0)

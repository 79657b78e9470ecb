"""Tests of the process that reads the file of an import."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.errors import ErrorCode, ImportInterruptedError, ServiceError, invalid
from hextrackr_server.imports import reading, reading_process, reading_worker
from hextrackr_server.imports.formats.csv_table import FileRefusedError
from hextrackr_server.imports.reading import ReadOutcome, ReadRequest, read_export
from hextrackr_server.imports.reading_messages import Crashed, Rejected, SystemFailed, encode
from hextrackr_server.imports.reading_process import ReadingFailedError, read_in_process
from tests.hextrackr_server.support import csv_text, finding_row

HEADER = ("hostname", "cve", "VPR", "definition.description")
ROWS = [
    ["web-1", "CVE-2030-1001, CVE-2030-1002", "7.5", "one\ntwo"],
    ["web-1", "CVE-2030-1001", "high", "one\ntwo"],
    ["", "CVE-2030-1003", "", ""],
    ["web-2", "", "", "no vulnerability"],
]


class Workers:
    """The processes that a test starts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self.options: dict[str, Any] = {}
        start = subprocess.Popen

        def noting(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
            process = start(*args, **options)
            self.started.append(process)
            self.options = options
            return process

        monkeypatch.setattr(reading_process.subprocess, "Popen", noting)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    return Workers(monkeypatch)


def request_for(folder: Path, content: str, name: str = "file", **values: Any) -> ReadRequest:
    path = folder / f"{name}.csv"
    path.write_text(content)
    defaults: dict[str, Any] = {
        "path": str(path),
        "stage": str(folder / f"{name}.staged"),
        "scan_date": "2030-05-01",
        "is_dated": False,
        "vendor": "",
        "mapping": "",
        "allow_partial": False,
        "maximum": 1 << 26,
    }
    return ReadRequest(**(defaults | values))


def ignore(*_: Any) -> None:
    pass


def staged(request: ReadRequest) -> list[list[Any]]:
    tables = ("staged", "staged_hosts", "staged_identities", "staged_groups", "staged_assets",
              "staged_definitions", "staged_mentions")  # fmt: skip
    with closing(sqlite3.connect(request.stage)) as connection:
        # The mentions of a row are a set, whose order differs from process to process.
        return [sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in tables]


def test_process_returns_and_stages_the_same_as_the_reader(tmp_path: Path) -> None:
    content = csv_text(ROWS, HEADER)
    here, there = (request_for(tmp_path, content, name) for name in ("here", "there"))
    expected = read_export(here, ignore, ignore)
    assert read_in_process(there, ignore, ignore) == expected
    assert expected.errors == 2
    assert (expected.findings, expected.distinct) == (3, 2)
    assert expected.warnings
    assert staged(there) == staged(here)
    assert len(staged(here)[0]) == 2


def test_format_and_positions_are_reported_while_the_file_is_read(tmp_path: Path) -> None:
    rows = [finding_row(host=f"h-{number}") for number in range(30_000)]
    request = request_for(tmp_path, csv_text(rows))
    opened: list[str] = []
    positions: list[tuple[int, int]] = []
    read_in_process(request, opened.append, lambda *at: positions.append(at))
    assert len(opened) == 1
    assert positions == sorted(positions)
    assert len(positions) > 3
    assert positions[-1][0] == Path(request.path).stat().st_size
    assert positions[-1][1] > 29_000


def test_mapping_of_the_user_is_used(tmp_path: Path) -> None:
    mapping = 'id = "ours"\n[columns]\nhost = ["Machine"]\nplugin_id = ["Check"]\n'
    request = request_for(tmp_path, "Machine,Check\nh,7\n", mapping=mapping)
    assert read_in_process(request, ignore, ignore).profile == "ours"


def test_refused_file_raises_the_error_of_the_reader(tmp_path: Path) -> None:
    content = "Location,Devices\n1,2\n"
    errors = []
    for read in (read_export, read_in_process):
        with pytest.raises(FileRefusedError) as refusal:
            read(request_for(tmp_path, content), ignore, ignore)
        errors.append((str(refusal.value), refusal.value.lacking))
    assert errors[0] == errors[1]
    assert len(errors[0][1]) == 2


def test_file_that_grows_too_large_raises_the_error_of_the_reader(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="row 2 exceeds") as refusal:
        read_in_process(request_for(tmp_path, csv_text(ROWS, HEADER), maximum=1), ignore, ignore)
    assert refusal.value.code is ErrorCode.VALIDATION_ERROR
    assert refusal.value.fields is not None
    assert refusal.value.fields[0]["path"] == "cve"


def test_process_is_killed_when_the_import_stops(tmp_path: Path, workers: Workers) -> None:
    # Opening a named pipe waits for a writer, which never comes.
    os.mkfifo(tmp_path / "file.csv")
    checks = iter(range(3))

    def check() -> None:
        if next(checks, None) is None:
            raise ImportInterruptedError

    request = request_for(tmp_path, "", "other", path=str(tmp_path / "file.csv"))
    with pytest.raises(ImportInterruptedError):
        read_in_process(request, ignore, ignore, check)
    (process,) = workers.started
    assert process.returncode == -signal.SIGKILL


def test_process_that_is_killed_fails_the_import_with_its_signal(
    tmp_path: Path, workers: Workers
) -> None:
    os.mkfifo(tmp_path / "file.csv")
    request = request_for(tmp_path, "", "other", path=str(tmp_path / "file.csv"))

    def kill() -> None:
        os.kill(workers.started[0].pid, signal.SIGKILL)

    with pytest.raises(ServiceError, match="killed by SIGKILL") as failure:
        read_in_process(request, ignore, ignore, kill)
    assert failure.value.code is ErrorCode.IMPORT_FAILED


def test_process_ends_when_the_server_is_gone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file.csv")
    request = request_for(tmp_path, "", "other", path=str(tmp_path / "file.csv"))
    process = subprocess.Popen(
        [sys.executable, "-m", reading_process.WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(encode(request) + b"\n")
    process.stdin.close()
    assert process.wait(300) == 1


def test_process_has_no_secrets_of_the_server(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JWT_SECRET", "DATABASE_URL", "SESSION_SECRET"):
        monkeypatch.setenv(name, "secret value")
    read_in_process(request_for(tmp_path, csv_text(ROWS, HEADER)), ignore, ignore)
    assert "secret value" not in workers.options["env"].values()


def test_unexpected_error_contains_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ReadingFailedError, match="mapping: not a TOML file"):
        read_in_process(request_for(tmp_path, "a\n1\n", mapping="["), ignore, ignore)


def test_missing_file_raises_an_os_error(tmp_path: Path) -> None:
    request = request_for(tmp_path, "", path=str(tmp_path / "missing.csv"))
    with pytest.raises(OSError, match=r"missing\.csv") as failure:
        read_in_process(request, ignore, ignore)
    assert failure.value.errno == errno.ENOENT


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), SystemFailed),
        (invalid("Invalid file"), Rejected),
        (ValueError("x"), Crashed),
    ],
)
def test_errors_of_the_reader_are_sent_by_their_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: type
) -> None:
    def fail(*_: Any) -> ReadOutcome:
        raise error

    monkeypatch.setattr(reading_worker, "read_export", fail)
    answer = reading_worker._answer(request_for(tmp_path, ""), ignore, ignore)
    assert type(answer) is message
    restored = reading_process._error_of(answer)
    if isinstance(error, OSError):
        assert isinstance(restored, OSError)
        assert restored.errno == errno.ENOSPC


def test_process_that_is_not_killed_ends_by_itself_after_its_last_message(tmp_path: Path) -> None:
    request = request_for(tmp_path, csv_text(ROWS, HEADER))
    with subprocess.Popen(
        [sys.executable, "-m", reading_process.WORKER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(encode(request) + b"\n")
        process.stdin.flush()
        assert process.stdout.read()
        assert process.wait() == 0
        assert process.stderr.read() == b""


def test_invalid_message_fails_the_import() -> None:
    reader, writer = os.pipe()
    os.write(writer, b'{"type": "Done", "outcome": {}}\n')
    os.close(writer)
    with os.fdopen(reader), pytest.raises(ReadingFailedError, match="invalid message"):
        list(reading_process._messages(reader, ignore))


def test_hopeless_file_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "HOPELESS_ROWS", 10_000)
    rows = [finding_row(), *([["", "", "", "x", "?"]] * 200_000)]
    request, positions = request_for(tmp_path, csv_text(rows)), list[int]()
    with pytest.raises(ServiceError) as refusal:
        read_export(request, lambda _: None, lambda at, _: positions.append(at))
    assert refusal.value.code is ErrorCode.VALIDATION_ERROR
    message = refusal.value.message
    assert "rows of the file are rejected, so it was not read to its end" in message
    assert "The first rejected row is row 3 " in message
    assert "mapping" in message
    assert refusal.value.fields is not None
    assert len(refusal.value.fields) == reading.NAMED_ROWS
    assert max(positions) < Path(request.path).stat().st_size / 2


@pytest.mark.parametrize("where", ["first", "last", "mixed"])
def test_file_with_many_rejected_rows_is_read_when_two_percent_are_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(reading, "HOPELESS_ROWS", 10_000)
    good = [finding_row(host=f"h-{number}") for number in range(600)]
    bad = [["", "", "", "x", "?"]] * 20_000
    rows = {"first": good + bad, "last": bad[:9000] + good, "mixed": []}[where]
    if where == "mixed":
        for number, row in enumerate(good):
            rows += [row, *bad[number * 33 : (number + 1) * 33]]
    outcome = read_export(request_for(tmp_path, csv_text(rows)), lambda _: None, lambda *_: None)
    assert outcome.findings == 600
    assert outcome.errors == len(rows) - 600


def test_row_without_a_finding_by_design_does_not_count_as_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "HOPELESS_ROWS", 100)
    rows = [finding_row(), *([["", "", "", "", ""]] * 5000)]
    outcome = read_export(request_for(tmp_path, csv_text(rows)), lambda _: None, lambda *_: None)
    assert outcome.findings == 1
    assert outcome.errors == 0

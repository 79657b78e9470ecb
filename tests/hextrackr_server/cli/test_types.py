"""The command `types`; tests/interop compiles what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hextrackr_server.__main__ import main
from hextrackr_server.rooms import NAMESPACES
from hextrackr_server.sockets.payloads import declared
from socketio_core import SocketServer


def test_types_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["types"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("/** Types of the events of the HexTrackr hub")
    assert "export interface ClientToServerEvents {" in text
    assert '"import-progress": (progress: ImportProgress) => void;' in text


def test_check_compares_a_file_with_the_types(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.ts"
    assert main(["types", "--check", str(file)]) == 1
    assert (
        f"run `hextrackr-server types --format typescript --output {file}`"
        in capsys.readouterr().err
    )
    assert main(["types", "--output", str(file)]) == 0
    assert main(["types", "--check", str(file)]) == 0
    file.write_text(file.read_text() + "// changed\n")
    assert main(["types", "--check", str(file)]) == 1


def test_output_that_cannot_be_written_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["types", "--output", str(tmp_path)]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_asyncapi_document_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["types", "--format", "asyncapi"]) == 0
    assert json.loads(capsys.readouterr().out)["info"]["title"] == "HexTrackr hub"


def test_shared_events_are_declared_in_every_namespace() -> None:
    io = SocketServer()
    declared.declare(io, NAMESPACES)
    for name in NAMESPACES:
        assert "application-error" in io.of(name)._registry().declared
    assert "pong" not in io.of("/users")._registry().declared

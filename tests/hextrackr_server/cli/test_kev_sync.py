"""Tests of the `kev-sync` command."""

from __future__ import annotations

from pathlib import Path

import pytest

from hextrackr_server.__main__ import main
from hextrackr_server.storage.database import Database
from tests.hextrackr_server.kev_support import feed, many, running_source


def test_kev_sync_stores_a_file_and_prints_its_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kev.json"
    file.write_bytes(feed(*many(3)))
    arguments = ["kev-sync", "--file", str(file), "--database", str(tmp_path / "x.db")]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert "Catalog 2025.09.30 is stored: 3 known exploited vulnerabilities" in output
    assert "  new                3" in output
    file.write_bytes(feed(*many(1)))
    assert main(arguments) == 1
    assert "lost 2 of 3 entries: synchronize with force" in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 0


def test_kev_sync_fetches_from_the_configured_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_source() as source:
        source.answer(feed(*many(2)), etag='"v1"')
        source.answer(status=304)
        monkeypatch.setenv("HEXTRACKR_KEV_URL", source.url)
        monkeypatch.setenv("HEXTRACKR_KEV_HOSTS", "127.0.0.1")
        arguments = ["kev-sync", "--database", str(tmp_path / "x.db")]
        assert main(arguments) == 0
        assert main(arguments) == 0
    assert "has not changed: 2 known" in capsys.readouterr().out


def test_kev_sync_refuses_a_database_in_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = Database(tmp_path / "x.db")
    assert main(["kev-sync", "--file", "x", "--database", str(tmp_path / "x.db")]) == 1
    assert "in use by another server" in capsys.readouterr().err
    database.close()


def test_kev_sync_reports_a_missing_file_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "none.json")
    assert main(["kev-sync", "--file", missing, "--database", str(tmp_path / "x.db")]) == 1
    assert main(["kev-sync", "--file", missing, "--url", "http://127.0.0.1:9", "--token", "t"]) == 1
    assert main(["kev-sync", "--url", "http://127.0.0.1:9"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert ["cannot be read" in line for line in lines] == [True, True, False]
    assert "a token is required" in lines[2]

"""Tests of the generated sample export."""

from __future__ import annotations

from pathlib import Path

import pytest

from hextrackr_server.__main__ import main
from hextrackr_server.cli.sample import BAD_ROW_EVERY, HEADER, sample_rows, write_sample
from tests.hextrackr_server.support import Workbench


def test_sample_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_sample(tmp_path / name, 300, seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_sample_repeats_hosts_and_contains_several_cves_per_cell() -> None:
    rows = list(sample_rows(500, 3))
    assert len(rows) == 500
    hosts = {row[HEADER.index("asset.name")] for row in rows}
    assert 5 < len(hosts) < 50
    assert any(row[HEADER.index("definition.cve")].count("CVE-") == 4 for row in rows)


def test_sample_is_imported_except_its_invalid_rows(workbench: Workbench) -> None:
    path = workbench.directory / "sample.csv"
    write_sample(path, 1000, 1)
    result = workbench.run(path.read_bytes())
    broken = 1000 // BAD_ROW_EVERY
    rejected = {each["row"] for each in result["errorDetails"]}
    ignored = [each for each in result["warningDetails"] if each["row"] not in rejected]
    assert len(rejected) + len(ignored) == broken
    assert result["errors"] == broken // 2
    assert result["summary"]["vendors"] == ["CISCO", "Other", "Palo Alto"]
    assert result["summary"]["inserted"] == len(workbench.findings()) > 1000


def test_sample_without_rows_has_a_header(tmp_path: Path) -> None:
    write_sample(tmp_path / "x.csv", 0, 1)
    assert (tmp_path / "x.csv").read_text().strip() == ",".join(HEADER)


def test_sample_keeps_an_existing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "scan.csv"
    path.write_text("precious")
    assert main(["sample", str(path), "--rows", "1"]) == 1
    assert "exists: choose another file, or replace it with --force" in capsys.readouterr().err
    assert path.read_text() == "precious"
    assert main(["sample", str(path), "--rows", "1", "--force"]) == 0
    assert path.read_text().startswith("asset.id,")

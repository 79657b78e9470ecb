"""Tests for docs/guide-coverage.md and its generator."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script() -> ModuleType:
    path = ROOT / "scripts" / "guide_coverage.py"
    spec = importlib.util.spec_from_file_location("guide_coverage", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_requirements_contain_every_row_once_in_order(script: ModuleType) -> None:
    rows = [row.number for row in script.read_requirements()]
    assert rows == list(range(1, script.LAST_ROW + 1))


def test_requirements_are_sentences(script: ModuleType) -> None:
    for row in script.read_requirements():
        assert row.requirement[0].isupper(), row
        assert row.requirement.endswith("."), row
        assert row.server.endswith("."), row


def test_every_row_has_a_test(script: ModuleType) -> None:
    missing = [line for line in script.render().splitlines() if line.endswith("| missing |")]
    assert not missing


def test_every_contract_test_names_a_row_of_the_guide(script: ModuleType) -> None:
    assert set(script.find_tests()) <= {row.number for row in script.read_requirements()}


def test_document_is_current(script: ModuleType) -> None:
    assert script.main(["--check"]) == 0, "run scripts/guide_coverage.py"


def test_check_reports_a_document_that_is_out_of_date(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "DOCUMENT", tmp_path / "guide-coverage.md")
    assert script.main(["--check"]) == 1
    assert script.main([]) == 0
    assert script.main(["--check"]) == 0


def test_test_name_can_contain_several_rows(script: ModuleType) -> None:
    assert script.rows_of("test_s042_s045_bad_token_is_refused") == [42, 45]
    assert script.rows_of("test_several_rows") == []

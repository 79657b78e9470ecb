"""The document that says what of the guide works says what is so."""

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


def test_no_row_of_the_guide_is_without_a_test_or_a_reason(script: ModuleType) -> None:
    missing = [line for line in script.render().splitlines() if "| missing |" in line]
    assert not missing


def test_the_document_is_current(script: ModuleType) -> None:
    assert script.main(["--check"]) == 0, "run scripts/guide_coverage.py"


def test_a_test_may_stand_for_several_rows(script: ModuleType) -> None:
    assert script.rows_of("test_s042_s045_a_strict_server") == [42, 45]
    assert script.rows_of("test_several_things") == []

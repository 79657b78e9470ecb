"""Tests for docs/guide-coverage.md and its generator."""

from __future__ import annotations

from scripts import guide_coverage as script


def test_requirements_contain_every_row_once_in_order() -> None:
    rows = [row.number for row in script.read_requirements()]
    assert rows == list(range(1, script.LAST_ROW + 1))


def test_requirements_are_sentences() -> None:
    for row in script.read_requirements():
        assert row.requirement[0].isupper(), row
        assert row.requirement.endswith("."), row
        assert row.server.endswith("."), row


def test_every_row_has_a_test() -> None:
    missing = [line for line in script.render().splitlines() if line.endswith("| missing |")]
    assert not missing


def test_every_contract_test_names_a_row_of_the_guide() -> None:
    assert set(script.find_tests()) <= {row.number for row in script.read_requirements()}


def test_document_is_current() -> None:
    assert script.DOCUMENT.read_text("utf-8") == script.render(), "run scripts/guide_coverage.py"


def test_test_name_can_contain_several_rows() -> None:
    assert script.rows_of("test_s042_s045_bad_token_is_refused") == [42, 45]
    assert script.rows_of("test_several_rows") == []

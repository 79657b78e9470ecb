"""Tests for scripts/check_language.py: each rule finds its violation and accepts plain text."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_language.py"


@pytest.fixture(scope="module")
def check() -> Any:
    script = runpy.run_path(str(SCRIPT))

    def rules(source: str, name: str = "x.md") -> list[tuple[int, int]]:
        findings = script["check_source"](Path(name), source)
        return [(finding.line, finding.rule) for finding in findings]

    return rules


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (1, "The first record that is no packet.", "An invalid packet. There is no default."),
        (1, "The value is no longer. Its kind is none.", "The value is no longer in use."),
        (2, "It sends what waits.", "It sends the queued packets. See what each setting does."),
        (2, "It keeps what it may need.", "It keeps the state. See what it does."),
        (2, "Whoever calls this gets an error.", "Callers that pass None get an error."),
        (2, "Who listens is asked.", "Users who edit the ticket receive the event."),
        (3, "The option tells the size.", "The option sets the size."),
        (3, "The server knows the client.", "The server stores known clients."),
        (3, "The parser judges the text.", "The parser validates the text."),
        (4, "The lock guards all of it.", "The lock guards the whole table."),
        (5, "Somebody else edits it, he may stop.", "Another user edits it; they may stop."),
        (6, "It shall close in good order.", "It must close cleanly. A peer MUST NOT wait."),
        (6, "Stored beside the file.", "Stored next to the file."),
        (6, "It is not open, nor closed.", "It is neither open nor closed."),
        (6, "The layer beneath it.", "The layer below it."),
        (8, "Of a user, two at a time.", "Per user, two at a time. A list of a user's rooms."),
        (9, "The room is told.", "The server notifies the room."),
        (10, "# What there is", "# Features"),
        (10, "## How it is tested", "## How to test"),
    ],
)
def test_prose_rule_finds_only_the_violation(check: Any, rule: int, bad: str, good: str) -> None:
    assert rule in {found for _, found in check(bad)}
    assert check(good) == []


def test_message_rule_finds_the_old_form_of_an_error(check: Any) -> None:
    bad = 'raise ValueError(f"{name} is a number above 0, not {value}")\n'
    good = 'raise ValueError(f"{name} must be a positive number, got {value}")\n'
    assert check(bad, "x.py") == [(1, 7)]
    assert check(good, "x.py") == []


@pytest.mark.parametrize(
    "name",
    [
        "test_what_waits_is_sent",
        "test_s057_nobody_is_notified",
        "test_value_that_is_no_number",
        "test_when_it_closes_the_poll_ends",
    ],
)
def test_name_rule_finds_a_sentence_as_a_test_name(check: Any, name: str) -> None:
    assert check(f"def {name}(): pass\n", "x.py") == [(1, 11)]


@pytest.mark.parametrize(
    "name", ["test_no_cors_headers_by_default", "test_s057_ack_fails_when_the_socket_leaves"]
)
def test_name_rule_accepts_subject_and_outcome(check: Any, name: str) -> None:
    assert check(f"def {name}(): pass\n", "x.py") == []


def test_docstring_rule_finds_fewer_than_four_words(check: Any) -> None:
    assert check('def f():\n    """Close the session."""\n', "x.py") == [(2, 13)]
    assert check('def f():\n    """Close the session and its socket."""\n', "x.py") == []


def test_python_check_reads_comments_docstrings_and_messages(check: Any) -> None:
    source = '''"""Knows the sessions."""
value = "nobody"  # a note that nobody reads
log.info("told %s", value)
print(f"{value} shall wait")
'''
    assert check(source, "x.py") == [(1, 3), (2, 5), (3, 3), (4, 6)]


def test_pattern_matches_across_a_line_break(check: Any) -> None:
    assert check("The session is\nno longer open, the key is\nno number.") == [(2, 1)]


def test_code_and_quotations_are_skipped(check: Any) -> None:
    source = 'Call `nobody()` as in "the client shall close".\n\n```\nnobody\n```\n\n> he shall\n'
    assert check(source) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("x.js", 'const url = "http://nobody"; // nobody reads this\n'),
        ("x.toml", 'url = "a # nobody" # nobody reads this\n'),
        ("Makefile", "all: # nobody reads this\n"),
    ],
)
def test_comments_of_other_languages_are_read(check: Any, name: str, source: str) -> None:
    assert check(source, name) == [(1, 5)]


def test_marker_with_a_reason_exempts_a_line(check: Any) -> None:
    assert check("x = 1  # nobody, language: ok, the name of an option\n", "x.py") == []
    assert check("x = 1  # nobody, language: ok\n", "x.py") == [(1, 0)]


def test_command_exits_with_1_on_findings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(SCRIPT))["main"]
    document = tmp_path / "x.md"
    document.write_text("Nobody is here.\n")
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith(f"{document}:1: rule 5: 'Nobody")
    document.write_text("No client is here.\n")
    assert main([str(tmp_path)]) == 0

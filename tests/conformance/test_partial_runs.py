"""Partial runs: the kit counts and explains the dialogues that it did not play."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from socketio_conformance.__main__ import main

from .support import example
from .test_command import case, vectors


@pytest.fixture(scope="module")
def hasty() -> Iterator[str]:
    """Serve the echo profile with a heartbeat that is too short for most dialogues."""
    with example("engineio_echo.py", "--ping-interval", "0.5", "--ping-timeout", "0.2") as url:
        yield url


def test_run_of_less_than_half_of_the_dialogues_has_its_own_exit_status(
    hasty: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = case("short", 400, needs=["short-heartbeat"])
    files = vectors(tmp_path, short, case("a", 400), case("b", 400, group="h"))
    assert main([hasty, *files]) == 3
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "2 dialogues not played, because they need a heartbeat of 10 s or more, got 0.5 s "
        "(engineio g 1, engineio h 1)",
        "1 passed, 0 failed, 2 not played",
    ]
    assert "less than half" in printed.err


def test_run_of_half_of_the_dialogues_succeeds(hasty: str, tmp_path: Path) -> None:
    short = case("short", 400, needs=["short-heartbeat"])
    assert main([hasty, *vectors(tmp_path, short, case("a", 400))]) == 0


def test_failed_dialogue_decides_the_exit_status_of_a_partial_run(
    hasty: str, tmp_path: Path
) -> None:
    short = case("short", 200, needs=["short-heartbeat"])
    assert main([hasty, *vectors(tmp_path, short, case("a", 400), case("b", 400))]) == 1


def test_heartbeat_of_the_server_is_printed_before_the_dialogues(
    hasty: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([hasty, *vectors(tmp_path, case("a", 400))])
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith("engineio at 127.0.0.1:")
    assert "heartbeat 500 ms + 200 ms, features: none" in first
    assert second == (
        "most dialogues of engineio need a longer heartbeat: "
        "start the server with a pingInterval of 10000 ms or more"
    )


def test_reports_name_the_dialogues_that_were_not_played(hasty: str, tmp_path: Path) -> None:
    short = case("short", 400, needs=["short-heartbeat"])
    files = ["--json", str(tmp_path / "r.json"), "--junit", str(tmp_path / "r.xml")]
    main([hasty, *files, *vectors(tmp_path, short, case("a", 400), case("b", 400))])
    report = json.loads((tmp_path / "r.json").read_text())
    needs = "a heartbeat of 10 s or more, got 0.5 s"
    assert report["not_played"] == {needs: 2}
    assert report["not_played_cases"] == [{"name": name, "needs": needs} for name in "ab"]
    suite = ElementTree.fromstring((tmp_path / "r.xml").read_text())
    assert (suite.get("tests"), suite.get("skipped"), suite.get("failures")) == ("3", "2", "0")
    skipped = {each.get("name") for each in suite if each.find("skipped") is not None}
    assert skipped == {"a", "b"}

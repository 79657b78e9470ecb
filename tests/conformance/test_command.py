"""The command: its output, files, exit status and recordings."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from socketio_conformance.__main__ import main
from socketio_conformance.dialogue import FILES, FOLDER, OLD_FILES, Dialogue, vectors_folder
from socketio_conformance.http_connection import Address
from socketio_conformance.player import Player

from .support import ROOT, example

LONG = ("--ping-interval", "25", "--ping-timeout", "20")
#: The command, with SIGINT also if the shell of the tests ignores the signal.
INTERRUPTIBLE = """
import signal, sys
from socketio_conformance.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with example("engineio_echo.py", *LONG) as url:
        yield url


def test_vectors_folder_is_the_clone_or_the_installation(tmp_path: Path) -> None:
    assert FOLDER == ROOT / "spec-vectors"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [(folder, patterns)] = project["tool"]["setuptools"]["data-files"].items()
    assert vectors_folder(tmp_path / "site-packages", tmp_path) == tmp_path / folder
    installed = {path.name for pattern in patterns for path in ROOT.glob(pattern)}
    assert installed >= {*FILES, *OLD_FILES}


def vectors(folder: Path, *cases: object) -> list[str]:
    """Write files of dialogues and return the arguments that play them."""
    file = {"subject": "engineio.dialogue", "cases": cases}
    (folder / "engineio-dialogue.json").write_text(json.dumps(file))
    empty = {"subject": "socketio.dialogue", "cases": []}
    (folder / "socketio-dialogue.json").write_text(json.dumps(empty))
    return ["--vectors", str(folder)]


def case(name: str, status: int, **more: object) -> dict[str, object]:
    step = {"request": "r", "query": "transport=no", "expect": {"status": status}}
    return {"name": name, "group": "g", "steps": [step], "source": "a document, 1", **more}


def test_last_line_contains_the_numbers(
    engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([engine, *vectors(tmp_path, case("a", 400), case("b", 400))]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 0 failed"


def test_failure_is_printed_with_step_and_source(
    engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", str(tmp_path / "r.json"), "--junit", str(tmp_path / "r.xml")]
    assert main([engine, *files, *vectors(tmp_path, case("good", 400), case("bad", 200))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "FAILED bad (engineio, g)"
    assert lines[1].startswith('  step 1: {"request": "r"')
    assert lines[2] == "  expected  status 200"
    assert lines[3].startswith("  observed  got 400 ")
    assert lines[4] == "  source    a document, 1"
    assert lines[-1] == "1 passed, 1 failed"
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["passed"], report["failed"]) == (1, 1)
    assert [each["name"] for each in report["cases"]] == ["bad", "good"]
    suite = ElementTree.fromstring((tmp_path / "r.xml").read_text())
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")


def test_marked_difference_fails_except_with_the_node_profile(
    engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [engine, *vectors(tmp_path, case("a", 200, node_differs="another status"))]
    assert main(arguments) == 1
    assert main([*arguments, "--profile", "node-echo"]) == 0
    assert "known difference: a: another status" in capsys.readouterr().out


def test_missing_features_are_reported(
    engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = case("b", 400, needs=["extended"])
    assert main([engine, *vectors(tmp_path, case("a", 400), more)]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "1 dialogues not played, because they need extended (engineio g 1)",
        "1 passed, 0 failed, 1 not played",
    ]
    assert main([engine, *vectors(tmp_path, more)]) == 2


def test_run_option_starts_and_ends_a_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = f"{sys.executable} {ROOT / 'tests' / 'targets' / 'ours.py'}"
    files = vectors(tmp_path, case("a", 400), case("b", 400, needs=["extended"]))
    assert main(["--run", command, *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    # A dialogue that passes when it is played again has a line in between.
    assert (lines[0], lines[-1]) == ("this project", "2 passed, 0 failed")
    assert main(["--run", f"{sys.executable} -c pass", *files]) == 2
    assert main(files) == 2


def test_only_option_selects_a_group_or_a_name(
    engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = vectors(tmp_path, case("a", 400), case("b", 200, group="other"))
    assert main([engine, *files, "--only", "g"]) == 0
    assert main([engine, *files, "--only", "a"]) == 0
    assert main([engine, *files, "--only", "engineio"]) == 1
    assert main([engine, *files, "--only", "unknown"]) == 2
    assert "got unknown" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://127.0.0.1:1", "http://"])
def test_url_without_a_server_is_an_error(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([url]) == 2
    assert capsys.readouterr().err.startswith("socketio-conformance: ")


async def test_recorded_session_can_be_played(engine: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", INTERRUPTIBLE, "record", engine, "--seconds", "3600"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    line = (await process.stderr.readline()).decode()
    proxy = Address.of(line.split()[-1])
    opened = {"prefix": "0", "json": {"sid": {"$capture": "sid"}, **OPTIONS}}
    steps = (
        {"request": "r", "query": "EIO=4&transport=polling", "expect": {"payload": [opened]}},
        {"post": "${sid}", "packets": ["4hello"]},
        {"poll": "${sid}", "packets": ["4hello"]},
        {"websocket": "w", "query": "EIO=4&transport=websocket&sid=${sid}"},
        {"send": "w", "messages": ["2probe"]},
        {"receive": "w", "messages": ["3probe"]},
        {"send": "w", "messages": ["5", {"$base64": "AQI="}]},
        {"receive": "w", "messages": [{"$base64": "AQI="}]},
        {"close": "w", "code": 1000},
        {"closed": "w", "code": 1000},
    )
    dialogue = Dialogue("original", "engineio", "g", frozenset(), steps, "", None)
    assert await Player(proxy, "/engine.io/").play(dialogue) is None
    process.send_signal(signal.SIGINT)
    output, _ = await process.communicate()
    recorded = json.loads(output)
    assert process.returncode == 0
    assert recorded["name"] == "recorded"
    assert '"${sid}' in json.dumps(recorded) or "sid=${sid}" in json.dumps(recorded)
    again = Dialogue("again", "engineio", "g", frozenset(), tuple(recorded["steps"]), "", None)
    assert await Player(Address.of(engine), "/engine.io/").play(again) is None


OPTIONS = {
    "upgrades": ["websocket"],
    "pingInterval": 25000,
    "pingTimeout": 20000,
    "maxPayload": 1000000,
}

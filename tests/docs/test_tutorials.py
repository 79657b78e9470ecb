"""The tutorials work step by step."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dashboard.support import CLIENT, Browser, find_cases, running_browser
from tests.docs.blocks import ROOT, CodeBlock, blocks_of
from tests.docs.test_documentation import BIN, first_lines, labels

CHAT = blocks_of(ROOT / "docs" / "tutorial-library.md")
HUB = blocks_of(ROOT / "docs" / "tutorial-hub.md")
CASES = "tutorial.js"


def written(language: str, containing: str = "", index: int = 0) -> str:
    """Return a file of the chat."""
    found = [each for each in CHAT if each.language == language and containing in each.text]
    return found[index].text


def write_chat(folder: Path, version: int) -> None:
    """Write the files of the chat: version 0 is that of step 2, version 1 that of step 5."""
    (folder / "chat.py").write_text(written("python", "index.html", version))
    (folder / "index.html").write_text(written("html"))
    (folder / "test_chat.py").write_text(written("python", "from chat import io"))
    (folder / "pytest.ini").write_text(written("ini", "asyncio_mode"))


def test_tests_of_the_chat_pass(tmp_path: Path) -> None:
    write_chat(tmp_path, 1)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    environment = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert "4 passed" in done.stdout, done.stdout + done.stderr


@contextmanager
def serving_chat(folder: Path, version: int, *options: str) -> Iterator[str]:
    """Run the chat with the command of the tutorial; yield its address."""
    write_chat(folder, version)
    command = [sys.executable, "-m", "socketio_core", "chat:io", "--port", "0", *options]
    environment = os.environ | {"SOCKETIO_CLIENT_DIST": str(CLIENT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            line = first_lines(process, "Listening on")
            address = re.search(r"http://\S+", line)
            assert address is not None, line
            yield address[0]
        finally:
            process.terminate()
            process.wait(300)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as started:
        yield started


@pytest.mark.node
@pytest.mark.browser
@pytest.mark.parametrize(("name", "version", "options"), [
    ("two windows chat without a login", 0, ()),
    ("two users chat", 1, ()),
    ("two users chat", 1, ("--workers", "2")),
])  # fmt: skip
def test_chat_works_in_two_windows(
    browser: Browser, tmp_path: Path, name: str, version: int, options: tuple[str, ...]
) -> None:
    with serving_chat(tmp_path, version, *options) as url:
        browser.run(CASES, name, {"url": url})


@pytest.mark.node
def test_cases_of_the_chat_are_played() -> None:
    assert set(find_cases(CASES)) == {"two windows chat without a login", "two users chat"}


# -- the hub


def shell(containing: str) -> CodeBlock:
    """Return the shell block of the tutorial of the hub that contains a text."""
    (found,) = [each for each in HUB if each.language == "sh" and containing in each.text]
    return found


def run_script(text: str, folder: Path, **variables: str) -> str:
    """Run a shell block in a folder, and return its output."""
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", text], cwd=folder, env=os.environ | variables,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a virtual environment, as after the first step."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(BIN)
    return tmp_path


def test_tutorial_of_the_hub_runs(folder: Path, free_port: int) -> None:
    def prepared(block: CodeBlock) -> str:
        return block.text.replace("8080", str(free_port))

    serve = prepared(shell("serve --dev")).strip()
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        ["/bin/bash", "-c", f"exec {serve}"], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            printed = first_lines(process, "user token")
            token = re.search(r"admin token +(\S+)", printed)
            assert token is not None, printed
            outputs = {
                name: run_script(prepared(shell(name)), folder, TOKEN=token[1])
                for name in ("import sample.csv", "export critical.csv", "undo tenable_vm")
            }
        finally:
            process.terminate()
            assert process.wait(300) == 0
    (documented,) = [each.text for each in HUB if each.language == "text"]
    assert labels(documented) <= labels(printed)
    assert "tenable_vm" in outputs["import sample.csv"]
    assert "completed" in outputs["import sample.csv"]
    assert (folder / "critical.csv").read_text("utf-8").count("\n") > 1
    secret = folder / "jwt-secret"
    outputs["check"] = run_script(shell("jwt-secret").text, folder)
    assert secret.stat().st_mode & 0o777 == 0o600
    assert "JWT_SECRET_FILE" in outputs["check"]
    tokens = run_script(shell("token --user").text, folder, JWT_SECRET_FILE=str(secret))
    assert len(tokens.split()) == 2

"""Shell blocks of the documentation: the parsers of the commands accept their arguments."""

from __future__ import annotations

import argparse
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from unittest import mock

import pytest

import hextrackr_server.__main__
import socketio_conformance.__main__
import socketio_core.command
from hextrackr_server.config import settings
from hextrackr_server.config.sources import OTHERS
from tests.docs.blocks import ROOT, CodeBlock, blocks, commands

#: The functions that parse the arguments of the project's commands.
PARSERS: dict[str, Callable[[list[str]], object]] = {
    "hextrackr-server": hextrackr_server.__main__.main,
    "socketio-conformance": socketio_conformance.__main__.main,
    "socketio_core": socketio_core.command.main,
}
#: Commands that are not part of this project, and functions and variables that a block defines.
OTHER_COMMANDS = {
    "chmod",
    "cp",
    "git",
    "install",
    "podman",
    "systemctl",
    "curl",
    "docker",
    "echo",
    "npm",
    "openssl",
    "report",
    "unzip",
    "URL",
}


class ParsedError(Exception):
    """Raised instead of running a command whose arguments are valid."""


@contextmanager
def parsing_only() -> Iterator[None]:
    """Raise ParsedError after a successful parse."""
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser: argparse.ArgumentParser, arguments: list[str]) -> None:
        parse(parser, arguments)
        raise ParsedError

    with mock.patch.object(argparse.ArgumentParser, "parse_args", parse_and_stop):
        yield


def known_variables() -> set[str]:
    """Return the environment variables of the hub."""
    names = {f"HEXTRACKR_{name.upper()}" for name in settings.known()} | set(OTHERS)
    names |= {other for others in settings.known().values() for other in others}
    return names | {f"{name}_FILE" for name in names} | {"HEXTRACKR_INGEST_TOKEN"}


def check_command(words: list[str]) -> None:
    """Fail for an unknown command, argument, make target, extra or variable."""
    while words and re.match(r"[A-Z_]+=", words[0]):
        assert words[0].partition("=")[0] in known_variables() | {"URL"}, words
        words = words[1:]
    if not words:
        return
    name = words[0].removeprefix(".venv/bin/").removeprefix("/opt/hextrackr/bin/")
    if name == "python" and words[1] == "-m":
        name, words = words[2], words[2:]
        if name not in PARSERS:
            assert find_spec(name) is not None, words
            return
    if name == "export":
        assert words[1].partition("=")[0] in known_variables(), words
    elif name == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert next(each for each in words[1:] if "=" not in each) in targets, words
    elif name in PARSERS:
        check_arguments(name, words[1:])
    elif name == "pip":
        check_extras(words)
    elif name.startswith(("./", "scripts/", "deploy/")):
        assert os.access(ROOT / name, os.X_OK), words
    else:
        assert name.rstrip("()") in OTHER_COMMANDS, words


def check_arguments(name: str, arguments: list[str]) -> None:
    """Fail for arguments that the parser of a command rejects."""
    arguments = [each for each in arguments if each not in {"|", ">", "&"}]
    with parsing_only():
        try:
            PARSERS[name](arguments)
        except ParsedError:
            return
        except SystemExit as error:
            pytest.fail(f"{name} {' '.join(arguments)}: exit code {error.code}")
    pytest.fail(f"{name} did not parse its arguments")


def check_extras(words: list[str]) -> None:
    """Fail for an extra that pyproject.toml does not define."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"\[([\w,-]+)\]", " ".join(words)):
        assert set(extras.split(",")) <= set(project["optional-dependencies"]), words


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_shell_block_uses_existing_commands_and_arguments(block: CodeBlock) -> None:
    found = commands(block.text)
    assert found
    for words in found:
        check_command(words)


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_console_block_uses_existing_commands_and_arguments(block: CodeBlock) -> None:
    found = re.findall(r"^\$ (.+)$", block.text, re.MULTILINE)
    assert found
    for line in found:
        for words in commands(line):
            check_command(words)


@pytest.mark.parametrize(
    "command",
    [
        "make nothing",
        "hextrackr-server serve --nothing",
        "hextrackr-server nothing",
        "hextrackr-server import",
        "python -m socketio_core app:io --nothing",
        "python -m nothing",
        "export HEXTRACKR_NOTHING=1",
        "pip install '.[nothing]'",
        "scripts/nothing",
        "nothing",
    ],
)
def test_shell_check_rejects_an_unknown_name(command: str) -> None:
    (words,) = commands(command)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_command(words)

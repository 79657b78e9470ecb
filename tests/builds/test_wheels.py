"""The compiled wheels of `make compiled`, each in an empty environment of its Python."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.builds import MODULES, WHEELS, require_build

#: The interpreters of the wheels: `make compiled` names them.
PYTHONS = os.environ.get("COMPILED_PYTHONS", sys.executable).split(":")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
pytestmark = pytest.mark.timeout(1800)

NAME_FILES = """
import sys
from importlib import import_module
for name in sys.argv[1:]:
    print(import_module(name).__file__)
"""
SERVER = """
import asyncio
from socketio_core import Socket, SocketServer
from socketio_core.testing import TestServer

io = SocketServer()

@io.on("add")
def add(socket: Socket, a: int, b: int) -> int:
    return a + b

async def main() -> None:
    client = await TestServer(io).connect("/")
    print(await client.emit_with_ack("add", 1, 2))

asyncio.run(main())
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must succeed, and return its output."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def find_wheel(python: str) -> Path:
    """Return the wheel for an interpreter."""
    require_build()
    code = "import sys; print('cp%d%d' % sys.version_info[:2])"
    tag = run(python, "-c", code, cwd=WHEELS).strip()
    (found,) = WHEELS.glob(f"*-{tag}-{tag}-*.whl")
    return found


@pytest.mark.parametrize("number", range(len(PYTHONS)))
def test_compiled_wheel_runs_in_an_empty_environment(number: int, tmp_path: Path) -> None:
    interpreter = PYTHONS[number]
    wheel = find_wheel(interpreter)
    environment = tmp_path / "environment"
    run(interpreter, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    run(*PIP, "--python", python, "install", "--quiet", wheel, cwd=tmp_path)
    names = [path.removesuffix(".py").replace("/", ".") for path in MODULES]
    files = run(python, "-c", NAME_FILES, *names, cwd=tmp_path).splitlines()
    assert len(files) == len(MODULES)
    for file in files:
        assert Path(file).is_relative_to(environment)
        assert file.endswith(".so")
    version = run(python, "-m", "socketio_core", "--version", cwd=tmp_path)
    assert re.fullmatch(r"socketio_core \S+ \(compiled build\), Python \S+\n", version)
    assert run(python, "-X", "dev", "-c", SERVER, cwd=tmp_path) == "3\n"


def test_compiled_wheel_contains_the_sources_and_no_other_new_files() -> None:
    with ZipFile(find_wheel(sys.executable)) as archive:
        names = set(archive.namelist())
    assert set(MODULES) <= names
    built = {name for name in names if name.endswith(".so")}
    assert {name.partition(".")[0] + ".py" for name in built if "/" in name} == set(MODULES)
    assert len(built) == len(MODULES) + 1, "the shared code of all modules"
    assert not {name for name in names if name.endswith((".c", ".h", ".o", "pure_build.txt"))}

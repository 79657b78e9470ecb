"""The built wheel: its metadata, its files, and a server in an environment without extras."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import venv
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PACKAGES = ("engineio_core", "socketio_core", "hextrackr_server", "socketio_conformance")
LIMIT = 300.0
pytestmark = pytest.mark.timeout(900)
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
    async with io:
        print(bool((await io.listen("127.0.0.1", 0)).port))

asyncio.run(main())
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must succeed, and return its output."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of this checkout from a copy of the tracked and new files."""
    directory = tmp_path_factory.mktemp("wheel")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in listed.split("\0"):
        if name.startswith((*PACKAGES, "spec-vectors/")) or name in {
            "pyproject.toml", "README.md", "LICENSE",
        }:  # fmt: skip
            source = ROOT / name
            if source.is_file():
                target = directory / "source" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", directory, directory / "source", cwd=directory)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def requirements(metadata: Message) -> dict[str, set[str]]:
    """Return the names of the required distributions by extra; "" stands for no extra."""
    found: dict[str, set[str]] = {}
    for line in metadata.get_all("Requires-Dist", []):
        name = re.match(r"[\w.-]+", line)
        assert name is not None
        extra = re.search(r"""extra == ['"](\w+)['"]""", line)
        found.setdefault(extra[1] if extra else "", set()).add(name[0].lower())
    return found


def test_wheel_without_extras_requires_only_the_dependencies_of_the_core(
    metadata: Message,
) -> None:
    assert requirements(metadata)[""] == {"h11", "msgspec", "orjson", "uvloop", "websockets"}


def test_wheel_has_an_extra_for_each_optional_feature(metadata: Message) -> None:
    found = requirements(metadata)
    assert metadata.get_all("Provides-Extra") == ["hub", "postgres", "redis", "brotli"]
    assert found["redis"] == {"redis"}
    assert found["hub"] == {
        "httpx", "lxml", "pyjwt", "python-multipart", "sqlalchemy", "starlette", "tzdata",
    }  # fmt: skip
    assert found["postgres"] == {"psycopg"}


def test_wheel_metadata_is_complete(metadata: Message) -> None:
    assert metadata["Name"] == "hextrackr-server"
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["Summary"] == PROJECT["description"]
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert {"socket.io", "asyncio"} <= set(metadata["Keywords"].split(","))
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_wheel_contains_types_license_vectors_and_commands(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (name for name in names if name.endswith("/entry_points.txt"))
        commands = archive.read(entry_points).decode()
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
    assert {name.split("/")[0] for name in names if name.endswith(".py")} == set(PACKAGES)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert "socketio_core/playground/assets/index.html" in names
    assert any("share/socketio-conformance/" in name for name in names)
    assert "hextrackr-server = hextrackr_server.__main__:main" in commands
    assert "socketio-conformance = socketio_conformance.__main__:main" in commands


@pytest.fixture(scope="module")
def core_only(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel without extras into a new environment, and return its `bin` folder."""
    environment = tmp_path_factory.mktemp("core")
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--quiet", wheel, cwd=environment)
    return environment / "bin"


def test_core_runs_a_server_without_extras(core_only: Path) -> None:
    output = run(core_only / "python", "-X", "dev", "-c", SERVER, cwd=core_only)
    assert output.split() == ["3", "True"]


def test_conformance_command_runs_without_extras(core_only: Path) -> None:
    assert "usage: socketio-conformance" in run(
        core_only / "socketio-conformance", "--help", cwd=core_only
    )


def test_hub_command_names_the_missing_extra_when_it_is_not_installed(core_only: Path) -> None:
    done = subprocess.run(
        [core_only / "hextrackr-server", "serve", "--dev", "--port", "0"],
        cwd=core_only, capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "`pip install '.[hub]'`" in done.stderr
    assert "Traceback" not in done.stderr

"""The built archives: metadata, files, and a server in an environment without extras."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts import client_bundles
from tests.packaging.hub_program import HubProgram, do_main_job

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT, BACKEND = PYPROJECT["project"], PYPROJECT["build-system"]
BUILD_SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
PACKAGES = ("engineio_core", "socketio_core", "hextrackr_server", "socketio_conformance")
#: The sources of an archive.
PACKED = (
    *PACKAGES, "spec-vectors/", "pyproject.toml", "setup.py", "MANIFEST.in",
    "scripts/build-dashboard", "scripts/client_bundles.py", "scripts/sbom.py",
    "scripts/compiled/", "pytest_socketio_core.py", "README.md", "LICENSE",
)  # fmt: skip
#: Variables that name a C compiler, or whether the build uses one
UNSET = {"BUILD_COMPILED", "CC", "CXX"}
LIMIT = 900.0
IDENTITY = "-c user.name=tests -c user.email=tests@localhost"
pytestmark = pytest.mark.timeout(3000)
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

GET_CLIENT = """
import asyncio, urllib.request
from socketio_core import SocketServer

def get(port: int) -> None:
    address = f"http://127.0.0.1:{port}/socket.io/socket.io.min.js"
    with urllib.request.urlopen(address) as response:
        print(response.status, response.read().decode(), sep="\\n")

async def main() -> None:
    async with SocketServer() as io:
        listener = await io.listen()
        await asyncio.to_thread(get, listener.port)

asyncio.run(main())
"""


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command that must succeed, and return its output."""
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment whose PATH has the tools of scripts/build-dashboard only.

    It has neither Node nor a C compiler.
    """
    folder = tmp_path_factory.mktemp("tools")
    for name in ("sh", "dirname", "find", "sort", "xargs", "cksum", "cat", "git"):
        (folder / name).symlink_to(str(shutil.which(name)))
    clean = {name: value for name, value in os.environ.items() if name not in UNSET}
    return clean | {"PATH": str(folder)}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the tracked and new files, and write a build of the dashboard with two files."""
    directory = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in listed.split("\0"):
        if name.startswith(PACKED) and (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, directory / name)
    build = directory / "hextrackr_server" / "dashboard" / "build"
    (build / "assets").mkdir(parents=True)
    (build / "index.html").write_text("<!doctype html>")
    (build / "assets" / "index-abc.js.br").write_bytes(b"compressed")
    packages = [{"name": "@preact/signals", "version": "2.0.0", "identifier": "MIT", "text": "MIT"}]
    (build / "licenses.json").write_text(json.dumps(packages))
    # A clone: its commit is part of the archives.
    (directory / ".gitignore").write_text("build/\nclient_dist/\n*.egg-info/\n")
    for command in ("init -q", "add .", f"{IDENTITY} commit -q -m initial"):
        run("git", *command.split(), cwd=directory)
    checksum = run(directory / "scripts" / "build-dashboard", "--checksum", cwd=directory)
    (build / "sources.cksum").write_text(checksum)
    client = directory / "socketio_core" / "client_dist"
    shutil.rmtree(client, ignore_errors=True)
    client.mkdir()
    for name in (*client_bundles.BUNDLES, "LICENSE"):
        (client / name).write_text(f"/* {name} */")
    (client / "package.json").write_text(json.dumps({"version": client_bundles.VERSION}))
    return directory


@pytest.fixture(scope="module")
def backend(tools: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Install the build backend, and return the environment that finds it."""
    folder = tmp_path_factory.mktemp("backend")
    run(*PIP, "install", "--quiet", "--target", folder, *BACKEND["requires"], cwd=folder)
    return tools | {"PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def sdist(source: Path, backend: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source archive, as a front end does (PEP 517)."""
    target = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-c", BUILD_SDIST, target, cwd=source, env=backend)
    (built,) = target.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(sdist: Path, tools: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the source archive, as pip does, without Node and a compiler."""
    directory = tmp_path_factory.mktemp("wheel")
    run(
        *PIP, "wheel", "--no-deps", "--wheel-dir", directory, "--log", directory / "pip.log", sdist,
        cwd=directory, env=tools,
    )  # fmt: skip
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
    declared = PROJECT["optional-dependencies"]
    assert metadata.get_all("Provides-Extra") == list(declared)
    found = requirements(metadata)
    for extra, required in declared.items():
        assert found[extra] == {re.split(r"[^\w.-]", each)[0].lower() for each in required}


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
    modules = {name.split("/")[0] for name in names if name.endswith(".py")}
    assert modules == {*PACKAGES, "pytest_socketio_core.py"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert "socketio_core/playground/assets/index.html" in names
    assert any("share/socketio-conformance/" in name for name in names)
    assert "hextrackr-server = hextrackr_server.__main__:main" in commands
    assert "socketio-conformance = socketio_conformance.__main__:main" in commands
    assert "[pytest11]\npytest_socketio_core = pytest_socketio_core" in commands


def test_archives_contain_the_built_dashboard_and_no_packages_of_node(
    sdist: Path, wheel: Path
) -> None:
    built = {
        f"hextrackr_server/dashboard/build/{name}"
        for name in ("index.html", "assets/index-abc.js.br")
    }
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert built <= names
    with tarfile.open(sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    assert built <= sources
    assert {"hextrackr_server/dashboard/src/main.ts", "scripts/build-dashboard"} <= sources
    assert not {name for name in names | sources if "node_modules" in name}
    assert not {name for name in names if "dashboard/src" in name}


def test_archives_contain_the_commit(source: Path, sdist: Path, wheel: Path) -> None:
    head = run("git", "rev-parse", "HEAD", cwd=source)
    with ZipFile(wheel) as archive:
        assert archive.read("hextrackr_server/commit.txt").decode() == head
    with tarfile.open(sdist) as archive:
        (name,) = (name for name in archive.getnames() if name.endswith("/commit.txt"))
        assert name.endswith("/hextrackr_server/commit.txt")


def test_wheel_contains_a_valid_list_of_the_packages_inside(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if ".dist-info/sboms/" in name)
        text = archive.read(name).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    client = f"pkg:npm/socket.io-client@{client_bundles.VERSION}"
    assert bill["metadata"]["component"]["version"] == PROJECT["version"]
    assert [each["purl"] for each in bill["components"]] == [
        "pkg:npm/%40preact/signals@2.0.0",
        client,
    ]


def test_archives_contain_no_other_files(sdist: Path, wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    kinds = (".py", "/py.typed", ".toml", "/commit.txt", "/pure_build.txt")
    folders = ("/dashboard/build/", "/client_dist/", "/playground/assets/", ".dist-info/", ".data/")
    unexpected = {
        name
        for name in names
        if not name.endswith(kinds) and not any(folder in name for folder in folders)
    }
    assert not unexpected
    with tarfile.open(sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    unwanted = {"tests", "benchmarks", "docs", "__pycache__", ".git", "node_modules"}
    assert not {name for name in sources if unwanted & set(Path(name).parts)}


def test_source_archive_requires_the_dashboard(
    source: Path, backend: dict[str, str], tmp_path: Path
) -> None:
    copy = shutil.copytree(source, tmp_path / "copy")
    (copy / "hextrackr_server" / "dashboard" / "src" / "main.ts").write_text("// changed")
    done = subprocess.run(
        [sys.executable, "-c", BUILD_SDIST, tmp_path],
        cwd=copy, env=backend, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Node is not installed" in done.stderr
    assert not list(tmp_path.glob("*.tar.gz"))


def test_archives_contain_the_bundles_of_the_client_with_their_license(
    sdist: Path, wheel: Path
) -> None:
    files = {f"socketio_core/client_dist/{name}" for name in (*client_bundles.BUNDLES, "LICENSE")}
    with ZipFile(wheel) as archive:
        assert files <= set(archive.namelist())
    with tarfile.open(sdist) as archive:
        assert files <= {name.partition("/")[2] for name in archive.getnames()}


def test_source_archive_requires_the_bundles_of_the_client(
    source: Path, backend: dict[str, str], tmp_path: Path
) -> None:
    copy = shutil.copytree(source, tmp_path / "copy")
    (copy / "socketio_core" / "client_dist" / "socket.io.js").unlink()
    done = subprocess.run(
        [sys.executable, "-c", BUILD_SDIST, tmp_path],
        cwd=copy, env=backend, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"The bundles of socket.io-client {client_bundles.VERSION} are missing" in done.stderr
    assert "npm is not installed: install Node" in done.stderr


@pytest.fixture(scope="module")
def core_only(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel without extras into a new environment, and return its `bin` folder."""
    environment = tmp_path_factory.mktemp("core")
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    run(*PIP, "--python", python, "install", "--quiet", wheel, cwd=environment)
    return environment / "bin"


def test_core_runs_a_server_without_extras(core_only: Path) -> None:
    output = run(core_only / "python", "-X", "dev", "-c", SERVER, cwd=core_only)
    assert output.split() == ["3", "True"]


def test_installed_server_serves_the_client(core_only: Path, tmp_path: Path) -> None:
    output = run(core_only / "python", "-c", GET_CLIENT, cwd=tmp_path)
    assert output.splitlines() == ["200", "/* socket.io.min.js */"]


def test_wheel_without_a_compiler_is_pure_and_names_the_reason(
    wheel: Path, core_only: Path, tmp_path: Path
) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    log = (wheel.parent / "pip.log").read_text()
    assert "The wheel has no compiled modules, and works without them: the C compiler" in log
    version = run(core_only / "python", "-m", "socketio_core", "--version", cwd=tmp_path)
    assert "(pure build: the C compiler failed (" in version
    assert len(version.splitlines()) == 1


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


USER_PROGRAM = """
from socketio_core import Socket, SocketServer

io = SocketServer()

@io.on("add")
def add(socket: Socket, a: int, b: int) -> int:
    reveal_type(socket.id)
    return a + b

io.run(port="3000")
"""


def test_types_of_the_installed_package_are_used(core_only: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(USER_PROGRAM)
    options = ("--strict", "--python-executable", core_only / "python", "--cache-dir", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, program],
        cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert 'Revealed type is "str"' in lines[0].replace("builtins.", "")
    assert 'Argument "port" to "run"' in lines[1]
    assert len(lines) == 3, done.stdout


def test_installed_hub_runs_the_main_job(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    run(*PIP, "--python", python, "install", "--quiet", f"{wheel}[hub]", cwd=tmp_path)
    (tmp_path / "empty").mkdir()
    program = HubProgram((str(environment / "bin" / "hextrackr-server"),), tmp_path / "empty")
    version = program.run("--version")
    assert version.startswith(f"hextrackr-server {PROJECT['version']} (commit ")
    assert "engineio_core and socketio_core: pure build" in version
    do_main_job(program)

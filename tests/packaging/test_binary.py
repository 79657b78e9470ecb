"""The executable of `make binary`: two builds are equal, and it runs the hub without Python."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from hextrackr_server.version import commit
from tests.helpers.redis_server import RedisServer
from tests.hextrackr_server.postgres.server import running_postgres
from tests.packaging.hub_program import HubProgram, do_main_job, findings

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(3000)


@pytest.fixture(scope="module")
def executable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the executable twice; the command fails if the builds differ."""
    folder = tmp_path_factory.mktemp("binary")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.binary", "--check", "--output", folder],
        cwd=ROOT, env=os.environ | {"SOURCE_DATE_EPOCH": "1800000000"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = (path for path in folder.iterdir() if path.suffix != ".json")
    return file


@pytest.fixture
def program(executable: Path, tmp_path_factory: pytest.TempPathFactory) -> HubProgram:
    """Return the executable in an empty folder."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "hextrackr-server").hardlink_to(executable)
    unpacked = str(executable.parent / "unpacked")
    return HubProgram(("./hextrackr-server",), folder, {"HEXTRACKR_UNPACK_DIR": unpacked})


def test_executable_names_its_commit_and_libraries(program: HubProgram) -> None:
    lines = program.run("--version").splitlines()
    assert lines[0].startswith("hextrackr-server ")
    assert f"(commit {commit()}" in lines[0]
    assert lines[1].startswith(f"Python {platform.python_version()}, Linux")
    names = {line.split()[0] for line in lines[2:]}
    assert {"psycopg", "redis", "lxml", "tzdata", "OpenSSL", "SQLite", "libpq"} <= names


def test_executable_runs_the_main_job_with_an_empty_path(program: HubProgram) -> None:
    do_main_job(program)


def test_executable_has_time_zones(program: HubProgram) -> None:
    program.environment |= {"HEXTRACKR_KEV_TIME": "06:30 Europe/Berlin", "PYTHONTZPATH": ""}
    assert "06:30 Europe/Berlin" in program.run("check", "--dev")


def test_executable_ignores_variables_of_python(program: HubProgram) -> None:
    program.environment |= {"PYTHONHOME": "/nonexistent", "PYTHONPATH": "/nonexistent"}
    program.run("sample", "--rows", "100", "sample.csv")
    with program.serve("--database", "hub.db") as hub:
        address = ("--url", hub.url, "--token", hub.token)
        assert "completed" in program.run("import", "sample.csv", *address)


def test_executable_serves_with_workers_postgres_and_redis(
    program: HubProgram, tmp_path: Path
) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    try:
        with running_postgres() as url:
            program.environment |= {"DATABASE_URL": url, "REDIS_URL": redis.url}
            program.run("sample", "--rows", "200", "sample.csv")
            with program.serve("--workers", "2") as hub:
                address = ("--url", hub.url, "--token", hub.token)
                assert "completed" in program.run("import", "sample.csv", *address)
                assert findings(program, hub) > 0
                assert hub.terminate() == 0
    finally:
        redis.stop()


def test_bill_of_the_executable_is_valid_and_lists_its_contents(executable: Path) -> None:
    text = executable.with_name(f"{executable.name}.cdx.json").read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    names = {component["name"] for component in bill["components"]}
    assert {"python", "openssl", "sqlite", "lxml", "psycopg-binary", "preact"} <= names
    assert bill["metadata"]["timestamp"] == "2027-01-15T08:00:00+00:00"

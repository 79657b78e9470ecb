"""The commands of `hextrackr-server` against a running server."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.ports import reserve_port

from . import program
from .program import Server

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with program.run_server(tmp_path_factory.mktemp("server")) as server:
        yield server


def test_sample_is_identical_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        written = program.run("sample", "--rows", "50", "--seed", "7", name, cwd=tmp_path)
        assert (written.returncode, written.stderr) == (0, "")
        assert written.stdout == f"wrote {name}: 50 rows, seed 7\n"
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_import_accepts_a_token_option_or_variable(server: Server, tmp_path: Path) -> None:
    program.run("sample", "--rows", "200", "sample.csv", cwd=tmp_path)
    token = program.token(tmp_path, "7")
    first = program.run(
        "import", "sample.csv", "--url", server.url, "--token", token, cwd=tmp_path, secret=None
    )
    assert first.returncode == 0, first.stderr
    assert "completed in" in first.stdout
    assert "200   (1 rejected)" in first.stdout
    # The second import reads URL and token from the environment and inserts no findings.
    second = program.run(
        "import", "sample.csv", cwd=tmp_path, HEXTRACKR_URL=server.url, HEXTRACKR_TOKEN=token
    )
    assert second.returncode == 0, second.stderr
    assert "inserted           0" in second.stdout


def test_import_resolves_within_the_scope_option(server: Server, tmp_path: Path) -> None:
    token = program.token(tmp_path, "7")

    def run_import(file: str, rows: str, *options: str) -> tuple[str, str]:
        (tmp_path / file).write_text(f"hostname,cve\n{rows}\n")
        arguments = (file, "--url", server.url, "--token", token, "--vendor", "Palo Alto", *options)
        done = program.run("import", *arguments, cwd=tmp_path)
        return done.stdout, done.stderr

    everything = ("--scope", "vendor", "--yes")
    run_import("two.csv", "fw-1,CVE-2024-1000\nfw-2,CVE-2024-1000", *everything)
    options = ("--scope", "none", "--scan-date", "2025-09-30")
    output, _ = run_import("one.csv", "fw-3,CVE-2024-1000", *options)
    assert "resolved           0" in output
    assert "vendors    Palo Alto" in output
    assert "scan date  2025-09-30" in output
    output, _ = run_import("one.csv", "fw-3,CVE-2024-1000", "--scope", "vendor")
    assert "resolved           0" in output
    assert "WARNING: not confirmed" in output
    output, _ = run_import("one.csv", "fw-3,CVE-2024-1000", *everything)
    assert "resolved           2" in output
    _, refused = run_import("one.csv", "fw-3,CVE-2024-1000", "--scope", "half")
    assert "invalid choice: 'half'" in refused


def test_import_names_the_missing_columns_of_a_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "unknown.csv").write_text("Location,Devices\nhere,2\n")
    token = program.token(tmp_path, "7")
    failed = program.run(
        "import", "unknown.csv", "--url", server.url, "--token", token, cwd=tmp_path
    )
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "no known format has these columns (row 1): 'Location', 'Devices'" in failed.stderr
    assert "header: lacks 'definition.id'" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_import_fails_when_the_token_has_another_secret(server: Server, tmp_path: Path) -> None:
    program.run("sample", "--rows", "5", "sample.csv", cwd=tmp_path)
    signed = program.run("token", "--user", "7", cwd=tmp_path, secret="x" * 32)
    arguments = ("import", "sample.csv", "--url", server.url, "--token", signed.stdout.strip())
    refused = program.run(*arguments, cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith(
        "hextrackr-server: the server rejects the token"
    )


def test_import_reports_the_interruption_when_the_server_is_killed_and_restarted(
    tmp_path: Path,
) -> None:
    program.run("sample", "--rows", "60000", "sample.csv", cwd=tmp_path)
    token = program.token(tmp_path, "7")
    port = reserve_port()
    with program.run_server(tmp_path, port) as server:
        command = subprocess.Popen(
            [program.PROGRAM, "import", "sample.csv", "--url", server.url, "--token", token],
            cwd=tmp_path,
            env=program.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with command:
            assert command.stderr is not None
            lines = iter(command.stderr.readline, "")
            assert any(line.startswith("staging") for line in lines)
            server.stop(signal.SIGKILL)
            assert any(line.startswith("reconnecting") for line in lines)
            with program.run_server(tmp_path, port):
                _, errors = command.communicate(timeout=program.TIMEOUT)
    assert command.returncode == 1
    assert errors.splitlines()[-1].startswith("Import 1 failed: The server stopped")


@pytest.mark.parametrize("secret", [None, "", "x" * 31])
def test_serve_fails_with_one_line_when_the_secret_is_invalid(
    tmp_path: Path, secret: str | None
) -> None:
    refused = program.run("serve", "--port", "0", cwd=tmp_path, secret=secret)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("hextrackr-server: ")
    assert "32" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_exits_with_0_when_it_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    with program.run_server(tmp_path) as server:
        exit_code, log = server.stop(number)
    assert exit_code == 0
    assert "Traceback" not in log
    assert "stopping" in log

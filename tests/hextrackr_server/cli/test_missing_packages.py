"""The console script without optional packages: it works, or prints what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hextrackr_server.__main__ import HUB_PACKAGES

HIDE = """
import sys
hidden = set(sys.argv.pop(1).split(","))
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
from hextrackr_server.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
HUB = ",".join(sorted(HUB_PACKAGES))


def run(
    directory: Path, hidden: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that cannot import some packages."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HEXTRACKR_") and name not in {"DATABASE_URL", "JWT_SECRET"}
    }
    return subprocess.run(
        [sys.executable, "-c", HIDE, hidden, *arguments],
        cwd=directory,
        env=variables | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--dev", "--port", "0"),
        ("token", "--user", "7"),
        ("kev-sync", "--file", "kev.json"),
    ],
)
def test_commands_of_the_hub_name_the_package_to_install(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = run(tmp_path, HUB, *arguments, JWT_SECRET="s" * 32)
    assert done.returncode == 1
    assert done.stderr.startswith("hextrackr-server: the package '")
    assert done.stderr.endswith(
        "' is missing: install the extra 'hub', `pip install '.[hub]'` in a clone\n"
    )
    assert done.stderr.count("\n") == 1


# `serve` does not import tzdata (read by zoneinfo) or lxml (imported for the first XML file).
@pytest.mark.parametrize("package", sorted(HUB_PACKAGES - {"tzdata", "lxml"}))
def test_serve_names_the_missing_package(tmp_path: Path, package: str) -> None:
    done = run(tmp_path, package, "serve", "--dev", "--port", "0")
    assert done.returncode == 1
    assert f"the package {package!r} is missing" in done.stderr


def test_inspect_names_lxml_when_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "scan.nessus").write_text("<NessusClientData_v2/>")
    done = run(tmp_path, "lxml", "inspect", "scan.nessus")
    assert done.returncode == 1
    assert "the package 'lxml' is missing" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--version",), ("--help",), ("sample", "s.csv"), ("check", "--dev")]
)
def test_other_commands_work_without_the_hub(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(tmp_path, HUB, *arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_import_reports_an_unreachable_server_without_the_hub(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    (tmp_path / "x.csv").write_text("x")
    url = f"http://127.0.0.1:{unused_tcp_port}"
    done = run(tmp_path, HUB, "import", "x.csv", "--url", url, "--token", "t")
    assert done.returncode == 1
    assert f"cannot connect to {url}" in done.stderr


def test_missing_package_of_the_core_is_not_reported_as_one_of_the_hub(tmp_path: Path) -> None:
    done = run(tmp_path, "msgspec", "serve", "--dev", "--port", "0")
    assert done.returncode == 1
    assert "'.[hub]'" not in done.stderr
    assert "ModuleNotFoundError: No module named 'msgspec'" in done.stderr


def test_postgresql_url_without_its_driver_names_the_extra(tmp_path: Path) -> None:
    url = "postgresql://user@127.0.0.1/name"
    done = run(tmp_path, "psycopg", "serve", "--dev", "--port", "0", DATABASE_URL=url)
    assert done.returncode == 1
    assert done.stderr == (
        "hextrackr-server: DATABASE_URL requires the driver psycopg (No module named 'psycopg'): "
        "install the extra 'postgres', `pip install '.[postgres]'` in a clone\n"
    )

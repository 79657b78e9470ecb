"""scripts/release in copies of the clone: what it refuses, and a dry run."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSION = "9.8.7"
IDENTITY = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
pytestmark = pytest.mark.timeout(3000)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a clone whose files agree on a version, with the built parts of this one."""
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(ROOT), str(folder))
    shutil.copy(ROOT / "scripts" / "release", folder / "scripts" / "release")
    replace(folder / "pyproject.toml", r'(?m)^version = ".*"', f'version = "{VERSION}"')
    replace(folder / "CHANGELOG.md", r"## Unreleased", f"## {VERSION} - 2026-11-30")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "release")
    build = "hextrackr_server/dashboard/build"
    shutil.copytree(ROOT / build, folder / build)
    bundles = "socketio_core/client_dist"
    if (ROOT / bundles).is_dir():
        shutil.copytree(ROOT / bundles, folder / bundles)
    else:
        command = [sys.executable, str(folder / "scripts" / "client_bundles.py")]
        subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return folder


def replace(file: Path, pattern: str, text: str) -> None:
    file.write_text(re.sub(pattern, text, file.read_text("utf-8"), count=1))


def release(
    clone: Path, *arguments: str, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "scripts" / "release", *arguments], cwd=clone,
        env=os.environ | {"PYTHON": python}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_dry_run_builds_and_checks_the_archives_without_a_tag(clone: Path) -> None:
    done = release(clone, "--dry-run", "--no-binary", VERSION)
    assert done.returncode == 0, done.stdout + done.stderr
    output = clone / "dist" / VERSION
    sums = (output / "SHA256SUMS").read_text().splitlines()
    listed = {line.split()[1] for line in sums}
    wheel = f"hextrackr_server-{VERSION}-py3-none-any.whl"
    assert listed == {wheel, f"{wheel}.cdx.json", f"hextrackr_server-{VERSION}.tar.gz"}
    assert {path.name for path in output.iterdir()} == listed | {"SHA256SUMS"}
    assert done.stdout.count("PASSED") == 2  # twine check
    assert "A dry run makes no tag" in done.stdout
    assert "git push" not in done.stdout
    assert not git(clone, "tag")
    assert not git(clone, "status", "--porcelain")


@pytest.mark.binary
def test_release_contains_an_executable_of_the_tagged_commit(clone: Path) -> None:
    for variable, value in (("user.name", "tests"), ("user.email", "tests@localhost")):
        git(clone, "config", variable, value)
    done = release(clone, VERSION)
    assert done.returncode == 0, done.stdout + done.stderr
    output = clone / "dist" / VERSION
    name = f"hextrackr-server-{VERSION}-linux-{platform.machine()}"
    listed = {line.split()[1] for line in (output / "SHA256SUMS").read_text().splitlines()}
    assert {name, f"{name}.cdx.json"} <= listed
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=output, check=True)
    assert git(clone, "rev-parse", f"v{VERSION}^{{commit}}") == git(clone, "rev-parse", "HEAD")
    assert not git(clone, "status", "--porcelain")


def test_release_without_its_python_is_refused(clone: Path) -> None:
    done = release(clone, "--dry-run", VERSION, python="")  # the default, .venv/bin/python
    assert done.returncode == 1
    assert "there is no .venv/bin/python: run make setup" in done.stderr


def test_release_of_another_version_is_refused(clone: Path) -> None:
    done = release(clone, "--dry-run", "1.0.0")
    assert done.returncode == 1
    assert f"pyproject.toml has version {VERSION}, not 1.0.0" in done.stderr


def test_release_without_a_section_of_the_changelog_is_refused(clone: Path) -> None:
    replace(clone / "CHANGELOG.md", rf"## {VERSION} - 2026-11-30", "## Unreleased")
    done = release(clone, "--dry-run", VERSION)
    assert done.returncode == 1
    assert f'is "## Unreleased", not "## {VERSION} - YYYY-MM-DD"' in done.stderr


def test_release_with_unreleased_changes_above_its_section_is_refused(clone: Path) -> None:
    replace(
        clone / "CHANGELOG.md",
        rf"## {VERSION} - 2026-11-30",
        f"## Unreleased\n\n## {VERSION} - 2026-11-30",
    )
    done = release(clone, "--dry-run", VERSION)
    assert done.returncode == 1
    assert 'the first section of CHANGELOG.md is "## Unreleased"' in done.stderr


def test_release_with_uncommitted_files_is_refused(clone: Path) -> None:
    (clone / "new.py").touch()
    done = release(clone, VERSION)
    assert done.returncode == 1
    assert "the clone has uncommitted files" in done.stderr
    assert "new.py" in done.stderr
    assert not git(clone, "tag")


def test_tag_of_another_commit_is_refused(clone: Path) -> None:
    git(clone, "tag", f"v{VERSION}", "HEAD~1")
    done = release(clone, VERSION)
    assert done.returncode == 1
    assert f"the tag v{VERSION} is on another commit" in done.stderr

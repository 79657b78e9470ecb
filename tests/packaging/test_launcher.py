"""The launcher of the executable: where it unpacks, what it repairs, and what it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scripts.binary.bundle import write_executable
from scripts.binary.tree import PROGRAM

SCRIPT = """#!/bin/sh
echo "$0" "$@"
"""
CACHE = "hextrackr-server"
#: A user that owns nothing here.
OTHER_USER = 65534


@pytest.fixture(scope="module")
def executable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundle a shell script in the place of the interpreter, and a file of two mebibytes."""
    folder = tmp_path_factory.mktemp("launcher")
    program = folder / "tree" / PROGRAM
    program.parent.mkdir(parents=True)
    program.write_text(SCRIPT)
    program.chmod(0o755)
    data = folder / "tree" / "lib" / ("deep/" * 20) / ("n" * 90)
    data.parent.mkdir(parents=True)
    data.write_bytes(os.urandom(1 << 20) + bytes(1 << 20))
    (folder / "tree" / "lib" / "empty").touch()
    write_executable(folder / "tree", folder / "hub", "1.2.3")
    return folder / "hub"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home folder; pytest creates the folders above it with mode 0700."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


def start(
    executable: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [executable, *arguments], env=environment, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip


def started_in(executable: Path, **environment: str) -> Path:
    """Start the program, which must succeed, and return the folder from which it runs."""
    done = start(executable, **environment)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.split()[0].removesuffix(f"/{PROGRAM}"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_first_start_unpacks_all_files_into_the_cache_of_the_user(
    executable: Path, home: Path
) -> None:
    done = start(executable, "serve", "--port", "1", HOME=str(home))
    (folder,) = (home / ".cache" / CACHE).iterdir()
    assert folder.name.startswith("1.2.3-")
    started = [f"{folder}/{PROGRAM}", "-I", "-m", "hextrackr_binary", str(executable)]
    assert done.stdout.split() == [*started, "serve", "--port", "1"]
    assert contents(folder) == contents(executable.parent / "tree")
    assert (home / ".cache" / CACHE).stat().st_mode & 0o777 == 0o700


def test_later_starts_use_the_unpacked_files(executable: Path, home: Path) -> None:
    folder = started_in(executable, HOME=str(home))
    before = folder.stat()
    assert started_in(executable, HOME=str(home)) == folder
    assert folder.stat().st_ino == before.st_ino


@pytest.mark.parametrize("damage", ["missing", "shorter", "link"])
def test_incomplete_folder_is_replaced(executable: Path, home: Path, damage: str) -> None:
    folder = started_in(executable, HOME=str(home))
    (file,) = folder.rglob("n" * 90)
    if damage == "shorter":
        os.truncate(file, 5)
    else:
        file.unlink()
    if damage == "link":
        file.symlink_to("/dev/null")
    assert started_in(executable, HOME=str(home)) == folder
    assert contents(folder) == contents(executable.parent / "tree")
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_simultaneous_first_starts_leave_one_folder(executable: Path, home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: started_in(executable, HOME=str(home)), range(8)))
    (folder,) = folders
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert contents(folder) == contents(executable.parent / "tree")


def open_to_others(cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)


def parent_open_to_others(cache: Path) -> None:
    cache.parent.mkdir()
    cache.parent.chmod(0o777)


def link(cache: Path) -> None:
    cache.parent.mkdir()
    cache.symlink_to("/dev/shm")


def file(cache: Path) -> None:
    cache.parent.write_text("")


@pytest.mark.parametrize("prepare", [open_to_others, parent_open_to_others, link, file])
def test_unsafe_folder_is_not_used(
    executable: Path, home: Path, tmp_path: Path, prepare: Callable[[Path], None]
) -> None:
    cache = home / ".cache" / CACHE
    prepare(cache)
    done = start(executable, HEXTRACKR_UNPACK_DIR=str(cache.parent))
    assert done.returncode == 1
    assert "Set HEXTRACKR_UNPACK_DIR to a folder that only this user may write to:" in done.stderr
    assert f"\n  {cache}: " in done.stderr
    # Without the variable, the next folder of the list is used.
    found = started_in(executable, HOME=str(home))
    assert not found.is_relative_to(home)
    shutil.rmtree(found)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of a folder")
def test_folder_of_another_user_is_not_used(executable: Path, home: Path) -> None:
    cache = home / ".cache" / CACHE
    cache.mkdir(parents=True)
    os.chown(cache, OTHER_USER, OTHER_USER)
    done = start(executable, HEXTRACKR_UNPACK_DIR=str(cache.parent))
    assert f"{cache}: another user owns it" in done.stderr
    os.chown(cache, 0, 0)
    os.chown(home, OTHER_USER, OTHER_USER)
    done = start(executable, HEXTRACKR_UNPACK_DIR=str(cache.parent))
    assert "other users may write to a folder above it" in done.stderr
    os.chown(home, 0, 0)


def test_folder_is_below_the_cache_of_a_service(
    executable: Path, home: Path, tmp_path: Path
) -> None:
    service = f"{tmp_path}/service:{tmp_path}/other"
    folder = started_in(executable, HOME=str(home), CACHE_DIRECTORY=service)
    assert folder.is_relative_to(tmp_path / "service" / CACHE)
    assert not (home / ".cache").exists()


def test_folder_that_cannot_be_written_is_named(executable: Path) -> None:
    done = start(executable, HEXTRACKR_UNPACK_DIR="/proc/none")
    assert done.returncode == 1
    assert "\n  /proc/none/hextrackr-server: " in done.stderr
    done = start(executable, HEXTRACKR_UNPACK_DIR="relative")
    assert "relative: not an absolute path" in done.stderr


@pytest.mark.parametrize(
    ("lost", "message"),
    [(1, "the file is incomplete"), (1 << 20, "the file is incomplete")],
)
def test_incomplete_download_is_reported(
    executable: Path, home: Path, tmp_path: Path, lost: int, message: str
) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(executable.read_bytes()[:-lost])
    copy.chmod(0o755)
    done = start(copy, HOME=str(home))
    assert done.returncode == 1
    assert message in done.stderr


def test_damaged_archive_is_reported_and_leaves_no_folder(
    executable: Path, home: Path, tmp_path: Path
) -> None:
    data = bytearray(executable.read_bytes())
    data[-400_000] ^= 0xFF
    copy = tmp_path / "copy"
    copy.write_bytes(data)
    copy.chmod(0o755)
    done = start(copy, HOME=str(home))
    assert done.returncode == 1
    assert "is damaged: get the file again" in done.stderr
    assert not list((home / ".cache" / CACHE).iterdir())

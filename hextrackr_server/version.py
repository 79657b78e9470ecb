"""The version of the hub, its commit, and the libraries that it uses.

An archive contains the commit in a file, which `setup.py` writes. In a clone, the files of Git
contain it; the program `git` is not required.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from engineio_core.build import describe_build

DISTRIBUTION: Final = "hextrackr-server"
PACKAGE: Final = Path(__file__).resolve().parent
#: Written by setup.py into archives.
COMMIT_FILE: Final = "commit.txt"
_COMMIT: Final = re.compile(r"[0-9a-f]{40,64}")


def commit(package: Path = PACKAGE) -> str | None:
    """Return the commit from which the package is built, or of the clone that contains it."""
    try:
        return (package / COMMIT_FILE).read_text("utf-8").strip() or None
    except OSError:
        return _commit_of_clone(package.parent / ".git")


def description() -> str:
    """Return the text of `--version`: the hub, Python, the build, and each library, a line each."""
    found = commit()
    return "\n".join(
        (
            f"{DISTRIBUTION} {version(DISTRIBUTION)} (commit {found or 'unknown'})",
            f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
            f"engineio_core and socketio_core: {describe_build()}",
            *_libraries(),
        )
    )


def _libraries() -> Iterator[str]:
    """Yield the name and the version of each installed library that the distribution declares."""
    names = {re.split(r"[^\w.-]", text)[0] for text in requires(DISTRIBUTION) or ()}
    for name in sorted(names):
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:  # an extra
            continue
    # Libraries inside of the interpreter and of the driver, for a check against advisories.
    yield f"OpenSSL {import_module('ssl').OPENSSL_VERSION.split()[1]}"
    yield f"SQLite {import_module('sqlite3').sqlite_version}"
    if "psycopg" in names and (number := _libpq_version()):
        yield f"libpq {number // 10000}.{number % 10000}"


def _libpq_version() -> int | None:
    try:
        return int(import_module("psycopg.pq").version())
    except ImportError:
        return None


def _commit_of_clone(folder: Path) -> str | None:
    """Return the commit that is checked out, from the files of Git, or None without a clone."""
    try:
        if folder.is_file():  # another working tree of a clone
            folder = folder.parent / folder.read_text("utf-8").removeprefix("gitdir: ").strip()
        head = (folder / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return _valid(head)
        name = head.removeprefix("ref: ")
        common = folder / "commondir"
        shared = folder / common.read_text("utf-8").strip() if common.exists() else folder
        if (shared / name).exists():
            return _valid((shared / name).read_text("utf-8").strip())
        lines = (shared / "packed-refs").read_text("utf-8").splitlines()
        return next((_valid(line.split()[0]) for line in lines if line.endswith(f" {name}")), None)
    except OSError:
        return None


def _valid(text: str) -> str | None:
    return text if _COMMIT.fullmatch(text) else None

#!/usr/bin/env python3
"""Copy the bundles of the official client, with their license, into socketio_core/client_dist.

They come from the npm package of one version, whose checksum is compared: from a folder
`node_modules` of this clone if it has the package, else from the npm registry. Archives of the
project contain the copy, so that a server serves the client without npm.

With --optional, a machine without npm or network gets a message and exit code 0.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "socketio_core" / "client_dist"
PACKAGE = "socket.io-client"
VERSION = "4.8.4"
#: The checksum of the package in the npm registry, as in tests/interop/package-lock.json.
INTEGRITY = (
    "sha512-7wjKAvVXYOJsbmUgkWbnhPD4bFpkqrUR0++XOjpGFmqDqsqV1CI93VTraeExLxpjxEqrWgFo"
    "SRZu1ihjLWfkAA=="
)
BUNDLES = tuple(
    f"socket.io{kind}.js{ending}"
    for kind in ("", ".min", ".msgpack.min", ".esm.min")
    for ending in ("", ".map")
)
#: Folders in which npm has installed the package, and compared its checksum.
INSTALLED = ("tests/interop/node_modules", "hextrackr_server/dashboard/node_modules")
NPM_SECONDS = 120.0


class UnavailableError(Exception):
    """The package cannot be read; the message names the remedy."""


def is_current(target: Path = TARGET) -> bool:
    """Return whether a folder has the bundles of the version."""
    return _version_of(target) == VERSION and all(
        (target / name).is_file() for name in (*BUNDLES, "LICENSE")
    )


def copy_bundles(target: Path = TARGET, root: Path = ROOT) -> str:
    """Write the bundles into a folder; return where they come from. Raises UnavailableError."""
    for folder in INSTALLED:
        package = root / folder / PACKAGE
        if _version_of(package) == VERSION:
            _write({name: _read(package, name) for name in _members()}, target)
            return str(package.relative_to(root))
    _write(_download(), target)
    return "the npm registry"


def _members() -> dict[str, str]:
    """Return the files of the package by the name that they get."""
    return {name: f"dist/{name}" for name in BUNDLES} | {"LICENSE": "LICENSE"}


def _read(package: Path, name: str) -> bytes:
    return (package / _members()[name]).read_bytes()


def _download() -> dict[str, bytes]:
    """Return the files of the package in the npm registry."""
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError("npm is not installed: install Node (https://nodejs.org)")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            npm,
            "pack",
            f"{PACKAGE}@{VERSION}",
            "--loglevel=error",
            "--pack-destination",
            folder,
        ]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=NPM_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"npm did not answer within {NPM_SECONDS:g} seconds") from None
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            reason = next((line for line in done.stderr.splitlines() if line.strip()), "no output")
            raise UnavailableError(f"npm could not download the package ({reason})")
        content = archives[0].read_bytes()
    return unpack(content)


def unpack(content: bytes) -> dict[str, bytes]:
    """Return the files in an archive of the package. Raises UnavailableError for another one."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != INTEGRITY:
        raise UnavailableError(f"the checksum of the package is {found}, not {INTEGRITY}")
    files = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for name, member in _members().items():
            file = archive.extractfile(f"package/{member}")
            assert file is not None, f"{member} is not a file"
            files[name] = file.read()
    return files


def _write(files: dict[str, bytes], target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name, content in files.items():
        (target / name).write_bytes(content)
    about = {"name": PACKAGE, "version": VERSION, "license": "MIT"}
    (target / "package.json").write_text(json.dumps(about) + "\n")  # last: it marks the copy


def _version_of(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / "package.json").read_text())["version"])
    except (OSError, ValueError, KeyError):
        return None


def main(arguments: list[str]) -> int:
    """Run the command; return the exit code."""
    if is_current():
        return 0
    try:
        source = copy_bundles()
    except UnavailableError as error:
        print(
            f"The bundles of {PACKAGE} {VERSION} are missing: {error}. Servers that are installed "
            "from this clone do not serve /socket.io/socket.io.js until "
            "`scripts/client_bundles.py` has run.",
            file=sys.stderr,
        )
        return 0 if "--optional" in arguments else 1
    print(f"Copied the bundles of {PACKAGE} {VERSION} from {source}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

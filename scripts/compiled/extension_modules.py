"""The extension modules of a compiled wheel: which modules, whether to compile them, and how.

mypyc compiles the modules in modules.txt; their Python sources stay in the wheel. The variable
BUILD_COMPILED controls a build: `skip` (default) builds a pure wheel, `auto` compiles if this is
possible and prints the reason if it is not, and `require` makes that an error. An editable
installation never has compiled modules.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

#: The version that the tests of the compiled build use; other versions accept other programs.
MYPY = "2.4.1"
MODULES = Path(__file__).with_name("modules.txt").read_text("utf-8").split()
MODES = ("auto", "require", "skip")
VARIABLE = "BUILD_COMPILED"


class UnavailableError(Exception):
    """A machine that cannot compile the modules; the message names the reason."""


def read_mode() -> str:
    """Return the value of BUILD_COMPILED; raise SystemExit if it is invalid."""
    mode = os.environ.get(VARIABLE) or "skip"
    if mode not in MODES:
        raise SystemExit(f"{VARIABLE} must be one of {', '.join(MODES)}, got {mode!r}")
    return mode


def requirements() -> list[str]:
    """Return what a front end installs for the build of a wheel, in addition to setuptools."""
    mode = read_mode()
    if mode == "skip":
        return []
    try:
        check_compiler()
    except UnavailableError:
        if mode == "auto":
            return []
    return [f"mypy=={MYPY}"]


def make_extensions(command: Sequence[str]) -> list[Extension]:
    """Return the extension modules for a command line of setup.py; none if the build is pure."""
    mode = read_mode()
    if mode == "skip" or "bdist_wheel" not in command:
        return []
    try:
        check_compiler()
        check_mypy()
    except UnavailableError as error:
        if mode == "require":
            raise SystemExit(f"{VARIABLE}=require: {error}") from None
        print(f"The wheel has no compiled modules, and works without them: {error}")
        return []
    return compile_modules()


def check_mypy() -> None:
    """Raise UnavailableError unless the version of mypy that compiles the modules is installed."""
    try:
        found = version("mypy")
    except PackageNotFoundError:
        raise UnavailableError(f"mypy {MYPY} is not installed") from None
    if found != MYPY:
        raise UnavailableError(f"mypy {MYPY} is required, found {found}")


def check_compiler() -> None:
    """Raise UnavailableError unless a C compiler can compile against the headers of Python."""
    if platform.python_implementation() != "CPython":
        raise UnavailableError(f"mypyc supports CPython, not {platform.python_implementation()}")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(
            "#include <Python.h>\n"
            'static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "probe"};\n'
            "PyMODINIT_FUNC PyInit_probe(void) { return PyModule_Create(&module); }\n"
        )
        probe = build_ext(Distribution({"ext_modules": [Extension("probe", [str(source)])]}))
        probe.build_lib = probe.build_temp = folder
        try:
            probe.ensure_finalized()
            probe.run()
        except Exception as error:  # distutils, setuptools and the system raise different errors
            raise UnavailableError(f"the C compiler failed ({error})") from error


def compile_modules() -> list[Extension]:
    """Translate the modules into C; the types of other packages do not matter."""
    from mypyc.build import mypycify  # noqa: PLC0415 - only a compiled build needs mypy

    arguments = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent", *MODULES]
    extensions: list[Extension] = mypycify(
        arguments, opt_level="3", debug_level="0", group_name="socketio_core"
    )
    sys.stdout.flush()
    return extensions

"""The extension modules of a compiled wheel: which modules, whether to compile them, and how.

mypyc compiles the modules in modules.txt; their Python sources stay in the wheel. The variable
BUILD_COMPILED controls a build: `auto` (default) compiles if this is possible and writes the reason
into the wheel if it is not, `require` makes that an error, and `skip` builds a pure wheel. An
editable installation never has compiled modules.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

#: The version that the tests of the compiled build use; other versions accept other programs.
MYPY = "2.4.1"
MODULES = Path(__file__).with_name("modules.txt").read_text("utf-8").split()
CONFIGURATION = Path(__file__).with_name("mypy.ini")
MODES = ("auto", "require", "skip")
VARIABLE = "BUILD_COMPILED"
#: The versions of Python that `make compiled` tests.
TESTED = ("3.11", "3.12", "3.13")
#: A file of pure wheels with the reason, which `--version` prints; see engineio_core/build.py.
REASON_FILE = Path("engineio_core/pure_build.txt")


class UnavailableError(Exception):
    """A machine that cannot compile the modules; the message names the reason."""


def read_mode() -> str:
    """Return the value of BUILD_COMPILED; raise SystemExit if it is invalid."""
    mode = os.environ.get(VARIABLE) or "auto"
    if mode not in MODES:
        raise SystemExit(f"{VARIABLE} must be one of {', '.join(MODES)}, got {mode!r}")
    return mode


def requirements() -> list[str]:
    """Return what a front end installs for the build of a wheel, in addition to setuptools."""
    mode = read_mode()
    if mode == "skip":
        return []
    try:
        check_machine(mode)
    except UnavailableError:
        return []
    return [f"mypy=={MYPY}"]


class Build:
    """The choice of one build: its extension modules, or the reason for a pure wheel."""

    def __init__(self, command: Sequence[str]) -> None:
        """Choose the build for a command line of setup.py. Raises SystemExit for `require`."""
        self.mode = read_mode()
        self.extensions: list[Extension] = []
        self.reason = ""
        if self.mode == "skip" or "bdist_wheel" not in command:
            return
        try:
            check_machine(self.mode)
            check_mypy()
            self.extensions = compile_modules()
        except UnavailableError as error:
            self.give_up(error)

    def give_up(self, error: Exception) -> None:
        """Build a pure wheel because of an error. Raises SystemExit for `require`."""
        if self.mode == "require":
            raise SystemExit(f"{VARIABLE}=require: {error}") from None
        self.extensions = []
        self.reason = " ".join(str(error).split())
        print(
            f"The wheel has no compiled modules, and works without them: {self.reason}", flush=True
        )

    def write_reason(self, folder: Path) -> None:
        """Write the reason for a pure wheel into the folder of its files."""
        if self.reason:
            (folder / REASON_FILE).write_text(f"{self.reason}\n", "utf-8")
        else:
            (folder / REASON_FILE).unlink(missing_ok=True)

    def command(self) -> type[build_ext]:
        """Return the command that compiles, or makes the wheel pure if the compiler fails."""
        build = self

        class BuildOrGiveUp(build_ext):
            def run(self) -> None:
                try:
                    super().run()
                except Exception as error:  # distutils, setuptools and the system differ
                    # For example, a machine with little memory stops the compiler.
                    build.give_up(UnavailableError(f"the C compiler failed ({error})"))
                    for each in self.extensions:
                        Path(self.get_ext_fullpath(each.name)).unlink(missing_ok=True)
                    self.extensions = []
                    self.distribution.ext_modules = []
                    self.get_finalized_command("bdist_wheel").root_is_pure = True
                    build.write_reason(Path(self.build_lib))

        return BuildOrGiveUp


def check_machine(mode: str) -> None:
    """Raise UnavailableError unless the modules can be compiled for this interpreter."""
    found = platform.python_implementation()
    if found != "CPython":
        raise UnavailableError(f"mypyc supports CPython, not {found}")
    own = sysconfig.get_python_version()
    if mode == "auto" and (own not in TESTED or sysconfig.get_config_var("Py_GIL_DISABLED")):
        raise UnavailableError(
            f"the compiled modules are tested on Python {', '.join(TESTED)} with its global lock; "
            f"this is {sys.version.split(' [')[0]}"
        )
    check_compiler()


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
    """Translate the modules into C. Raises UnavailableError if mypyc refuses them."""
    from mypyc.build import mypycify  # noqa: PLC0415 - only a compiled build needs mypy

    arguments = [f"--config-file={CONFIGURATION}", *MODULES]
    try:
        extensions: list[Extension] = mypycify(
            arguments, opt_level="3", debug_level="0", group_name="socketio_core"
        )
    except SystemExit as error:
        raise UnavailableError(f"mypyc failed ({error})") from None
    finally:
        sys.stdout.flush()
    for each in extensions:  # a warning of another compiler is not an error
        each.extra_compile_args = [flag for flag in each.extra_compile_args if flag != "-Werror"]
    return extensions

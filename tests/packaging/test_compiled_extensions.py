"""scripts/compiled: whether a build compiles modules, and what it needs for that."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import setuptools

from engineio_core.build import REASON_FILE

ROOT = Path(__file__).resolve().parents[2]
WHEEL = ["setup.py", "bdist_wheel"]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import the module, on a machine that can compile; the translation returns one name."""
    # setuptools adds its own packages to the path once, but each test restores the path.
    monkeypatch.syspath_prepend(str(Path(setuptools.__file__).parent / "_vendor"))
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "compiled"))
    monkeypatch.delenv("BUILD_COMPILED", raising=False)
    import extension_modules  # type: ignore[import-not-found,unused-ignore]

    module: ModuleType = extension_modules
    monkeypatch.setattr(module, "check_compiler", lambda: None)
    monkeypatch.setattr(module, "check_mypy", lambda: None)
    monkeypatch.setattr(module, "compile_modules", lambda: ["compiled"])
    yield module
    del sys.modules["extension_modules"]


def no_compiler(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise build.UnavailableError("the C compiler failed (gcc is missing)")

    monkeypatch.setattr(build, "check_compiler", fail)


def reason_in(build: Any, chosen: Any, folder: Path) -> str | None:
    """Return the reason that a build writes into a wheel, or None for a compiled one."""
    file = folder / build.REASON_FILE
    file.parent.mkdir(exist_ok=True)
    file.write_text("of an earlier build")
    chosen.write_reason(folder)
    return file.read_text() if file.exists() else None


@pytest.mark.parametrize("mode", ["", "auto", "require"])
def test_wheel_is_compiled_if_possible(
    build: Any, monkeypatch: pytest.MonkeyPatch, mode: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("BUILD_COMPILED", mode)
    chosen = build.Build(WHEEL)
    assert chosen.extensions == ["compiled"]
    assert reason_in(build, chosen, tmp_path) is None
    assert build.requirements() == ["mypy==2.4.1"]


@pytest.mark.parametrize("command", ["editable_wheel", "sdist", "egg_info", "dist_info"])
def test_other_commands_compile_nothing(build: Any, command: str, tmp_path: Path) -> None:
    chosen = build.Build(["setup.py", command])
    assert chosen.extensions == []
    assert reason_in(build, chosen, tmp_path) is None


def test_wheel_is_pure_if_requested(
    build: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BUILD_COMPILED", "skip")
    chosen = build.Build(WHEEL)
    assert chosen.extensions == []
    assert reason_in(build, chosen, tmp_path) is None
    assert build.requirements() == []


def test_wheel_is_pure_without_a_compiler(
    build: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    no_compiler(build, monkeypatch)
    chosen = build.Build(WHEEL)
    assert chosen.extensions == []
    assert build.requirements() == []
    assert capsys.readouterr().out == (
        "The wheel has no compiled modules, and works without them: "
        "the C compiler failed (gcc is missing)\n"
    )
    assert reason_in(build, chosen, tmp_path) == "the C compiler failed (gcc is missing)\n"


@pytest.mark.parametrize(("name", "value"), [
    ("python_implementation", "PyPy"), ("get_python_version", "3.99"),
])  # fmt: skip
def test_wheel_is_pure_for_an_untested_interpreter(
    build: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    module = build.platform if hasattr(build.platform, name) else build.sysconfig
    monkeypatch.setattr(module, name, lambda: value)
    chosen = build.Build(WHEEL)
    assert chosen.extensions == []
    assert "supports CPython, not PyPy" in chosen.reason or "tested on Python" in chosen.reason
    assert build.requirements() == []


def test_require_compiles_for_an_untested_version(
    build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build.sysconfig, "get_python_version", lambda: "3.99")
    monkeypatch.setenv("BUILD_COMPILED", "require")
    assert build.Build(WHEEL).extensions == ["compiled"]


def test_require_fails_without_a_compiler(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    no_compiler(build, monkeypatch)
    monkeypatch.setenv("BUILD_COMPILED", "require")
    with pytest.raises(SystemExit, match="BUILD_COMPILED=require: the C compiler failed"):
        build.Build(WHEEL)


def test_modules_that_mypyc_refuses_make_the_wheel_pure(
    build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise build.UnavailableError("mypyc failed (invalid syntax)")

    monkeypatch.setattr(build, "compile_modules", refuse)
    chosen = build.Build(WHEEL)
    assert chosen.extensions == []
    assert chosen.reason == "mypyc failed (invalid syntax)"


def compile_program(build: Any, text: str, folder: Path) -> Any:
    """Run the command that compiles one extension module for a wheel; return the command."""
    source = folder / "program.c"
    source.write_text(text)
    wheel = build.Distribution({
        "name": "program", "version": "1",
        "ext_modules": [build.Extension("engineio_core.program", [str(source)])],
        "cmdclass": {"build_ext": build.Build(WHEEL).command()},
    })  # fmt: skip
    assert not wheel.get_command_obj("bdist_wheel").root_is_pure
    command = wheel.get_command_obj("build_ext")
    command.build_lib = command.build_temp = str(folder / "built")
    (folder / "built" / "engineio_core").mkdir(parents=True)
    command.ensure_finalized()
    command.run()
    return command


def test_failing_compiler_makes_the_wheel_pure(build: Any, tmp_path: Path) -> None:
    command = compile_program(build, "#error no memory\n", tmp_path)
    built = tmp_path / "built" / "engineio_core"
    assert [path.name for path in built.iterdir()] == ["pure_build.txt"]
    assert "the C compiler failed" in (built / "pure_build.txt").read_text()
    assert not command.distribution.has_ext_modules()
    assert command.get_finalized_command("bdist_wheel").root_is_pure


def test_failing_compiler_ends_a_build_that_requires_it(
    build: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BUILD_COMPILED", "require")
    with pytest.raises(SystemExit, match="BUILD_COMPILED=require: the C compiler failed"):
        compile_program(build, "#error no memory\n", tmp_path)


def test_unknown_mode_is_refused(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILD_COMPILED", "yes")
    with pytest.raises(SystemExit, match="must be one of auto, require, skip, got 'yes'"):
        build.requirements()


def test_machine_without_a_compiler_is_recognized(
    build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("CC", "/nonexistent/compiler")
    with pytest.raises(build.UnavailableError, match="the C compiler failed"):
        build.check_compiler()


def test_other_versions_of_mypy_are_refused(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(build, "version", lambda name: "1.0")
    with pytest.raises(build.UnavailableError, match=r"mypy 2\.4\.1 is required, found 1\.0"):
        build.check_mypy()


def test_compiler_is_the_mypy_of_the_development_tools(build: Any) -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    assert f"mypy=={build.MYPY}" in groups["dev"]


def test_compiled_versions_are_those_of_the_project(build: Any) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [each.removeprefix("Programming Language :: Python :: ") for each in
             project["classifiers"]]  # fmt: skip
    assert list(build.TESTED) == [each for each in named if each.startswith("3.")]


def test_reason_is_read_where_it_is_written(build: Any) -> None:
    assert ROOT / build.REASON_FILE == REASON_FILE


def test_listed_modules_exist_in_order(build: Any) -> None:
    assert sorted(build.MODULES) == build.MODULES
    assert all((ROOT / path).is_file() for path in build.MODULES)

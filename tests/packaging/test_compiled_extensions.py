"""scripts/compiled: whether a build compiles modules, and what it needs for that."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
WHEEL = ["setup.py", "bdist_wheel"]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import the module, on a machine that can compile; the translation returns one name."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "compiled"))
    monkeypatch.setenv("BUILD_COMPILED", "auto")
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


def test_wheel_is_compiled_if_possible(build: Any) -> None:
    assert build.make_extensions(WHEEL) == ["compiled"]
    assert build.requirements() == ["mypy==2.4.1"]


@pytest.mark.parametrize("command", ["editable_wheel", "sdist", "egg_info", "dist_info"])
def test_other_commands_compile_nothing(build: Any, command: str) -> None:
    assert build.make_extensions(["setup.py", command]) == []


@pytest.mark.parametrize("mode", ["", "skip"])
def test_wheel_is_pure_by_default(build: Any, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("BUILD_COMPILED", mode)
    assert build.make_extensions(WHEEL) == []
    assert build.requirements() == []


def test_wheel_is_pure_without_a_compiler(
    build: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_compiler(build, monkeypatch)
    assert build.make_extensions(WHEEL) == []
    assert build.requirements() == []
    assert capsys.readouterr().out == (
        "The wheel has no compiled modules, and works without them: "
        "the C compiler failed (gcc is missing)\n"
    )


def test_require_fails_without_a_compiler(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    no_compiler(build, monkeypatch)
    monkeypatch.setenv("BUILD_COMPILED", "require")
    with pytest.raises(SystemExit, match="BUILD_COMPILED=require: the C compiler failed"):
        build.make_extensions(WHEEL)


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


def test_listed_modules_exist_in_order(build: Any) -> None:
    assert sorted(build.MODULES) == build.MODULES
    assert all((ROOT / path).is_file() for path in build.MODULES)

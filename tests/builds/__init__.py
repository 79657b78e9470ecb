"""Tests that compare the pure and the compiled build; `make compiled` runs them."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Where `make compiled` installs the compiled build, and where it keeps the wheels.
COMPILED = ROOT / "build" / "compiled"
WHEELS = ROOT / "build" / "compiled-wheel"
MODULES = (ROOT / "scripts" / "compiled" / "modules.txt").read_text("utf-8").split()


def require_build() -> None:
    """Fail if `make compiled` has not built anything."""
    if not (COMPILED / "engineio_core").exists():
        pytest.fail(f"{COMPILED} is missing: run `scripts/test-compiled --build`")


def assert_compiled() -> None:
    """Raise AssertionError unless each compiled module is imported from the root of the tests."""
    for path in MODULES:
        module = import_module(path.removesuffix(".py").replace("/", "."))
        file = Path(str(module.__file__))
        assert file.suffix != ".py", f"{module.__name__} is not compiled: {file}"
        assert file.is_relative_to(ROOT), f"{module.__name__} is another installation: {file}"
    print(f"compiled build: {len(MODULES)} modules in {ROOT}", file=sys.stderr)

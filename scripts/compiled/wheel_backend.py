"""The build backend: setuptools, which needs mypy as well to build a compiled wheel.

A static requirement in pyproject.toml would also apply to source archives and to editable
installations, which are never compiled, and to machines without a C compiler.
"""

from __future__ import annotations

from typing import Any

from extension_modules import requirements
from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """Return the requirements of a wheel (PEP 517), with mypy if modules will be compiled."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *requirements()]

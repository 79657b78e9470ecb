"""CHANGELOG.md has dated versions, and its renamed names agree with the code."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

import engineio_core
import hextrackr_server
import socketio_core

CHANGELOG = (Path(__file__).parents[2] / "CHANGELOG.md").read_text("utf-8")
PACKAGES: dict[str, ModuleType] = {
    "engineio_core": engineio_core,
    "socketio_core": socketio_core,
}
RENAMES = re.findall(r"- `(\w+)\.(\w+)` is now `(\w+)\.(\w+)`", CHANGELOG)


def test_changelog_begins_with_unreleased_and_dates_each_version() -> None:
    headings = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert len(headings) > 1
    for heading in headings[1:]:
        assert re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d{2}-\d{2}", heading), heading
    assert headings[1].startswith(f"{hextrackr_server.__version__} - ")


def test_changelog_sections_have_known_names() -> None:
    sections = re.findall(r"^### (\w+)", CHANGELOG, re.MULTILINE)
    assert set(sections) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize(("package", "old", "new_package", "new"), RENAMES)
def test_renamed_name_exists_and_its_old_name_is_gone(
    package: str, old: str, new_package: str, new: str
) -> None:
    assert new in PACKAGES[new_package].__all__
    assert old not in PACKAGES[package].__all__

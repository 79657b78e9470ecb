"""The types and unit tests of the dashboard."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hextrackr_server.__main__ import main
from hextrackr_server.imports.formats.csv_table import ALLOW_PARTIAL

SOURCES = Path(__file__).resolve().parents[3] / "hextrackr_server" / "dashboard"


@pytest.mark.node
@pytest.mark.parametrize("script", ["check", "test"])
def test_sources_pass(script: str) -> None:
    done = subprocess.run(
        ["npm", "run", "--silent", script], cwd=SOURCES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_are_those_of_the_events() -> None:
    """`hextrackr-server types --output FILE` writes the file again."""
    assert main(["types", "--check", str(SOURCES / "src" / "types" / "events.ts")]) == 0


def test_refusal_of_a_partial_file_names_the_option_of_the_page() -> None:
    label = ALLOW_PARTIAL.partition('" on the page')[0].strip('"')
    assert label in (SOURCES / "src" / "views" / "imports" / "options_form.tsx").read_text()

"""The unit tests of the dashboard, which Node runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[3] / "hextrackr_server" / "dashboard"


@pytest.mark.node
@pytest.mark.parametrize("script", ["check", "test"])
def test_sources_pass(script: str) -> None:
    done = subprocess.run(
        ["npm", "run", "--silent", script], cwd=SOURCES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

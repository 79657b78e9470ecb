"""docs/formats.md is generated from the format profiles, and its mapping example is valid."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from hextrackr_server.imports.formats.profile import read_profile

ROOT = Path(__file__).parents[2]


def test_formats_document_is_up_to_date() -> None:
    command = [sys.executable, "scripts/formats_document.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mapping_example_is_a_valid_profile(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "formats.md").read_text("utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "example.toml"
    path.write_text(example)
    assert read_profile(path).date_order == "dmy"

"""docs/formats.md is generated from the format profiles, and its mapping example is valid."""

from __future__ import annotations

import re
from pathlib import Path

from hextrackr_server.imports.formats.profile import read_profile
from scripts.formats_document import DOCUMENT, render


def test_formats_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text("utf-8") == render(), "run scripts/formats_document.py"


def test_mapping_example_is_a_valid_profile(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    path = tmp_path / "example.toml"
    path.write_text(example)
    assert read_profile(path).date_order == "dmy"

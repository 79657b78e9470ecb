"""Write docs/guide-coverage.md from the requirements of the guide and the tests.

docs/guide-requirements.toml contains the requirement and the behavior of the server for each row.
The row numbers in the names of the tests in tests/contract/ and tests/interop/ add the tests:
`test_s057_...` covers row S57, `test_s042_s045_...` covers both rows.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
TESTS = (ROOT / "tests" / "contract", ROOT / "tests" / "interop")
REQUIREMENTS = ROOT / "docs" / "guide-requirements.toml"
DOCUMENT = ROOT / "docs" / "guide-coverage.md"
LAST_ROW = 146
_ROWS = re.compile(r"_s(\d{3})(?=_)")

INTRODUCTION = """\
# Coverage of HexTrackr's Socket.IO guide

HexTrackr's guide to Socket.IO has {rows} requirements. This page lists each of them, the
behavior of the server, and the files in `tests/contract/` and `tests/interop/` that test it.

Implemented: {works}, not applicable: {not_applicable}, missing: {missing}. Where
the guide has a defect, the server does what the guide intends; the third column describes it.

`scripts/guide_coverage.py` writes this document from `docs/guide-requirements.toml` and the names
of the tests.
"""


class Row(NamedTuple):
    """One requirement of the guide, and the behavior of the server."""

    number: int
    section: str
    requirement: str
    server: str
    not_applicable: str


def read_requirements() -> list[Row]:
    """Return the rows of the requirements file, in its order."""
    document = tomllib.loads(REQUIREMENTS.read_text("utf-8"))
    return [
        Row(int(key[1:]), section["title"], cells[0], cells[1], cells[2] if cells[2:] else "")
        for section in document["section"]
        for key, cells in section["rows"].items()
    ]


def find_tests() -> dict[int, set[str]]:
    """Return the files that have a test for each row, as paths in the folder of the tests."""
    found: dict[int, set[str]] = {}
    for path in sorted(path for folder in TESTS for path in folder.glob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for row in rows_of(node.name):
                    found.setdefault(row, set()).add(f"{path.parent.name}/{path.name}")
    return found


def rows_of(name: str) -> list[int]:
    """Return the row numbers in the name of a test."""
    return [int(digits) for digits in _ROWS.findall(name)] if name.startswith("test_s") else []


def render() -> str:
    """Return the text of the document."""
    found = find_tests()
    lines: list[str] = []
    counts = {"works": 0, "not_applicable": 0, "missing": 0}
    section = ""
    for row in read_requirements():
        if row.section != section:
            section = row.section
            lines += ["", f"## {section}", ""]
            lines += ["| Row | Requirement of the guide | Behavior of the server | Test |"]
            lines += ["|---|---|---|---|"]
        files = sorted(found.get(row.number, ()))
        links = ", ".join(
            f"[{name.partition('/test_')[2][:-3]}](../tests/{name})" for name in files
        )
        server = row.server
        if row.not_applicable:
            counts["not_applicable"] += 1
            server += f" Not applicable: {row.not_applicable}."
        else:
            counts["works" if files else "missing"] += 1
        lines.append(f"| S{row.number} | {row.requirement} | {server} | {links or 'missing'} |")
    return INTRODUCTION.format(rows=LAST_ROW, **counts) + "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(render(), "utf-8")

"""Which rows of the contract have tests: writes docs/guide-coverage.md from the tests' names.

A test that is called `test_s057_...` in tests/contract/ stands for row S57, one that is called
`test_s042_s045_...` for both. `--check` writes nothing and fails where the document is not current.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests" / "contract"
DOCUMENT = ROOT / "docs" / "guide-coverage.md"
LAST_ROW = 146
#: Rows that ask nothing of this server, and why; tests hold what there is of them all the same.
NOT_APPLICABLE = {
    87: "the Redis adapter comes with scaling out; `REDIS_URL` is read and checked (S144)",
    88: "as S87",
    146: "helpers of a page in the browser; the server has no part in them",
}
_ROWS = re.compile(r"_s(\d{3})(?=_)")


def find_tests() -> dict[int, list[tuple[str, str]]]:
    """The tests of each row: where they are, and what they say."""
    found: dict[int, list[tuple[str, str]]] = {}
    for path in sorted(TESTS.glob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for row in rows_of(node.name):
                    found.setdefault(row, []).append((path.name, sentence_of(node)))
    return found


def rows_of(name: str) -> list[int]:
    """The numbers in the name of a test."""
    return [int(digits) for digits in _ROWS.findall(name)] if name.startswith("test_s") else []


def sentence_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """What a test says: its docstring's first line, else its name."""
    docstring = ast.get_docstring(node)
    if docstring:
        return docstring.splitlines()[0].rstrip(".")
    return _ROWS.sub("", node.name.removeprefix("test")).strip("_").replace("_", " ")


def render() -> str:
    """The document."""
    found = find_tests()
    rows, counts = [], {"works": 0, "not applicable": 0, "missing": 0}
    for row in range(1, LAST_ROW + 1):
        tests = found.get(row, [])
        files = ", ".join(sorted({f"`{name}`" for name, _ in tests}))
        if row in NOT_APPLICABLE:
            status, text = "not applicable", NOT_APPLICABLE[row]
        elif tests:
            status, text = "works", "; ".join(sorted({sentence for _, sentence in tests}))
        else:
            status, text = "missing", ""
        counts[status] += 1
        text = text.replace("|", "\\|")
        rows.append(f"| S{row} | {status} | {text} | {files} |")
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    return "\n".join(
        (
            "# What of the guide works",
            "",
            "Written by `scripts/guide_coverage.py` from the names of the tests in "
            "`tests/contract/`.",
            "",
            f"{LAST_ROW} rows: {summary}.",
            "",
            "| Row | | What the tests say | Where |",
            "|---|---|---|---|",
            *rows,
            "",
        )
    )


def main(arguments: list[str]) -> int:
    """Write the document, or compare it; the exit code."""
    text = render()
    if "--check" in arguments:
        if not DOCUMENT.exists() or DOCUMENT.read_text("utf-8") != text:
            print("docs/guide-coverage.md is not current: run scripts/guide_coverage.py")
            return 1
        return 0
    DOCUMENT.write_text(text, "utf-8")
    print(text.splitlines()[4])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

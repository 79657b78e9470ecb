"""Inject the faults of `rows`, and print their outcomes: `python -m benchmarks.faults`.

Tests of faults run in this process; faults of running servers follow. The exit code is 1 if a row
is not held. A row whose tests cannot run on this machine is "not run", with the reason.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

from benchmarks.faults.live import Outcome
from benchmarks.faults.rows import FAULTS, Fault
from benchmarks.report import format_markdown, rewrite_table

ROOT: Final = Path(__file__).parents[2]
BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"
HEADS: Final = ("place", "fault", "outcome", "cases", "lost", "p99 of others", "", "test")
_LIVE_SECONDS: Final = 240.0
_REWRITE: Final = "ignore::pytest.PytestAssertRewriteWarning"


class Results:
    """A plugin of pytest that keeps the outcome of each test."""

    def __init__(self) -> None:
        self.passed: dict[str, int] = defaultdict(int)
        self.failed: dict[str, int] = defaultdict(int)
        self.skipped: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test under its node ID, and under the ID without its parameters."""
        for name in {report.nodeid, report.nodeid.partition("[")[0]}:
            if report.skipped:
                self.skipped[name] = str(report.longrepr)
            elif report.failed:
                self.failed[name] += 1
            elif report.when == "call":
                self.passed[name] += 1
        if report.when == "teardown":
            print(".", end="", file=sys.stderr, flush=True)


def run_tests(rows: list[Fault]) -> Results:
    """Run the tests of the rows once each."""
    results = Results()
    names = list(dict.fromkeys(name for row in rows for name in row.tests))
    if names:
        # pytest warns that it cannot rewrite assertions of modules that this process has imported.
        options = ["-q", "-p", "no:cacheprovider", "-W", _REWRITE, "--rootdir", str(ROOT)]
        # Without the output of pytest, which names tests and not faults.
        with contextlib.redirect_stdout(io.StringIO()) as output:
            code = pytest.main([*options, *names], plugins=[results])
        print(file=sys.stderr)
        if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            print(output.getvalue()[-5000:], file=sys.stderr)
    return results


def cells_of_tests(row: Fault, results: Results) -> tuple[str, ...]:
    """Return the number of cases and the verdict of a row with tests."""
    cases = sum(results.passed[name] + results.failed[name] for name in row.tests)
    if any(results.failed[name] for name in row.tests):
        verdict = "not held"
    elif missing := [name for name in row.tests if not results.passed[name]]:
        verdict = f"not run ({results.skipped.get(missing[0], 'not collected')})"
    else:
        verdict = "held"
    return str(cases), "0" if verdict == "held" else "-", "-", verdict


async def cells_of_live(row: Fault) -> tuple[str, ...]:
    """Run a fault of a running server; return its figures and the verdict."""
    assert row.run is not None
    try:
        async with asyncio.timeout(_LIVE_SECONDS):
            found = await row.run()
    except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
        found = Outcome(0, False, 0, float("inf"), f"{type(error).__name__}: {error}")
    verdict = "held" if found.is_held else f"not held {found.problem}".strip()
    return str(found.tried), str(found.lost), f"{found.p99:.1f} ms", verdict


def main() -> int:
    """Print the table; the exit code is 1 if a fault was not held."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("--only", default="", help="only rows whose place or fault has this text")
    parser.add_argument("--write", action="store_true", help="write the table of SECURITY.md")
    arguments = parser.parse_args()
    rows = [row for row in FAULTS if arguments.only in f"{row.place}: {row.fault}"]
    results = run_tests(rows)
    table = []
    for row in rows:
        cells = asyncio.run(cells_of_live(row)) if row.run else cells_of_tests(row, results)
        files = sorted({Path(name.partition("::")[0]) for name in row.tests})
        links = ", ".join(f"[{each.stem}]({each})" for each in files) or "`make hostile`"
        table.append((row.place, row.fault, row.outcome, *cells, links))
        print("  ".join(table[-1][:-1]), flush=True)
    if arguments.write:
        rewrite_table(ROOT / "SECURITY.md", format_markdown([HEADS, *table]), BEGIN, END)
    return int(any(row[-2].startswith("not held") for row in table))


if __name__ == "__main__":
    sys.exit(main())

"""The table of faults names tests that exist."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from benchmarks.faults.__main__ import ROOT, Results, cells_of_tests, main
from benchmarks.faults.rows import FAULTS, Fault
from tests.contract.test_conditions import CONDITIONS


@pytest.mark.parametrize("row", FAULTS, ids=[f"{row.place}: {row.fault}" for row in FAULTS])
def test_row_names_tests_that_exist_or_a_live_fault(row: Fault) -> None:
    assert bool(row.tests) != bool(row.run)
    for node in row.tests:
        file, _, test = node.partition("::")
        name, _, parameters = test.partition("[")
        module = import_module(file.removesuffix(".py").replace("/", "."))
        assert callable(getattr(module, name)), node
        if parameters:
            assert parameters.rpartition("-")[0] in CONDITIONS, node


def test_row_is_held_only_if_all_of_its_tests_passed() -> None:
    row = Fault("place", "fault", "outcome", ("a.py::test_a", "a.py::test_b"))
    results = Results()
    results.passed["a.py::test_a"] = 2
    assert cells_of_tests(row, results) == ("2", "-", "-", "not run (not collected)")
    results.passed["a.py::test_b"] = 1
    assert cells_of_tests(row, results) == ("3", "0", "-", "held")
    results.failed["a.py::test_a"] = 1
    assert cells_of_tests(row, results) == ("4", "-", "-", "not held")


def test_program_runs_the_tests_of_a_row_and_prints_its_verdict() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", "--only", "tokens: clock set back"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    place, fault, *_, verdict = done.stdout.strip().split("  ")
    assert (place, fault, verdict) == ("tokens", "clock set back by a day", "held")


def test_faults_of_a_running_server_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["faults", "--only", "cut without FIN"])
    assert main() == 0
    place, fault, outcome, tried, lost, p99, verdict = capsys.readouterr().out.strip().split("  ")
    assert (place, tried, lost, verdict) == ("server", "100", "0", "held")
    assert fault
    assert outcome
    assert p99.endswith(" ms")

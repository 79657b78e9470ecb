"""The benchmark of imports: its figures, its floor, and one short run of a part."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.imports import older
from benchmarks.imports.cpu import run_floor
from benchmarks.imports.figures import (
    BEGIN,
    END,
    Figure,
    draw_chart,
    format_table,
    write_table,
)
from benchmarks.imports.processes import tree_cpu_seconds
from benchmarks.peers import ROOT
from benchmarks.process_tree import find_tree
from hextrackr_server.cli.sample import write_sample

MACHINE = {"cores": "2", "cpu": "a CPU", "kernel": "6", "python": "3", "sqlite": "3", "commit": "c"}


@pytest.mark.parametrize(
    ("figure", "result"),
    [
        (Figure("size", 100, "MB", 100), "reached"),
        (Figure("size", 100, "MB", 100.5), "not reached"),
        (Figure("cpu", 1.3, "s", 2.6, 2.0, "floor"), "reached"),
        (Figure("cpu", 1.3, "s", 2.7, 2.0, "floor"), "not reached"),
        (Figure("cpu", 1.3, "s", base_name="floor", missing="no floor"), "not measured"),
        (Figure("cpu", 1.3, "s", 1.0, base_name="floor"), "not measured"),
    ],
)
def test_result_compares_the_value_or_its_ratio_with_the_goal(figure: Figure, result: str) -> None:
    assert figure.result == result


def test_table_names_the_reason_of_a_missing_figure(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    figures = [
        Figure("cpu", 1.3, "s", 2.7, 2.0, "floor"),
        Figure("wall", 0.2, "s", base_name="commit", missing="not in this clone"),
    ]
    write_table(document, format_table(figures, MACHINE, 1000))
    text = document.read_text()
    assert "| cpu | 2.7 s | floor: 2 s | 1.35 | 1.3 times | not reached |" in text
    assert "| wall | - | - | - | 0.2 times | not measured (not in this clone) |" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")


def test_wall_time_is_not_measured_when_the_commit_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(older, "COMMIT", "0" * 40)
    (figure,) = older.measure_wall(tmp_path / "file.csv", tmp_path / "hubs").figures
    assert figure.result == "not measured"
    assert "not in this clone" in figure.missing


def test_floor_imports_the_file_twice(tmp_path: Path) -> None:
    file = tmp_path / "sample.csv"
    write_sample(file, 200, 1)
    first, second = run_floor(file, tmp_path / "floor.db")
    assert first["cpu"] > 0
    assert second["cpu"] > 0


def test_cpu_time_of_a_tree_includes_children_that_run_and_that_have_ended() -> None:
    burn = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
    program = (
        "import subprocess, sys\n"
        f"burn = {burn!r}\n"
        "subprocess.run([sys.executable, '-c', burn])\n"
        "child = subprocess.Popen([sys.executable, '-c', burn + 'print(flush=True); input()'],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(flush=True); input(); child.communicate(b'\\n')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert len(find_tree(parent.pid)) == 2
        assert tree_cpu_seconds(parent.pid) >= 0.4
        parent.communicate(b"\n")
    assert parent.returncode == 0


@pytest.mark.slow
def test_command_prints_each_figure_with_its_result() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.imports", "--rows", "300", "--only", "cpu", "latency"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in ("CPU time, first import", "database size", "acked round trip of another client"):
        assert name in done.stdout
    assert "reached" in done.stdout


def test_chart_shows_the_share_of_the_goal_of_each_measured_figure() -> None:
    figures = [
        Figure("size", 2.0, "MB", 3.0, 2.0, "file"),
        Figure("memory", 100.0, "MB", 150.5),
        Figure("time", 1.0, "s", missing="no server"),
    ]
    chart = draw_chart(figures)
    assert ">size<" in chart
    assert ">75%<" in chart
    assert ">150% &#8594;<" in chart
    assert ">time<" not in chart

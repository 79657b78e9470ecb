"""The figures and tables of the benchmark, from samples of a run that did not happen."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report, stage_report
from benchmarks.chart import draw
from benchmarks.experiments import ACK_8, EXPERIMENTS, MEMORY, Contender, Experiment
from benchmarks.figures import Outcome, evaluate
from benchmarks.goals import ASYNC, FIGURES, PLAIN, Figure
from benchmarks.idle import Idle
from benchmarks.measure import Bench, Effort, Results, describe
from benchmarks.peers import Peer
from benchmarks.report import Rows
from benchmarks.workloads import Sample

ROOT = Path(__file__).parents[2]
FIGURE = next(each for each in FIGURES if each.name == f"{ACK_8}, {PLAIN}")
COSTS = {
    PLAIN: 4.0, f"{PLAIN}, compiled": 2.0, f"{PLAIN}, older commit": 4.0, "Node": 10.0,
    "socketioxide": 2.5, "floor": 1.0, "C floor": 0.6, "Go": 20.0,
}  # fmt: skip


def samples(microseconds: float) -> list[Sample]:
    """Return the samples of three rounds, the first and the last of which differ by a tenth."""
    return [Sample(1000, 1.0, microseconds * share / 1e3, 0, 0) for share in (0.9, 1.0, 1.1)]


def results(costs: dict[str, float]) -> Results:
    return {ACK_8: {name: samples(cost) for name, cost in costs.items()}}


def outcome(costs: dict[str, float], figure: Figure = FIGURE) -> Outcome:
    found = evaluate(figure, results(costs))
    assert found is not None
    return found


def cells(rows: Rows, head: str, number: int = 0) -> str:
    """Return the cell of the first row below a head; `number` counts equal heads."""
    columns = [index for index, each in enumerate(rows[0]) if each == head]
    return rows[1][columns[number]]


def test_compiled_build_is_compared_with_each_base() -> None:
    rows = report.make_goal_rows([outcome(COSTS)])
    assert cells(rows, "to commit abc01f9") == "0.50 (0.50-0.50)"
    assert cells(rows, "to Node") == "0.20 (0.20-0.20)"
    assert cells(rows, "to socketioxide") == "0.80 (0.80-0.80)"
    # Goals of 0.62, 0.18 and 0.75
    assert [cells(rows, "", number) for number in range(3)] == [
        "reached", "not reached", "not reached",
    ]  # fmt: skip


def test_pure_build_is_compared_when_the_compiled_build_is_missing() -> None:
    rest = {name: cost for name, cost in COSTS.items() if "compiled" not in name}
    rows = report.make_goal_rows([outcome(rest)])
    assert cells(rows, "to Node") == "0.40 (0.40-0.40)"
    assert cells(report.make_cost_rows([outcome(rest)]), "compiled") == "-"


def test_goals_of_missing_servers_have_no_result() -> None:
    rows = report.make_goal_rows([outcome({PLAIN: 1.0, "Node": 10.0})])
    assert cells(rows, "to commit abc01f9") == cells(rows, "to socketioxide") == "-"
    assert cells(rows, "", 1) == "reached"


def test_figure_is_missing_when_its_base_was_not_measured() -> None:
    assert evaluate(FIGURE, results({PLAIN: 1.0})) is None


def test_costs_have_a_median_and_a_spread() -> None:
    rows = report.make_cost_rows([outcome(COSTS)])
    assert cells(rows, "pure") == "4.00 us (3.60-4.40)"
    assert cells(rows, "commit abc01f9") == "4.00 us (3.60-4.40)"
    assert cells(rows, "python-socketio") == "-"


def test_build_of_this_project_is_compared_with_the_same_build() -> None:
    figure = Figure("full", ACK_8, "--full", 1.15, base=ASYNC)
    costs = {"--full": 6.0, ASYNC: 4.0, "--full, compiled": 2.2, f"{ASYNC}, compiled": 2.0}
    rows = report.make_ratio_rows([outcome(costs, figure)])
    assert cells(rows, "here") == "2.20 us (1.98-2.42)"
    assert cells(rows, "ratio") == "1.10 (1.10-1.10)"
    assert cells(rows, "") == "reached"


def test_versions_of_python_have_a_table() -> None:
    found = {"event, by Python version": {"Python 3.11": samples(4.0), "Python 3.13": samples(3.0)}}
    rows = report.make_version_rows(found)
    assert rows[0] == ("figure", "Python 3.11", "Python 3.12", "Python 3.13")
    assert rows[1] == ("event", "4.00 us (3.60-4.40)", "-", "3.00 us (2.70-3.30)")


@pytest.mark.parametrize(("heartbeat", "result"), [(2.4, "reached"), (2.6, "not reached")])
def test_idle_connections_have_the_goal_of_one_percent(heartbeat: float, result: str) -> None:
    rows = report.make_idle_rows([Idle("ours", 100_000, 50.0, 6144.0, heartbeat)])
    assert cells(rows, "opened per second") == "2,000"
    assert cells(rows, "memory of each") == "6.0 KiB"
    assert cells(rows, "") == result


def test_stages_add_up_to_the_event() -> None:
    times = dict.fromkeys((stage_report.READ, stage_report.DECODE, stage_report.ENCODE), 0.5)
    stages = stage_report.Stages({**times, stage_report.TOGETHER: 2.5}, None)
    found = stage_report.find_outcome([outcome(COSTS)])
    assert found is not None
    rows = stage_report.make_rows(stages, found)
    assert [row[1] for row in rows[1:]] == [
        "0.60 us", "0.40 us", "0.50 us", "0.50 us", "0.50 us", "1.00 us", "4.00 us",
    ]  # fmt: skip
    text = stage_report.format_text(stages, found)
    assert "takes 4.0 us of CPU time in pure Python" in text
    assert "10.0 us on Node and 2.5 us with socketioxide" in text


def test_stages_need_both_floors() -> None:
    rest = {name: cost for name, cost in COSTS.items() if name != "C floor"}
    assert stage_report.find_outcome([outcome(rest)]) is None


def test_chart_has_a_bar_for_each_measured_server() -> None:
    chart = draw([outcome(COSTS)])
    assert ">0.20<" in chart
    assert ">0.25<" in chart


@pytest.mark.parametrize("document", ["README.md", "docs/benchmarks.md"])
def test_documents_have_the_markers_of_the_stages(document: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.md"
    copy.write_text((ROOT / document).read_text("utf-8"), encoding="utf-8")
    assert report.rewrite_table(copy, "new text", stage_report.BEGIN, stage_report.END)
    assert "\nnew text\n" in copy.read_text("utf-8")


def test_each_figure_belongs_to_contenders_of_an_experiment() -> None:
    contenders = {
        experiment.name: {each.name for each in (*experiment.contenders, *experiment.extra)}
        for experiment in EXPERIMENTS
    }
    for figure in FIGURES:
        assert {figure.ours, figure.base} <= contenders[figure.experiment], figure.name
        if figure.old_goal is not None:
            assert figure.old in contenders[figure.experiment], figure.name


def test_each_comparison_with_another_project_measures_both_builds() -> None:
    contenders = {each.name: {one.name for one in each.contenders} for each in EXPERIMENTS}
    figures = [each for each in FIGURES if each.base in ("Node", "python-socketio")]
    assert {each.base for each in figures} == {"Node", "python-socketio"}
    for figure in figures:
        assert {figure.ours, figure.compiled} <= contenders[figure.experiment], figure.name


async def test_contender_that_fails_is_named_and_the_others_are_measured() -> None:
    class Broken:
        """A workload whose server does not answer."""

        async def prepare(self, server: object) -> None:
            raise RuntimeError("no answer\nTraceback\nlast line")

        async def measure(self, server: object, seconds: float) -> Sample:
            raise AssertionError("never called")

        async def finish(self) -> None:
            pass

    class Working(Broken):
        """A workload that returns a sample."""

        async def prepare(self, server: object) -> None:
            pass

        async def measure(self, server: object, seconds: float) -> Sample:
            return Sample(1, 1.0, 1.0, 0, 0)

    class Inert(Bench):
        """A benchmark without servers."""

        def _server(self, contender: Contender) -> None:  # type: ignore[override]
            pass

    peer = Peer("peer", ("true",))
    bench = Inert(Effort(0.0, 2, 2, 0.0), lambda text: None)
    contenders = (Contender("bad", peer, Broken), Contender("good", peer, Working))
    await bench.run(Experiment("both", None, contenders))
    assert bench.failures == ["both, bad: RuntimeError: no answer (last line)"]
    assert len(bench.results["both"]["good"]) == 2
    assert bench.results["both"]["bad"] == []


def test_error_without_text_is_described_by_its_type() -> None:
    assert describe(TimeoutError()) == "TimeoutError: "


def test_memory_has_bytes_as_its_unit() -> None:
    figure = next(each for each in FIGURES if each.experiment == MEMORY)
    found = evaluate(figure, {MEMORY: {ASYNC: samples(6144.0), "Node": samples(12288.0)}})
    assert found is not None
    assert cells(report.make_cost_rows([found]), "pure") == "6.0 KiB (5.4-6.6)"

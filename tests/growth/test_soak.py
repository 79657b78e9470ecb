"""The figures of the soak: growth, limits and the plot. `make soak` runs the servers."""

from __future__ import annotations

import importlib
import os
import random
from xml.etree import ElementTree

import pytest

from benchmarks.peers import PeerMissingError
from benchmarks.soak import core_acts, hub_acts, kinds
from benchmarks.soak.kinds import DEFAULT_KINDS, KINDS, check_shared
from benchmarks.soak.plot import PANELS, draw
from benchmarks.soak.processes import waiting_seconds
from benchmarks.soak.series import IDLE_AMOUNTS, KEPT, METRICS, Idle, Record, Series

MEMORY = METRICS[0]
IDLE = {"memory": 50.0, "descriptors": 20.0, "threads": 7.0, "tasks": 2.0}


def make_series(*values: float) -> Series:
    series = Series(MEMORY)
    for number, value in enumerate(values):
        series.add(10.0 * number, value)
    return series


def make_record(after: dict[str, float] | None = None, **objects: int) -> Record:
    record = Record("server", idle=[Idle({"a.A": 1}, IDLE), Idle(objects, IDLE | (after or {}))])
    for number in range(20):
        values = {each.name: 100.0 for each in METRICS}
        record.add(float(number), values)
    return record


def test_growth_is_that_of_the_second_half() -> None:
    rising = [float(number) for number in range(50)]
    assert make_series(*rising, *[50.0] * 50).growth == pytest.approx(0, abs=0.01)
    assert make_series(*[0.0] * 50, *rising).growth == pytest.approx(49)


def test_growth_ignores_peaks() -> None:
    values = [100.0] * 40
    values[38] = 1000.0
    assert not make_series(*values).has_grown


def test_slow_growth_in_noise_is_detected() -> None:
    noise = random.Random(1)
    values = [100 + number * 0.3 + noise.uniform(-3, 3) for number in range(100)]
    assert make_series(*values).growth == pytest.approx(15, rel=0.2)
    assert make_series(*values).has_grown


def test_growth_below_the_limit_is_allowed() -> None:
    assert make_series(*[100 + number * 0.01 for number in range(100)]).has_grown is False


def test_few_samples_do_not_grow() -> None:
    assert make_series(1.0, 2.0, 300.0).growth == 0


def test_steady_server_has_no_failures() -> None:
    assert make_record(**{"a.A": 1}).failures(with_growth=True) == []


@pytest.mark.parametrize(("after", "objects", "failure"), [
    ({"memory": 53.0}, {}, "server: memory without clients rises by 6.0%"),
    ({"tasks": 5.0}, {}, "server: tasks remain without clients: 3"),
    ({}, {"a.B": 1}, "server: objects remain without clients: {'a.B': 1}"),
    ({}, {"a.A": 3}, "server: objects remain without clients: {'a.A': 2}"),
], ids=["memory", "tasks", "new class", "more objects"])  # fmt: skip
def test_record_fails_when_resources_remain_without_clients(
    after: dict[str, float], objects: dict[str, int], failure: str
) -> None:
    assert make_record(after, **objects).failures(with_growth=False) == [failure]


def test_lost_event_is_a_failure() -> None:
    record = make_record()
    record.lost.update({"DisconnectedError (ping timeout)": 2})
    assert record.failures(with_growth=False) == [
        "server: 2 acked events had no answer: 2 x DisconnectedError (ping timeout)"
    ]


def test_event_without_an_answer_of_a_starved_server_is_a_note() -> None:
    record = make_record()
    record.starved.update({"DisconnectedError (ping timeout)": 1})
    assert record.failures(with_growth=False) == []
    assert record.notes() == [
        "server: 1 acked events had no answer: 1 x DisconnectedError (ping timeout), "
        "while the server had no processor"
    ]


def test_waiting_time_of_a_process_without_statistics_is_zero() -> None:
    assert waiting_seconds(os.getpid()) >= 0
    assert waiting_seconds(2**30) == 0


def test_growing_metric_is_a_failure_only_with_growth() -> None:
    record = make_record()
    for number in range(40):
        record.series[0].add(20.0 + number, 100.0 + 2 * number)
    (failure,) = record.failures(with_growth=True)
    assert failure.startswith("server: memory grows by ")
    assert record.failures(with_growth=False) == []


def test_kept_classes_exist_and_may_reach_their_limits() -> None:
    for name, limit in KEPT.items():
        module, _, kind = name.rpartition(".")
        assert hasattr(importlib.import_module(module), kind)
        assert not make_record(**{name: limit}).failures(with_growth=False)
        assert make_record(**{name: limit + 1}).failures(with_growth=False)


def test_table_has_a_row_for_each_metric_and_each_resource_without_clients() -> None:
    rows = make_record().rows()
    assert len(rows) == len(METRICS) + len(IDLE_AMOUNTS) + 2
    assert {len(row) for row in rows} == {8}


def test_plot_is_well_formed_and_has_a_line_for_each_metric() -> None:
    plot = ElementTree.fromstring(draw([make_record(), make_record()], "<title>"))
    lines = plot.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2 * sum(len(names) for _, names in PANELS)


def test_default_soak_runs_without_redis_and_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds.shutil, "which", lambda name: None)
    monkeypatch.setattr(kinds, "missing_reason", lambda: "PostgreSQL is not installed")
    check_shared(list(DEFAULT_KINDS))


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - set(DEFAULT_KINDS)))
def test_missing_program_is_reported_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(kinds.shutil, "which", lambda name: None)
    monkeypatch.setattr(kinds, "missing_reason", lambda: "PostgreSQL is not installed")
    with pytest.raises(PeerMissingError, match=r"not installed: run .* or run with SERVERS="):
        check_shared([*DEFAULT_KINDS, kind])


def test_acts_have_names_of_their_own() -> None:
    for acts in (core_acts.ACTS, hub_acts.ACTS):
        assert len({each.__name__ for each in acts}) == len(acts)

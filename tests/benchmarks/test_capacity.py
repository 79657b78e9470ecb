"""Tests of the capacity model and of its simulation of broadcasts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scale.capacity import (
    PROFILES,
    Assumptions,
    Figures,
    Profile,
    format_plans,
    occupied,
    plan,
    read_figures,
)
from benchmarks.scale.fanout import (
    Broadcast,
    Costs,
    arrivals,
    one_after_the_other,
    simulate,
)
from benchmarks.scale.fanout_runs import CHECKS, Measured, calibrate, make_record
from benchmarks.scale.results import DOCUMENT, Row, read_record

COSTS = Costs(request=100, receive=50, delivery=2, broker_publish=10, broker_pass=5)
FIGURES = Figures(
    connect=500, event=10, connection_bytes=6000, process_bytes=20_000_000, fanout=COSTS
)
QUIET = Profile("quiet", event_seconds=100.0, broadcasts=1.0, members=1_000_000)


def test_simulated_costs_are_those_of_each_step() -> None:
    run = simulate(COSTS, 2, [Broadcast(0.0, 0, {0: 10, 1: 20})])
    assert run.server_seconds == pytest.approx([120e-6, 90e-6])
    assert run.broker_seconds == pytest.approx([20e-6])
    assert run.latencies == pytest.approx([120e-6 + 20e-6 + 90e-6])
    assert run.deliveries == 30
    assert run.per_cpu_second == pytest.approx(30 / 210e-6)


def test_simulated_servers_without_recipients_receive_no_message() -> None:
    run = simulate(COSTS, 3, [Broadcast(0.0, 1, {1: 10})])
    assert run.server_seconds == pytest.approx([0.0, 120e-6, 0.0])
    assert run.broker_seconds == pytest.approx([15e-6])


def test_simulated_broadcasts_wait_for_a_busy_server() -> None:
    run = simulate(COSTS, 1, [Broadcast(0.0, 0, {0: 10}), Broadcast(0.0, 0, {0: 10})])
    assert run.latencies == pytest.approx([120e-6, 240e-6])


def test_simulated_shards_work_at_the_same_time() -> None:
    broadcasts = [Broadcast(0.0, 0, {1: 1}), Broadcast(0.0, 1, {0: 1})]
    slow = replace(COSTS, broker_publish=10_000)
    one, two = (simulate(slow, 2, broadcasts, shards).latencies[1] for shards in (1, 2))
    assert one - two == pytest.approx(0.01, rel=0.05)


def test_simulation_saturates_when_the_load_exceeds_the_servers() -> None:
    # A broadcast to 1,000 clients takes 2.1 ms of CPU time.
    light, heavy = (
        simulate(COSTS, 1, arrivals(rate, 20 / rate, 1, 1000)).percentile(0.99)
        for rate in (10.0, 2000.0)
    )
    assert light < 0.01
    assert heavy > 0.02


def test_room_is_on_as_many_processes_as_it_has_members_at_most() -> None:
    assert occupied(1, 50) == pytest.approx(1)
    assert occupied(20, 1_000_000) == pytest.approx(20, rel=1e-4)
    assert occupied(1_000_000, 50) == pytest.approx(50)


def test_plan_multiplies_costs_by_rates() -> None:
    result = plan(QUIET, FIGURES, Assumptions(kernel_bytes=4000))
    # Heartbeats and events 0.5, connects 0.278, deliveries 2, messages of 49 processes 0.00245.
    assert result.cores == pytest.approx(0.4 + 0.1 + 0.2778 + 2.0 + 0.0001 + 0.00245, rel=1e-3)
    assert result.deliveries == 1_000_000
    assert (result.processes, result.servers, result.shards) == (50, 8, 1)
    assert result.memory_bytes == 1_000_000 * 10_000 + 50 * 20_000_000
    assert result.redis_messages == pytest.approx(50)
    # 125,000 clients of 0.5 ms, on the idle part of 43.75 processes.
    assert result.reconnect_seconds == pytest.approx(62.5 / (43.75 - result.cores))


def test_plan_adds_processes_until_the_utilization_is_kept() -> None:
    busy = Profile("busy", event_seconds=10.0, broadcasts=30_000.0, members=20)
    given = Assumptions(utilization=0.5)
    result = plan(busy, FIGURES, given)
    assert result.cores <= result.processes * given.utilization
    assert result.cores > (result.processes - 2) * given.utilization
    # 30,000 messages of 10 + 5 * 17.2 us per second; a shard has half of a core.
    assert result.shards == 6


def test_last_delivery_takes_at_least_the_deliveries_of_one_process() -> None:
    result = plan(QUIET, FIGURES, Assumptions())
    assert result.latency_p50 > 20_000 * COSTS.delivery / 1e6


def test_calibration_returns_the_costs_of_a_simulated_machine() -> None:
    def run(servers: int, clients: int) -> Measured:
        simulated = simulate(COSTS, servers, one_after_the_other(4, servers, clients))
        return Measured(
            sum(simulated.server_seconds) / 4 * 1e6, sum(simulated.broker_seconds) / 4 * 1e6
        )

    single = run(1, 20)
    few = [run(servers, 20) for servers, _ in CHECKS]
    many = [run(1, servers * clients) for servers, clients in CHECKS]
    for found in calibrate([single, *few, *many]):
        assert found == Costs(**{
            name: pytest.approx(value) for name, value in vars(COSTS).items()
        })  # fmt: skip


def test_recorded_run_is_predicted_within_a_third() -> None:
    recorded = read_record()["fanout"]
    again = make_record(
        [Measured(**each) for each in recorded["calibration"]],
        [Measured(**each) for each in recorded["measured"]],
    )
    assert again["checks"] == [
        {name: pytest.approx(value) for name, value in check.items()}
        for check in recorded["checks"]
    ]
    for check in again["checks"]:
        assert abs(check["error"]) < 1 / 3, check


def test_documented_plans_follow_from_the_recorded_figures() -> None:
    figures = read_figures(read_record())
    plans = [plan(profile, figures, Assumptions()) for profile in PROFILES]
    document = DOCUMENT.read_text(encoding="utf-8")
    remedy = "run: python -m benchmarks.scale --only capacity --write"
    assert format_plans(plans) in document, remedy


@pytest.mark.parametrize(
    ("row", "result"),
    [
        (Row.compare("cpu", [4.0, 9.0, 5.0], [10.0, 10.0, 10.0], "Node", 0.5), "reached"),
        (Row.compare("cpu", [6.0, 4.0, 7.0], [10.0, 10.0, 10.0], "Node", 0.5), "not reached"),
        (Row("memory", 29.0, "MB", 30.0), "reached"),
        (Row("memory", 31.0, "MB", 30.0), "not reached"),
        (Row.compare("cpu", [1.0], [1.0], "1 process", None), ""),
    ],
)
def test_row_compares_the_median_ratio_or_the_value_with_the_goal(row: Row, result: str) -> None:
    assert row.result == result

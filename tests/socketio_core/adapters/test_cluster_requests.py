"""Bookkeeping of requests to other servers, and of the servers themselves."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core.adapters.cluster import requests as cluster_requests
from socketio_core.adapters.cluster.peers import MAX_PEERS, Peers
from socketio_core.adapters.cluster.requests import ANY_SERVER, Request, Requests
from socketio_core.adapters.interface import RemoteMissing
from tests.helpers.fake_clock import FakeClock


class Waiter:
    """A request with its values and its end."""

    def __init__(self, requests: Requests, timeout: float = 5.0) -> None:
        self.values: list[Any] = []
        self.ends: list[RemoteMissing] = []
        self.request: Request = requests.open(timeout, self.values.append, self.ends.append)


@pytest.fixture
def requests(clock: FakeClock) -> Requests:
    return Requests(lambda: clock)


def test_request_ends_with_the_last_answer_of_its_peers(requests: Requests) -> None:
    waiter = Waiter(requests)
    waiter.request.answer("a", 1)  # before the peers are known
    waiter.request.expect_peers(["a", "b"])
    waiter.request.answer("a", 2)  # a repeated message
    assert waiter.ends == []
    waiter.request.answer("b", 3)
    assert (waiter.values, waiter.ends) == ([1, 3], [RemoteMissing(0, 0)])
    waiter.request.answer("c", 4)
    waiter.request.finish()
    assert (waiter.values, len(waiter.ends), len(requests)) == ([1, 3], 1, 0)


def test_request_without_peers_ends_at_once(requests: Requests) -> None:
    waiter = Waiter(requests)
    waiter.request.expect_peers([])
    assert waiter.ends == [RemoteMissing(0, 0)]


def test_request_reports_the_missing_answers_after_its_timeout(
    requests: Requests, clock: FakeClock
) -> None:
    peers, number, unknown = Waiter(requests), Waiter(requests), Waiter(requests)
    peers.request.expect_peers(["a", "b"])
    peers.request.answer("a", 1)
    number.request.expect_count(3)
    number.request.answer(ANY_SERVER, 1)
    number.request.answer(ANY_SERVER, 2)
    clock.advance(5)
    assert peers.ends == [RemoteMissing(0, 1)]
    assert number.ends == [RemoteMissing(0, 1)]
    assert unknown.ends == [RemoteMissing(0, 1)]


def test_acks_are_counted_for_each_server(requests: Requests) -> None:
    waiter = Waiter(requests)
    waiter.request.expect_peers(["a", "b"])
    waiter.request.ack("a", "early")  # before the number of clients: ignored
    waiter.request.count_clients("a", 1)
    waiter.request.count_clients("a", 5)  # a repeated message
    waiter.request.count_clients("b", 2)
    waiter.request.ack("a", 1)
    waiter.request.ack("a", 2)  # above the reported number
    waiter.request.ack("b", 3)
    assert waiter.ends == []
    waiter.request.ack("b", 4)
    assert (waiter.values, waiter.ends) == ([1, 3, 4], [RemoteMissing(0, 0)])


def test_acks_of_a_server_that_is_gone_are_missing(requests: Requests) -> None:
    waiter = Waiter(requests)
    waiter.request.expect_peers(["a", "b"])
    waiter.request.count_clients("a", 3)
    waiter.request.ack("a", 1)
    waiter.request.count_clients("b", 0)
    requests.peer_left("a")
    assert (waiter.values, waiter.ends) == ([1], [RemoteMissing(2, 0)])


def test_acks_of_servers_without_a_name_are_counted_together(requests: Requests) -> None:
    waiter = Waiter(requests)
    waiter.request.count_clients(ANY_SERVER, 1)
    waiter.request.ack(ANY_SERVER, 1)
    waiter.request.count_clients(ANY_SERVER, 1)
    waiter.request.expect_count(2)
    assert waiter.ends == []
    waiter.request.ack(ANY_SERVER, 2)
    assert (waiter.values, waiter.ends) == ([1, 2], [RemoteMissing(0, 0)])


def test_oldest_request_ends_when_there_are_too_many(
    requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_requests, "MAX_REQUESTS", 2)
    first, second, third = (Waiter(requests) for _ in range(3))
    assert [len(each.ends) for each in (first, second, third)] == [1, 0, 0]
    requests.close()
    assert [len(each.ends) for each in (first, second, third)] == [1, 1, 1]


@pytest.mark.parametrize("request_id", [None, 7, "unknown", {}])
def test_unknown_request_is_not_found(requests: Requests, request_id: Any) -> None:
    assert requests.find(request_id) is None


class Cluster:
    """Peers that record heartbeats and departures."""

    def __init__(self, clock: FakeClock, interval: float | None = 5.0) -> None:
        self.beats: list[float] = []
        self.left: list[str] = []
        self.peers = Peers(
            lambda: clock, interval, 10.0, lambda: self.beats.append(clock.time()), self.left.append
        )
        self.peers.start()


def test_silent_server_leaves_after_the_timeout(clock: FakeClock) -> None:
    cluster = Cluster(clock)
    cluster.peers.saw("a")
    clock.advance(6)
    cluster.peers.saw("b")
    clock.advance(5)
    assert (cluster.left, list(cluster.peers)) == (["a"], ["b"])
    clock.advance(6)
    assert (cluster.left, len(cluster.peers)) == (["a", "b"], 0)


def test_heartbeat_is_postponed_by_other_messages(clock: FakeClock) -> None:
    cluster = Cluster(clock)
    clock.advance(4)
    cluster.peers.sent()
    clock.advance(4)
    assert cluster.beats == []
    clock.advance(2)
    assert len(cluster.beats) == 1
    cluster.peers.close()
    clock.advance(60)
    assert len(cluster.beats) == 1


def test_peers_without_heartbeats_stay_until_they_are_removed(clock: FakeClock) -> None:
    cluster = Cluster(clock, interval=None)
    cluster.peers.saw("a")
    clock.advance(3600)
    assert (cluster.beats, cluster.left, len(cluster.peers)) == ([], [], 1)
    cluster.peers.remove("a")
    cluster.peers.remove("a")
    assert cluster.left == ["a"]


def test_number_of_peers_is_limited(clock: FakeClock) -> None:
    cluster = Cluster(clock, interval=None)
    for number in range(MAX_PEERS + 5):
        cluster.peers.saw(str(number))
    assert len(cluster.peers) == MAX_PEERS

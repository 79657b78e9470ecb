"""Rate limits: rows S51 to S55."""

from __future__ import annotations

from typing import Any

import pytest

from hextrackr_server.security.rate_limiter import Buckets, LimitRules, RateLimiter
from hextrackr_server.token_bucket import Bucket
from socketio_core.testing import settle
from tests.contract.support import HubHarness

SMALL = LimitRules(events_per_minute=8, events_per_minute_of_address=40)


class ManualTime:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> ManualTime:
    return ManualTime()


def test_s051_limiter_is_a_plain_class_with_an_injected_clock(time: ManualTime) -> None:
    limiter = RateLimiter(SMALL, time)
    assert type(limiter).__mro__ == (RateLimiter, object)


def test_s052_bucket_allows_a_burst_and_refills_per_minute() -> None:
    bucket = Bucket(60, 0.0, burst=3)
    assert [bucket.take(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]
    assert bucket.take(0.5) == 0.5
    assert bucket.take(1.0) == 0.0
    assert [bucket.take(1000.0) == 0.0 for _ in range(4)] == [True, True, True, False]


def test_s053_unknown_event_names_share_one_bucket(time: ManualTime) -> None:
    limiter = RateLimiter(SMALL, time)
    limiter.add_known(["known"])
    limits = limiter.enter("7", "1.2.3.4")
    allowed = [limiter.check(limits, f"made-up-{number}") == 0 for number in range(100)]
    assert allowed.count(True) == 2  # a quarter of the limit of a socket
    assert limits.events == {}
    assert limiter.check(limits, "known") == 0


def test_s053_limits_of_user_and_address_continue_in_a_new_connection(time: ManualTime) -> None:
    """The buckets of a user and of an address outlive their sockets."""
    limiter = RateLimiter(SMALL, time)
    limiter.add_known(["known"])

    def spend(user: str, address: str) -> int:
        limits = limiter.enter(user, address)
        return [limiter.check(limits, "known") == 0 for _ in range(20)].count(True)

    assert [spend("7", "a") for _ in range(4)] == [8, 8, 0, 0]
    assert [spend(str(user), "a") for user in range(10, 14)] == [8, 8, 8, 0]


def test_s053_number_of_buckets_is_limited() -> None:
    buckets = Buckets(60, maximum=3)
    created = [buckets.of(key, 0.0) for key in "abc"]
    assert buckets.of("a", 0.0) is created[0]
    buckets.of("d", 0.0)
    assert len(buckets) == 3
    assert buckets.of("b", 0.0) is not created[1]


@pytest.mark.parametrize(
    ("address", "other", "is_shared"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("unix", "not:an:address", False),
    ],
)
def test_s053_ipv6_addresses_of_one_network_share_a_limit(
    time: ManualTime, address: str, other: str, is_shared: bool
) -> None:
    limiter = RateLimiter(LimitRules(connects_per_minute=1, connections_per_address=1), time)
    assert limiter.handshake(address) == 0.0
    assert (limiter.handshake(other) > 0) is is_shared
    limiter.opened("7", address)
    assert limiter.has_room("8", other) is not is_shared
    limiter.closed("7", address)
    assert limiter.has_room("8", other)


def test_s053_closed_connections_are_released(time: ManualTime) -> None:
    limiter = RateLimiter(LimitRules(connections_per_user=2), time)
    limiter.opened("7", "a")
    limiter.opened("7", "b")
    assert not limiter.has_room("7", "c")
    assert limiter.has_room("8", "a")
    limiter.closed("7", "a")
    limiter.closed("7", "b")
    assert limiter.has_room("7", "c")
    assert not limiter._open


async def test_s054_events_have_separate_limits(start_hub: Any) -> None:
    hub: HubHarness = await start_hub()
    client = await hub.client()
    answers = [await client.emit_with_ack("join-import-room", 999) for _ in range(121)]
    assert [each["code"] for each in answers[:120]] == ["NOT_FOUND"] * 120
    assert answers[120]["code"] == "RATE_LIMITED"
    assert (await client.emit_with_ack("stop-editing", "ticket", 1))["success"]


async def test_s055_rate_limited_ack_contains_retry_after(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(events_per_minute=4)
    client = await hub.client()
    answers = [await client.emit_with_ack("stop-editing", "ticket", 1) for _ in range(5)]
    assert [each["success"] for each in answers] == [True] * 4 + [False]
    assert answers[4] == {
        "success": False,
        "error": "Rate limit exceeded",
        "code": "RATE_LIMITED",
        "retryAfterMs": 15_000,
    }
    await hub.advance(15)
    assert (await client.emit_with_ack("stop-editing", "ticket", 1))["success"]


async def test_s055_rate_limit_errors_are_limited_when_the_event_has_no_ack(
    start_hub: Any,
) -> None:
    hub: HubHarness = await start_hub(events_per_minute=4)
    client = await hub.client()
    for _ in range(40):
        client.emit("stop-editing", "ticket", 1)
    await settle()
    errors = [args[0] for args in client.events("application-error")]
    assert len(errors) == 5
    assert errors[0]["code"] == "RATE_LIMITED"
    assert errors[0]["event"] == "stop-editing"
    assert errors[0]["retryAfterMs"] > 0


async def test_s055_client_is_disconnected_after_repeated_refusals(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(events_per_minute=4, refusals_before_disconnect=10)
    client, other = await hub.client("7"), await hub.client("8")
    for _ in range(14):
        client.emit("stop-editing", "ticket", 1)
    await settle()
    assert client.connected
    client.emit("stop-editing", "ticket", 1)
    await settle()
    assert not client.connected
    assert other.connected


async def test_s053_connections_are_limited_by_user(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(max_connections_per_user=2)
    first = await hub.client("7")
    await hub.client("7")
    refusal = await hub.connect_error(auth={"token": hub.token("7")})
    assert refusal["code"] == "RATE_LIMITED"
    first.disconnect()
    assert (await hub.client("7")).connected


async def test_s053_handshakes_are_limited_by_address(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(connects_per_minute=2)
    path = "/socket.io/?EIO=4&transport=polling"
    answers = [await hub.request("GET", path) for _ in range(3)]
    assert [each.status for each in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "30"
    assert answers[2].json()["retryAfterMs"] == 30_000


async def test_s053_http_requests_count_as_events_of_their_user(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(events_per_minute=2)
    mine, other = ({"authorization": f"Bearer {hub.token(user)}"} for user in ("7", "8"))
    answers = [await hub.request("GET", "/api/kev/stats", mine) for _ in range(5)]
    assert [each.status for each in answers] == [200] * 4 + [429]
    assert answers[-1].json()["code"] == "RATE_LIMITED"
    assert (await hub.request("GET", "/api/kev/stats", other)).status == 200
    await hub.advance(15)
    assert (await hub.request("GET", "/api/kev/stats", mine)).status == 200

"""Rate limits: rows S51 to S55."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hextrackr_server.rates import Bucket, SlidingMinute
from hextrackr_server.security.rate_limiter import LimitRules, Minutes, RateLimiter
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


@given(
    limit=st.integers(1, 40),
    pauses=st.lists(st.floats(0, 90) | st.floats(0, 0.3) | st.just(0.0), max_size=300),
    start=st.floats(0, 1000),
)
def test_s052_no_sliding_minute_contains_more_than_the_limit(
    limit: int, pauses: list[float], start: float
) -> None:
    minute, now, taken = SlidingMinute(limit), start, list[float]()
    for pause in pauses:
        now += pause
        wait = minute.take(now)
        if not wait:
            taken.append(now)
            continue
        assert 0 < wait <= 61
        last = [each for each in taken if each > now - 61]
        assert len(last) >= limit  # a refusal has a reason
    for index, end in enumerate(taken):
        assert sum(end - 60 < each <= end for each in taken[: index + 1]) <= limit


@given(used=st.lists(st.floats(0, 60), min_size=1, max_size=20))
def test_s055_use_is_possible_after_the_reported_time(used: list[float]) -> None:
    minute = SlidingMinute(len(used))
    for now in sorted(used):
        assert minute.take(now) == 0.0
    wait = minute.take(60.5)
    assert minute.take(60.5 + wait + 1e-6) == 0.0


@pytest.mark.parametrize("pattern", ["at once", "steadily"])
def test_s052_minute_admits_600_events(time: ManualTime, pattern: str) -> None:
    limiter = RateLimiter(LimitRules(), time)
    limiter.add_known(["known"])
    limits, taken = limiter.enter("7", "a"), list[float]()
    for second in range(240):
        for _ in range(600 if pattern == "at once" else 11):
            if not limiter.check(limits, "known"):
                taken.append(time.now)
        time.now = 100 + second
    most = max(sum(end - 60 < each <= end for each in taken) for end in set(taken))
    assert most == 600
    assert len(taken) >= 600 * 3  # in four minutes


def test_s052_sockets_of_a_user_share_the_limit_of_the_user(time: ManualTime) -> None:
    limiter = RateLimiter(SMALL, time)
    limiter.add_known(["known"])
    sockets = [limiter.enter("7", address) for address in "abc"]
    allowed = [limiter.check(limits, "known") == 0 for limits in sockets for _ in range(8)]
    assert allowed.count(True) == 8


def test_s052_bucket_allows_a_burst_and_refills_per_minute() -> None:
    bucket = Bucket(60, 0.0, burst=3)
    assert [bucket.take(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]
    assert bucket.take(0.5) == 0.5
    assert bucket.take(1.0) == 0.0
    assert [bucket.take(1000.0) == 0.0 for _ in range(4)] == [True, True, True, False]


def test_s053_unknown_event_names_share_one_limit(time: ManualTime) -> None:
    limiter = RateLimiter(SMALL, time)
    limiter.add_known(["known"])
    limits = limiter.enter("7", "1.2.3.4")
    allowed = [limiter.check(limits, f"made-up-{number}") == 0 for number in range(100)]
    assert allowed.count(True) == 2  # a quarter of the limit of a socket
    assert limits.events == {}
    assert limiter.check(limits, "known") == 0


def test_s053_limits_of_user_and_address_continue_in_a_new_connection(time: ManualTime) -> None:
    """The counts of a user and of an address outlive their sockets."""
    limiter = RateLimiter(SMALL, time)
    limiter.add_known(["known"])

    def spend(user: str, address: str) -> int:
        limits = limiter.enter(user, address)
        return [limiter.check(limits, "known") == 0 for _ in range(20)].count(True)

    assert [spend("7", "a") for _ in range(3)] == [8, 0, 0]
    assert [spend(str(user), "a") for user in range(10, 15)] == [8, 8, 8, 8, 0]


def test_s053_number_of_counts_is_limited() -> None:
    minutes = Minutes(60, maximum=3)
    created = [minutes.of(key) for key in "abc"]
    assert minutes.of("a") is created[0]
    minutes.of("d")
    assert len(minutes) == 3
    assert minutes.of("b") is not created[1]


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
        "retryAfterMs": 61_000,
    }
    await hub.advance(61)
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


async def test_disconnect_of_an_abusive_client_is_logged_once(
    start_hub: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hub: HubHarness = await start_hub(events_per_minute=4, refusals_before_disconnect=10)
    client = await hub.client("7")
    for _ in range(200):  # all arrive before the server closes the connection
        client.emit("stop-editing", "ticket", 1)
    await settle()
    assert not client.connected
    lines = [each.message for each in caplog.records if "disconnecting a client" in each.message]
    assert len(lines) == 1


async def test_s053_connections_are_limited_by_user(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(max_connections_per_user=2)
    first = await hub.client("7")
    await hub.client("7")
    refusal = await hub.connect_error(auth={"token": hub.token("7")})
    assert refusal["code"] == "RATE_LIMITED"
    assert read_limits(hub) == {"user": 1, "address": 0}
    first.disconnect()
    assert (await hub.client("7")).connected


async def test_s053_connections_are_limited_by_address(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(max_connections_per_address=1)
    await hub.client("7")
    refusal = await hub.connect_error(auth={"token": hub.token("8")})
    assert refusal["code"] == "RATE_LIMITED"
    assert read_limits(hub) == {"user": 0, "address": 1}


def read_limits(hub: HubHarness) -> dict[str, Any]:
    """Return how often limits of users and addresses were applied, as the metrics show it."""
    values = hub.application.context.metrics.snapshot()["gauges"]
    return {one: values[f"{one}_limits_applied_total"] for one in ("user", "address")}


async def test_s053_handshakes_are_limited_by_address(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(connects_per_minute=2)
    path = "/socket.io/?EIO=4&transport=polling"
    answers = [await hub.request("GET", path) for _ in range(3)]
    assert [each.status for each in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "61"
    assert answers[2].json()["retryAfterMs"] == 61_000


async def test_s053_http_requests_count_as_events_of_their_user(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(events_per_minute=2)
    mine, other = ({"authorization": f"Bearer {hub.token(user)}"} for user in ("7", "8"))
    answers = [await hub.request("GET", "/api/kev/stats", mine) for _ in range(5)]
    assert [each.status for each in answers] == [200] * 2 + [429] * 3
    assert answers[-1].json()["code"] == "RATE_LIMITED"
    assert (await hub.request("GET", "/api/kev/stats", other)).status == 200
    await hub.advance(61)
    assert (await hub.request("GET", "/api/kev/stats", mine)).status == 200


async def test_user_has_an_account_over_all_connections(start_hub: Any) -> None:
    hub: HubHarness = await start_hub()
    for user in ("7", "7", "8"):
        await hub.client(user)
    users = hub.application.context.users
    assert {key: each.sessions for key, each in users.accounts.items()} == {"7": 2, "8": 1}
    (address,) = hub.io.engine._addresses.accounts.values()
    assert address.sessions == 3
    next(iter(hub.io.engine.sessions.values())).close(discard=True)
    assert users.get("7").sessions == 1


async def test_limits_of_accounts_come_from_the_settings(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(
        max_buffered_megabytes_per_user=1,
        max_handlers_per_user=2,
        max_buffered_megabytes_per_address=3,
        max_handlers_per_address=4,
    )
    users, addresses = hub.application.context.users, hub.io.engine._addresses
    assert (users.max_buffered, users.max_handlers) == (1 << 20, 2)
    assert (addresses.max_buffered, addresses.max_handlers) == (3 << 20, 4)

"""Token-bucket rate limits of users, addresses, sockets and events; limits of open connections.

The clock is injected. Unregistered event names share one bucket, so that invented names use no
memory. The least recently used buckets are dropped first. IPv6 addresses are limited per /64
network, because a customer owns all addresses of such a network.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any

from hextrackr_server.token_bucket import Bucket

MAXIMUM_BUCKETS = 50_000
#: Rates of expensive events, per minute and socket.
EVENT_RATES: Mapping[str, int] = {
    "start-import": 30,
    "join-import-room": 120,
    "join-progress": 120,
    "start-editing": 120,
    "watch-resource": 120,
    "system-maintenance": 30,
    "broadcast-announcement": 30,
}
#: Refusals of events without an acknowledgement are reported this many times at once, then once per
#: second.
ANSWERS_AT_ONCE = 5


class Buckets:
    """Buckets by key; the least recently used ones are dropped first."""

    def __init__(self, per_minute: float, maximum: int = MAXIMUM_BUCKETS) -> None:
        self._per_minute = per_minute
        self._maximum = maximum
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def of(self, key: str, now: float) -> Bucket:
        """Return the bucket of a key, and create it if it is missing."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._per_minute, now)
            if len(self._buckets) > self._maximum:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket

    def __len__(self) -> int:
        return len(self._buckets)


class SocketLimits:
    """Buckets that the events of one socket take tokens from."""

    __slots__ = ("address", "answers", "events", "own", "refusals", "unknown", "user")

    def __init__(self, rules: LimitRules, user: Bucket, address: Bucket, now: float) -> None:
        rate = rules.events_per_minute
        self.own = Bucket(rate, now)
        self.user = user
        self.address = address
        self.unknown = Bucket(rate / 4, now)
        self.events: dict[Any, Bucket] = {}
        self.answers = Bucket(60, now, ANSWERS_AT_ONCE)
        self.refusals = Bucket(rules.refusals_before_disconnect, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRules:
    """Numbers of all limits."""

    events_per_minute: int = 600
    events_per_minute_of_address: int = 6000
    connects_per_minute: int = 600
    refusals_before_disconnect: int = 100
    connections_per_user: int = 64
    connections_per_address: int = 1024


def network_of(address: str) -> str:
    """Return the address or, for IPv6, the /64 network that its limits apply to."""
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped or f"{IPv6Address(int(found) >> 64 << 64)}/64")


class RateLimiter:
    """Rate limiter of events and connections; one instance for the whole server."""

    def __init__(self, rules: LimitRules, now: Callable[[], float]) -> None:
        self._rules = rules
        self._now = now
        self._known: dict[Any, float] = {}
        self._users = Buckets(rules.events_per_minute * 2)
        self._addresses = Buckets(rules.events_per_minute_of_address)
        self._connects = Buckets(rules.connects_per_minute)
        self._open: Counter[tuple[str, str]] = Counter()
        self.allowed = 0
        self.refused = 0

    def add_known(self, events: list[str]) -> None:
        """Give each of these events its own bucket per socket; other names share one bucket."""
        for event in events:
            self._known[event] = EVENT_RATES.get(event, self._rules.events_per_minute)

    # -- events

    def enter(self, user_id: str, address: str) -> SocketLimits:
        """Return the limits of a new socket, which shares those of its user and address."""
        now = self._now()
        user = self._users.of(user_id, now)
        return SocketLimits(self._rules, user, self._addresses.of(network_of(address), now), now)

    def check(self, limits: SocketLimits, event: Any) -> float:
        """Count an event; return 0.0, or the seconds to wait if it exceeds a limit."""
        # hot path
        now = self._now()
        bucket = limits.events.get(event) or self._bucket(limits, event, now)
        wait = (
            bucket.take(now)
            or limits.own.take(now)
            or limits.user.take(now)
            or limits.address.take(now)
        )
        if wait:
            self.refused += 1
        else:
            self.allowed += 1
        return wait

    def request(self, user_id: str) -> float:
        """Count an HTTP request as an event of its user; return 0.0 or the seconds to wait."""
        now = self._now()
        return self._users.of(user_id, now).take(now)

    def is_answered(self, limits: SocketLimits) -> bool:
        """Return whether a refusal is reported to a client that requested no acknowledgement."""
        return not limits.answers.take(self._now())

    def is_abusive(self, limits: SocketLimits) -> bool:
        """Count a refusal; return whether the client must be disconnected."""
        return bool(limits.refusals.take(self._now()))

    def _bucket(self, limits: SocketLimits, event: Any, now: float) -> Bucket:
        rate = self._known.get(event)
        if rate is None:
            return limits.unknown
        bucket = limits.events[event] = Bucket(rate, now)
        return bucket

    # -- connections

    def handshake(self, address: str) -> float:
        """Count a handshake; return 0.0, or the seconds to wait if it exceeds the limit."""
        now = self._now()
        return self._connects.of(network_of(address), now).take(now)

    def has_room(self, user_id: str, address: str) -> bool:
        """Return whether a user may open one more socket from an address."""
        rules = self._rules
        return (
            self._open["user", user_id] < rules.connections_per_user
            and self._open["address", network_of(address)] < rules.connections_per_address
        )

    def opened(self, user_id: str, address: str) -> None:
        """Count an opened socket."""
        self._open["user", user_id] += 1
        self._open["address", network_of(address)] += 1

    def closed(self, user_id: str, address: str) -> None:
        """Count a closed socket."""
        for key in (("user", user_id), ("address", network_of(address))):
            self._open[key] -= 1
            if self._open[key] <= 0:
                del self._open[key]

"""Rate limits of users, addresses, sockets and events; limits of open connections.

No sliding minute contains more than the limit. The clock is injected. Unregistered event names
share one count, so that invented names use no memory. The least recently used counts of users and
addresses are dropped first. IPv6 addresses are limited per /64
network, because a customer owns all addresses of such a network.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engineio_core.accounts import network_of
from hextrackr_server.rates import Bucket, SlidingMinute

MAXIMUM_MINUTES = 50_000
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


class Minutes:
    """Sliding minutes by key; the least recently used ones are dropped first."""

    def __init__(self, per_minute: float, maximum: int = MAXIMUM_MINUTES) -> None:
        self._per_minute = per_minute
        self._maximum = maximum
        self._minutes: OrderedDict[str, SlidingMinute] = OrderedDict()

    def of(self, key: str) -> SlidingMinute:
        """Return the minute of a key, and create it if it is missing."""
        minute = self._minutes.get(key)
        if minute is None:
            minute = self._minutes[key] = SlidingMinute(self._per_minute)
            if len(self._minutes) > self._maximum:
                self._minutes.popitem(last=False)
        else:
            self._minutes.move_to_end(key)
        return minute

    def __len__(self) -> int:
        return len(self._minutes)


class SocketLimits:
    """Limits that apply to the events of one socket."""

    __slots__ = ("address", "answers", "events", "is_ended", "refusals", "unknown", "user")

    def __init__(
        self, rules: LimitRules, user: SlidingMinute, address: SlidingMinute, now: float
    ) -> None:
        self.user = user
        self.address = address
        self.unknown = SlidingMinute(rules.events_per_minute / 4)
        self.events: dict[Any, SlidingMinute] = {}
        self.answers = Bucket(60, now, ANSWERS_AT_ONCE)
        self.refusals = SlidingMinute(rules.refusals_before_disconnect)
        self.is_ended = False  # whether the server disconnects the client


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRules:
    """Numbers of all limits."""

    events_per_minute: int = 600
    events_per_minute_of_address: int = 6000
    connects_per_minute: int = 600
    refusals_before_disconnect: int = 100
    connections_per_user: int = 64
    connections_per_address: int = 1024


class RateLimiter:
    """Rate limiter of events and connections; one instance for the whole server."""

    def __init__(self, rules: LimitRules, now: Callable[[], float]) -> None:
        self._rules = rules
        self._now = now
        self._known: dict[Any, float] = {}
        self._users = Minutes(rules.events_per_minute)
        self._addresses = Minutes(rules.events_per_minute_of_address)
        self._connects = Minutes(rules.connects_per_minute)
        self._open: Counter[tuple[str, str]] = Counter()
        self.allowed = 0
        self.refused = 0

    def add_known(self, events: list[str]) -> None:
        """Give each of these events its own limit per socket; other names share one limit."""
        for event in events:
            self._known[event] = EVENT_RATES.get(event, self._rules.events_per_minute)

    # -- events

    def enter(self, user_id: str, address: str) -> SocketLimits:
        """Return the limits of a new socket, which shares those of its user and address."""
        user, network = self._users.of(user_id), self._addresses.of(network_of(address))
        return SocketLimits(self._rules, user, network, self._now())

    def check(self, limits: SocketLimits, event: Any) -> float:
        """Count an event; return 0.0, or the seconds to wait if it exceeds a limit."""
        # hot path
        now = self._now()
        minute = limits.events.get(event) or self._minute(limits, event)
        wait = minute.take(now) or limits.user.take(now) or limits.address.take(now)
        if wait:
            self.refused += 1
        else:
            self.allowed += 1
        return wait

    def request(self, user_id: str) -> float:
        """Count an HTTP request as an event of its user; return 0.0 or the seconds to wait."""
        return self._users.of(user_id).take(self._now())

    def is_answered(self, limits: SocketLimits) -> bool:
        """Return whether a refusal is reported to a client that requested no acknowledgement."""
        return not limits.answers.take(self._now())

    def is_abusive(self, limits: SocketLimits) -> bool:
        """Count a refusal; return whether the client must be disconnected."""
        return bool(limits.refusals.take(self._now()))

    def _minute(self, limits: SocketLimits, event: Any) -> SlidingMinute:
        rate = self._known.get(event)
        if rate is None:
            return limits.unknown
        minute = limits.events[event] = SlidingMinute(rate)
        return minute

    # -- connections

    def handshake(self, address: str) -> float:
        """Count a handshake; return 0.0, or the seconds to wait if it exceeds the limit."""
        return self._connects.of(network_of(address)).take(self._now())

    def has_room(self, user_id: str, address: str) -> bool:
        """Return whether a user may open one more socket from an address."""
        rules = self._rules
        return (
            self._open["user", user_id] < rules.connections_per_user
            and self._open["address", network_of(address)] < rules.connections_per_address
        )

    def is_user_full(self, user_id: str) -> bool:
        """Return whether a user has as many sockets as one user may have."""
        return self._open["user", user_id] >= self._rules.connections_per_user

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

"""How much anybody may ask for: token buckets for principals, addresses, sockets, events.

Knows: rates, bursts, how many connections there are.  Does not know: sockets, answers.
The clock is injected.  Whatever a client names has one bucket where nothing is known by that
name, so its names cost nothing; who has been away for longest is forgotten first.  An address of
IPv6 is the network that a customer is given: he has as many addresses as he likes.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any

from hextrackr_server.token_bucket import Bucket

MAXIMUM_BUCKETS = 50_000
#: Events that are dearer than others, in times a minute for each socket.
EVENT_RATES: Mapping[str, int] = {
    "start-import": 30,
    "join-import-room": 120,
    "join-progress": 120,
    "start-editing": 120,
    "watch-resource": 120,
    "system-maintenance": 30,
    "broadcast-announcement": 30,
}
#: Refusals that nobody asked an answer for are told so often at once, and then once a second.
ANSWERS_AT_ONCE = 5


class Buckets:
    """A bucket for each key; those that were asked for longest ago go first."""

    def __init__(self, per_minute: float, maximum: int = MAXIMUM_BUCKETS) -> None:
        self._per_minute = per_minute
        self._maximum = maximum
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def of(self, key: str, now: float) -> Bucket:
        """The bucket of a key."""
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
    """The buckets that one socket's events are taken from."""

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
    """The numbers; `events` names those that are known, with rates of their own or None."""

    events_per_minute: int = 600
    events_per_minute_of_address: int = 6000
    connects_per_minute: int = 600
    refusals_before_disconnect: int = 100
    connections_per_user: int = 64
    connections_per_address: int = 1024


def place_of(address: str) -> str:
    """What limits of an address go by: itself, or the network that it was given with."""
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped or f"{IPv6Address(int(found) >> 64 << 64)}/64")


class RateLimiter:
    """Judges events and connections; one for the whole server."""

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
        """Name the events that there are: each has a bucket of its own, all others share one."""
        for event in events:
            self._known[event] = EVENT_RATES.get(event, self._rules.events_per_minute)

    # -- events

    def enter(self, user_id: str, address: str) -> SocketLimits:
        """The limits of a new socket; those of its user and address it shares."""
        now = self._now()
        user, place = self._users.of(user_id, now), self._addresses.of(place_of(address), now)
        return SocketLimits(self._rules, user, place, now)

    def check(self, limits: SocketLimits, event: Any) -> float:
        """Count an event: 0.0, or the seconds until it may come again."""
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
        """Count a request over HTTP as an event of its user: 0.0, or the seconds to wait."""
        now = self._now()
        return self._users.of(user_id, now).take(now)

    def is_answered(self, limits: SocketLimits) -> bool:
        """Whether a refusal is told where no answer was asked for."""
        return not limits.answers.take(self._now())

    def is_abusive(self, limits: SocketLimits) -> bool:
        """Count a refusal: whether there were so many that the client has to go."""
        return bool(limits.refusals.take(self._now()))

    def _bucket(self, limits: SocketLimits, event: Any, now: float) -> Bucket:
        rate = self._known.get(event)
        if rate is None:
            return limits.unknown
        bucket = limits.events[event] = Bucket(rate, now)
        return bucket

    # -- connections

    def handshake(self, address: str) -> float:
        """Count a handshake: 0.0, or the seconds until there may be one again."""
        now = self._now()
        return self._connects.of(place_of(address), now).take(now)

    def has_room(self, user_id: str, address: str) -> bool:
        """Whether one more socket of a user, from an address, may be there."""
        rules = self._rules
        return (
            self._open["user", user_id] < rules.connections_per_user
            and self._open["address", place_of(address)] < rules.connections_per_address
        )

    def opened(self, user_id: str, address: str) -> None:
        """A socket is there."""
        self._open["user", user_id] += 1
        self._open["address", place_of(address)] += 1

    def closed(self, user_id: str, address: str) -> None:
        """A socket is gone."""
        for key in (("user", user_id), ("address", place_of(address))):
            self._open[key] -= 1
            if self._open[key] <= 0:
                del self._open[key]

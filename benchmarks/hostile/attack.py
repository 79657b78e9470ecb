"""Attacks as data: the name, the function that sends, the required server, and the outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from benchmarks.hostile.smuggling import Backend

#: The growth of the resident memory that an attack may cause unless it has a limit of its own, MB.
MEMORY_MB: Final = 150.0

#: `core`: the benchmark server; `deflate`: with permessage-deflate; `msgpack`: with MessagePack;
#: `tls`: a TLS port, while others use another one; `hub`: the hub; others: a server behind the
#: reverse proxy of this name.
Place: TypeAlias = Literal[
    "core", "deflate", "msgpack", "tls", "hub", "nginx", "haproxy", "apache", "caddy"
]


class Target(NamedTuple):
    """The server under attack, on the loopback interface."""

    port: int
    is_node: bool = False
    token: str = ""
    """The token of a user of the hub, who is not the measuring client."""
    secret: str = ""
    """The secret of a producer of the hub."""
    read_log: Callable[[], str] = str
    """Returns the log of the server so far."""
    backend: Backend | None = None
    """The server behind a proxy, whose port is `port`."""


class Report(NamedTuple):
    """The outcome for the attacker, and whether the server kept the bounds of the attack."""

    text: str
    is_bounded: bool = True


class Attack(NamedTuple):
    """One attack; `how_many` is its amount.

    `is_compared` means that Node's server is attacked as well, `is_single` that one connection
    attacks: the goal of the longest wait applies to it. `memory` limits the growth in MB.
    """

    name: str
    what: str
    how_many: str
    run: Callable[[Target], Awaitable[Report]]
    place: Place = "core"
    is_compared: bool = True
    memory: float = MEMORY_MB
    is_single: bool = False

"""Kinds of servers that the soak runs, and the Redis or PostgreSQL server that a kind needs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.imports.postgres import missing_reason, running_cluster
from benchmarks.peers import PeerMissingError
from tests.helpers.redis_server import PROGRAMS, running_redis


class Kind(NamedTuple):
    """A name for reports, whether the servers are hubs, their number, and what they share."""

    name: str
    is_hub: bool = False
    servers: int = 1
    shared: str = ""


KINDS: Final = {
    "core": Kind("Socket.IO server"),
    "hub": Kind("hub", is_hub=True),
    "redis": Kind("two servers with Redis", servers=2, shared="redis"),
    "postgres": Kind("hub with PostgreSQL", is_hub=True, shared="postgres"),
}
DEFAULT_KINDS: Final = ("core", "hub")


def check_shared(kinds: list[str]) -> None:
    """Raise PeerMissingError, with the remedy, if Redis or PostgreSQL is missing."""
    remedy = f'or run with SERVERS="{" ".join(DEFAULT_KINDS)}"'
    if "redis" in kinds and not any(map(shutil.which, PROGRAMS)):
        raise PeerMissingError(f"redis-server is not installed: run scripts/check-redis, {remedy}")
    if "postgres" in kinds and (reason := missing_reason()):
        raise PeerMissingError(f"{reason}: run scripts/check-postgres, {remedy}")


@contextmanager
def running_shared(kind: Kind, folder: Path) -> Iterator[str]:
    """Run what the servers of a kind share; return its URL, empty if they share nothing."""
    if kind.shared == "redis":
        with running_redis(folder) as redis:
            yield redis.url
    elif kind.shared == "postgres":
        with running_cluster() as cluster:
            yield cluster.url
    else:
        yield ""

"""The values of a supervisor for its workers: one environment variable and open descriptors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

VARIABLE: Final = "SOCKETIO_WORKER"


class WorkerEnvironment(msgspec.Struct, frozen=True):
    """The identity of a worker process and its connections to the others."""

    number: int
    """The number in the sids of this worker, from 0 to 63."""
    generation: int
    """The number of processes that the supervisor started before: unique among its workers."""
    cluster: str
    """The random id of the supervisor's run."""
    directory: str
    """The private folder of the Unix sockets."""
    listener: int
    """The descriptor of the listening socket."""
    control: int
    """The descriptor of the connection to the supervisor."""
    lifeline: int
    """The descriptor of a pipe that ends with the supervisor."""
    drain: float | None
    """Seconds over which the worker spreads the end of its connections; None for the default."""

    @property
    def uid(self) -> str:
        """The id of this process in the cluster."""
        return f"{self.cluster}{self.generation:08x}"

    def encode(self) -> str:
        """Return the value of the environment variable."""
        return msgspec.json.encode(self).decode()

    def path(self, kind: str, number: int | None = None) -> str:
        """Return the path of a Unix socket of this or another worker."""
        return str(Path(self.directory) / f"{kind}-{self.number if number is None else number}")


def take_environment() -> WorkerEnvironment | None:
    """Return what the supervisor passed, once; None in a process without a supervisor.

    The variable is removed, so that processes started by the application do not inherit it.
    """
    value = os.environ.pop(VARIABLE, None)
    if value is None:
        return None
    environment = msgspec.json.decode(value, type=WorkerEnvironment)
    _taken.append(environment.number)
    return environment


def current_worker() -> int | None:
    """Return the number of this worker process, from 0 on; None in any other process."""
    return _taken[-1] if _taken else None


_taken: list[int] = []  # the number of this worker

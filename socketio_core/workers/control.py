"""The messages between the supervisor and its workers.

The key of a session consists of its server, its namespace and its recovery id.
"""

from __future__ import annotations

import msgspec


class Bound(msgspec.Struct, tag=True):
    """Worker to supervisor: the Unix sockets of the worker exist."""


class Ready(msgspec.Struct, tag=True):
    """Worker to supervisor: the worker accepts connections."""

    addresses: list[str]


class Hold(msgspec.Struct, tag=True):
    """Worker to supervisor: the present state of a connected client."""

    key: str
    state: bytes
    lifetime: float
    """Seconds that the state is kept after the end of the worker."""


class Left(msgspec.Struct, tag=True):
    """Worker to supervisor: the last state of a client that may return."""

    key: str
    state: bytes
    lifetime: float


class Drop(msgspec.Struct, tag=True):
    """Worker to supervisor: a client left and does not return."""

    key: str


class Find(msgspec.Struct, tag=True):
    """Worker to supervisor: a client returns; answered by `Found`."""

    request: int
    key: str


class Claim(msgspec.Struct, tag=True):
    """Worker to supervisor: the client is about to be restored here; answered by `Claimed`."""

    request: int
    key: str


class Yielded(msgspec.Struct, tag=True):
    """Worker to supervisor: the answer to `Yield`, after `Left`."""

    request: int


class Peers(msgspec.Struct, tag=True):
    """Supervisor to worker: the workers with Unix sockets, the receiver included."""

    workers: list[int]
    ready: list[int]
    """The workers that take new sessions."""


class Yield(msgspec.Struct, tag=True):
    """Supervisor to worker: a client of this worker returns to another one."""

    request: int
    key: str


class Found(msgspec.Struct, tag=True):
    """Supervisor to worker: the state of a session; None if it is unknown."""

    request: int
    state: bytes | None
    is_held: bool = False
    """Whether a worker has the session, whose connect attempt saves it at its end."""


class Claimed(msgspec.Struct, tag=True):
    """Supervisor to worker: whether the session now belongs to the worker."""

    request: int
    success: bool


SessionMessage = Hold | Left | Drop | Find | Claim | Yielded
FromWorker = Bound | Ready | SessionMessage
Answer = Found | Claimed
FromSupervisor = Peers | Yield | Answer

encode = msgspec.msgpack.Encoder().encode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode
decode_from_supervisor = msgspec.msgpack.Decoder(FromSupervisor).decode

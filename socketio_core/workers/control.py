"""The messages between the supervisor and its workers."""

from __future__ import annotations

import msgspec


class Bound(msgspec.Struct, tag=True):
    """Worker to supervisor: the Unix sockets of the worker exist."""


class Ready(msgspec.Struct, tag=True):
    """Worker to supervisor: the worker accepts connections."""

    addresses: list[str]


class Peers(msgspec.Struct, tag=True):
    """Supervisor to worker: the workers with Unix sockets, the receiver included."""

    workers: list[int]
    ready: list[int]
    """The workers that take new sessions."""


FromWorker = Bound | Ready
FromSupervisor = Peers

encode = msgspec.msgpack.Encoder().encode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode
decode_from_supervisor = msgspec.msgpack.Decoder(FromSupervisor).decode

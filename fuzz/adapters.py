"""One server of a cluster without a network, for messages of other servers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from engineio_core.codec.encoded_packet import EncodedPacket
from fuzz.escapes import Escapes
from socketio_core.adapters.cluster.adapter import ClusterAdapter
from socketio_core.adapters.cluster.in_process import InProcessCluster
from socketio_core.adapters.cluster.message import Message
from tests.helpers.fake_clock import FakeClock
from tests.socketio_core.adapters.test_cluster_properties import FakeSocket

VECTORS = Path(__file__).parent.parent / "tests" / "socketio_core" / "adapters" / "vectors"
ESCAPES = Escapes("socketio_core")


class Socket(FakeSocket):
    """A socket that joins, leaves and disconnects."""

    def __init__(self, socket_id: str, adapter: ClusterAdapter) -> None:
        super().__init__(socket_id)
        self._adapter = adapter

    def join(self, *rooms: str) -> None:
        """Join rooms as a socket of the server does."""
        assert all(type(room) is str for room in rooms)
        self._adapter.add(self, rooms)

    def leave(self, *rooms: str) -> None:
        """Leave rooms as a socket of the server does."""
        for room in rooms:
            self._adapter.remove(self, room)

    def disconnect(self, close: bool) -> None:
        """Accept the disconnect of another server."""
        assert isinstance(close, bool)


class Server:
    """A namespace with two sockets, one of them in a room."""

    name = "/"

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.sockets: dict[str, Any] = {}
        self.events: list[list[Any]] = []
        self.cluster = InProcessCluster(automatic=False)
        ids = count()
        packets = (EncodedPacket(b"2"),)
        factory = self.cluster.join(heartbeat_interval=1e6, heartbeat_timeout=1e6)
        self.adapter = factory.create(
            self, lambda data, compress: packets,
            lambda data, compress: (next(ids), packets), None,
        )  # fmt: skip
        factory.start()
        for socket_id, rooms in (("a", ("a",)), ("b", ("b", "red"))):
            socket = Socket(socket_id, self.adapter)
            self.sockets[socket_id] = socket
            self.adapter.add(socket, rooms)

    def _receive_server_event(
        self, data: list[Any], answer: Callable[[Any], None] | None = None
    ) -> None:
        self.events.append(data)
        if answer is not None:
            answer("answer")

    def _fetched_data(self, socket: Any) -> Any:
        return socket.data

    def check(self) -> None:
        """Let the clients answer and time pass: nothing unexpected is raised or kept."""
        for socket in self.sockets.values():
            socket.answer()
        assert self.adapter.invalid <= 1
        for kind in self.adapter._kinds_logged:
            assert not kind.startswith("unsent ")
        self.clock.advance(3601.0)
        assert not self.adapter._relays
        assert not any(socket.pending for socket in self.sockets.values())
        for name, members in self.adapter.rooms().items():
            assert type(name) is str
            assert members


def execute(message: Message) -> None:
    """Execute a message of another server. Raises for a violated invariant."""
    with ESCAPES:
        server = Server()
        server.adapter.on_message(message)
        server.check()


def recorded_messages(*names: str) -> Iterator[dict[str, Any]]:
    """Yield the recorded messages of the official adapters from some files of vectors."""
    for name in names:
        content: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text())
        yield from content["messages"]

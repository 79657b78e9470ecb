"""Development mode: the events of sockets, rooms and messages of all namespaces, for the admins.

They contain the arguments of the events of clients and `socket.data`. `statistics` sends what
production mode sends as well.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import Any, Final, final

import orjson

from socketio_core.adapters.interface import RoomEvent
from socketio_core.admin.feed import Feed
from socketio_core.admin.presentation import (
    describe_local,
    fetched_data,
    present,
    show_arguments,
)
from socketio_core.namespace import Namespace
from socketio_core.socket import Socket

SWEEP: Final = 1000
"""The number of sockets whose data one call of `compare` reads."""


@final
class Watcher:
    """Reports the sockets of all namespaces, and the events of all but the admin namespaces.

    `compare` finds the changes of `socket.data`: the application may assign any object, so that
    changes are not observable as on Node.
    """

    def __init__(self, feed: Feed, admin_namespaces: set[str]) -> None:
        self._feed = feed
        self._admin_namespaces = admin_namespaces
        # Sockets with the last reported data and transport; the first ones are compared next.
        self._reported: dict[Socket[Any], tuple[bytes, str]] = {}

    def watch(self, namespace: Namespace) -> None:
        """Report the sockets of a namespace from now on."""
        name = namespace.name

        def report_room(event: RoomEvent, room: str, socket_id: str | None) -> None:
            if event == "join":
                self._feed.send_dated("room_joined", name, room, socket_id)
            elif event == "leave":
                # After "socket_disconnected", as on Node
                clock = namespace.clock
                clock.call_soon(self._feed.send_dated, "room_left", name, room, socket_id)

        namespace.prepend("connection", self._connected)
        namespace.on("disconnect", self._disconnected)
        namespace.on_room_event(report_room)
        namespace._fetched_data = fetched_data
        if name not in self._admin_namespaces:
            namespace.on_any(self._received)

    def _connected(self, socket: Socket[Any]) -> None:
        namespace = socket.namespace.name
        self._reported[socket] = _state_of(socket)
        if self._feed.is_watched:
            self._feed.send_dated("socket_connected", describe_local(socket, namespace))
        if namespace in self._admin_namespaces:
            return

        def report_sent(*event: Any) -> None:
            if self._feed.is_watched:
                args = show_arguments(list(event))
                self._feed.send_dated("event_sent", namespace, socket.id, args)

        socket.on_any_outgoing(report_sent)

    def _disconnected(self, socket: Socket[Any], reason: str) -> None:
        self._reported.pop(socket, None)
        self._feed.send_dated("socket_disconnected", socket.namespace.name, socket.id, reason)

    def _received(self, socket: Socket[Any], *event: Any) -> None:
        if self._feed.is_watched:
            args = show_arguments(list(event))
            self._feed.send_dated("event_received", socket.namespace.name, socket.id, args)

    def compare(self) -> None:
        """Report changes of data and transport since the last report, of `SWEEP` sockets at most.

        Later calls continue with the other sockets.
        """
        if not self._feed.is_watched:
            return
        for socket in list(islice(self._reported, SWEEP)):
            reported = self._reported.pop(socket)
            if not socket.connected:  # the application has removed all handlers of "disconnect"
                continue
            current = self._reported[socket] = _state_of(socket)
            update = {"id": socket.id, "nsp": socket.namespace.name}
            if current[1] != reported[1]:
                self._feed.send("socket_updated", {**update, "transport": current[1]})
            if current[0] != reported[0]:
                self._feed.send("socket_updated", {**update, "data": present(socket.data)})


def _state_of(socket: Socket[Any]) -> tuple[bytes, str]:
    """Return a digest of the data of a socket as it is shown, and its transport."""
    shown = orjson.dumps(present(socket.data), option=orjson.OPT_NON_STR_KEYS)
    return hashlib.blake2b(shown, digest_size=16).digest(), socket.session.transport.name

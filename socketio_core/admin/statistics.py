"""Statistics of this server for the admin UI, in both modes: one `server_stats` event per 2 s.

A server that sends none for 10 s counts as stale: the UI offers to remove it.
"""

from __future__ import annotations

import os
import socket as sockets
from typing import Any, Final, final

from engineio_core.errors import CloseReason
from engineio_core.session import Session
from engineio_core.traffic import Traffic
from socketio_core.admin.feed import Feed
from socketio_core.server import SocketServer

INTERVAL: Final = 2
"""Seconds between two `server_stats` events."""
MAX_NAMESPACES: Final = 1000

Key = tuple[int, str, str | None]
"""The time in whole seconds since 1970, the type and the subtype of an aggregated event."""


@final
class Statistics:
    """Counts connections, packets and bytes per second, and sends them with the namespaces."""

    def __init__(self, io: SocketServer, feed: Feed, server_id: str | None) -> None:
        self._io = io
        self._feed = feed
        hostname = sockets.gethostname()
        if server_id is None:
            # Several servers on one host need different IDs.
            alone = io.options.adapter is None
            server_id = hostname if alone else f"{hostname}#{os.getpid()}"
        self._identity = {"serverId": server_id, "hostname": hostname, "pid": os.getpid()}
        self._started_at = 0.0
        self._aggregated: dict[Key, int] = {}
        self._traffic = io.engine._count_traffic()
        self._counted = _read(self._traffic)
        self._second = int(feed.now())
        io.engine.on("connection", self._opened)

    def start(self) -> None:
        """Send the first statistics: the server serves from now on."""
        self._started_at = self._io.clock.time()
        self.send()

    def _opened(self, session: Session) -> None:
        """Count a session and its end. The connection of the session is set up already."""
        self._add(int(self._feed.now()), "rawConnection", 1)
        on_close = session._on_close

        def closed(reason: CloseReason, description: str) -> None:
            self._add(int(self._feed.now()), "rawDisconnection", 1, str(reason))
            on_close(reason, description)

        session._on_close = closed

    def _add(self, second: int, kind: str, count: int, subtype: str | None = None) -> None:
        key = (second, kind, subtype)
        self._aggregated[key] = self._aggregated.get(key, 0) + count

    def end_second(self) -> None:
        """Add the traffic since the last call to the second that has ended."""
        counted, self._counted = self._counted, _read(self._traffic)
        for kind, before, now in zip(_KINDS, counted, self._counted, strict=True):
            if now > before:
                self._add(self._second, kind, now - before)
        self._second = int(self._feed.now())

    def send(self) -> None:
        """Send the statistics since the last call to all admins; drop them if there are none."""
        aggregated, self._aggregated = self._aggregated, {}
        if not self._feed.is_watched:
            return
        sessions = self._io.engine.sessions
        namespaces = list(self._io.namespaces.values())[:MAX_NAMESPACES]
        self._feed.send("server_stats", {
            **self._identity,
            "uptime": self._io.clock.time() - self._started_at,
            "clientsCount": len(sessions),
            "pollingClientsCount": sum(
                each.transport.name == "polling" for each in sessions.values()
            ),
            "aggregatedEvents": [
                _describe(key, count) for key, count in sorted(aggregated.items(), key=_second_of)
            ],
            "namespaces": [
                {"name": each.name, "socketsCount": len(each.sockets)} for each in namespaces
            ],
        })  # fmt: skip


_KINDS: Final = ("packetsIn", "bytesIn", "packetsOut", "bytesOut")


def _read(traffic: Traffic) -> tuple[int, int, int, int]:
    # Node counts the bytes of text without the digit of its packet, which `bytes_in` includes.
    packets_in, packets_out = traffic.packets_in, traffic.packets_out
    return (
        packets_in, traffic.bytes_in - packets_in,
        packets_out, traffic.bytes_out - packets_out,
    )  # fmt: skip


def _second_of(entry: tuple[Key, int]) -> int:
    return entry[0][0]


def _describe(key: Key, count: int) -> dict[str, Any]:
    second, kind, subtype = key
    event: dict[str, Any] = {"timestamp": second * 1000, "type": kind}
    if subtype is not None:
        event["subType"] = subtype
    return event | {"count": count}

"""The function `instrument`: the admin namespace, its timer, and what an admin receives first."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final, Literal, final
from weakref import WeakKeyDictionary

from engineio_core.options import check_bool
from engineio_core.session import Session
from socketio_core.adapters.interface import BroadcastTarget
from socketio_core.admin.commands import FEATURES, Commands
from socketio_core.admin.credentials import BasicAuth, BcryptCheck, Check
from socketio_core.admin.feed import Feed
from socketio_core.admin.login import Login
from socketio_core.admin.presentation import describe_local, describe_remote
from socketio_core.admin.statistics import INTERVAL, Statistics
from socketio_core.admin.watcher import Watcher
from socketio_core.misuse import check_callback
from socketio_core.namespace import Namespace, canonical_name
from socketio_core.server import SocketServer
from socketio_core.socket import Socket

logger = logging.getLogger("socketio_core")

MAX_SOCKETS: Final = 5000
"""The number of sockets that an admin receives when it connects."""
PARALLEL: Final = 50
"""The number of namespaces whose sockets are requested from other servers at a time."""

# The admin namespaces of each server: their events are not events of the application.
_namespaces: WeakKeyDictionary[SocketServer, set[str]] = WeakKeyDictionary()


def instrument(
    io: SocketServer,
    *,
    auth: BasicAuth | Check | Literal[False],
    mode: Literal["development", "production"] = "production",
    read_only: bool = False,
    namespace_name: str = "/admin",
    server_id: str | None = None,
) -> None:
    """Let the official admin UI (`@socket.io/admin-ui`) observe and control a server.

        instrument(io, auth=BasicAuth("admin", "$2b$12$..."))

    `auth` is a `BasicAuth`, a function `(username, password) -> bool`, plain or async, or False:
    every client of the namespace is an admin. In "production", admins receive statistics; in
    "development" also all sockets with their handshakes and `data`, and all events with their
    arguments. With `read_only`, the server refuses commands: to send events, to change rooms, to
    disconnect clients. `server_id` distinguishes the servers of a cluster; the default is the host
    name, with an adapter also the process ID.

    The page of the UI needs the option `cors` if it has another origin. Call `instrument` before
    clients connect. Raises TypeError or ValueError for invalid arguments, RuntimeError if bcrypt is
    not installed.
    """
    if not isinstance(io, SocketServer):
        raise TypeError(f"instrument() needs a SocketServer, got {io!r}")
    if mode not in {"development", "production"}:
        raise ValueError(f"mode must be 'development' or 'production', got {mode!r}")
    check_bool("read_only", read_only)
    texts: tuple[tuple[str, Any], ...] = (
        ("server_id", "default" if server_id is None else server_id),
        ("namespace_name", namespace_name),
    )
    for name, value in texts:
        if not isinstance(value, str) or not value:
            raise TypeError(f"{name} must be a non-empty string, got {value!r}")
    check = _read_auth(auth)
    if canonical_name(namespace_name) in io.namespaces:
        raise ValueError(
            f"namespace_name must be the name of a new namespace, got {namespace_name!r}: "
            "choose another one"
        )
    # Before the namespace exists: its events are not events of the application for any watcher.
    _namespaces.setdefault(io, set()).add(canonical_name(namespace_name))
    namespace = io.of(namespace_name)
    if check is None:
        logger.warning("%s has no authentication: each client is an admin", namespace.name)
    _Instrumentation(io, namespace, check, mode == "development", read_only, server_id)


def _read_auth(auth: Any) -> Check | None:
    """Return the check of credentials; None for no authentication."""
    if auth is False:
        return None
    if isinstance(auth, BasicAuth):
        return BcryptCheck(auth)
    if callable(auth) and not isinstance(auth, type):
        check_callback("auth", auth, ("username", "password"))
        found: Check = auth
        return found
    raise TypeError(
        "auth must be a BasicAuth, a function (username, password) -> bool, or False for no "
        f"authentication, got {type(auth).__name__}"
    )


@final
class _Instrumentation:
    """The parts of an instrumented server, and their timer, which ends with the server."""

    def __init__(
        self,
        io: SocketServer,
        namespace: Namespace,
        check: Check | None,
        is_development: bool,
        read_only: bool,
        server_id: str | None,
    ) -> None:
        self._io = io
        self._ticks = 0
        feed = Feed(namespace, io.options.adapter is not None, time.time)
        self._statistics = Statistics(io, feed, server_id)
        if check is not None:
            Login(namespace, check, self._read_clock)
        io._directory.undescribed.add(namespace.name)
        self._features = [*(() if read_only else FEATURES), "AGGREGATED_EVENTS"]
        self._watcher: Watcher | None = None
        if is_development:
            self._features.append("ALL_EVENTS")
            self._watcher = Watcher(feed, _namespaces[io])
            for each in io.namespaces.values():
                self._watcher.watch(each)
            io.on_new_namespace(self._watcher.watch)
        if not read_only:
            Commands(io).register(namespace)
        namespace.on("connection", self._connected)
        self._timer: Any = None  # while the server serves
        io._on_start(self._start)
        io._on_end(self._end)
        if isinstance(check, BcryptCheck):
            io._on_end(check.close)
        io.engine.on("connection", self._resume)

    def _read_clock(self) -> float:
        return self._io.clock.time()

    def _resume(self, session: Session) -> None:
        """Start again with the first client of a server that has ended and serves again."""
        if self._timer is None:
            self._start()

    def _start(self) -> None:
        self._statistics.start()
        self._timer = self._io.clock.call_later(1.0, self._tick)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._ticks += 1
        self._statistics.end_second()
        if self._ticks % INTERVAL == 0:
            self._statistics.send()
        if self._watcher is not None:
            self._watcher.compare()
        self._timer = self._io.clock.call_later(1.0, self._tick)

    async def _connected(self, socket: Socket[Any]) -> None:
        socket.emit("config", {"supportedFeatures": self._features})
        if self._watcher is not None:
            socket.emit("all_sockets", await self._list_sockets())

    async def _list_sockets(self) -> list[dict[str, Any]]:
        """Return the sockets of all servers; those of this server are read last, without a gap."""
        namespaces = list(self._io.namespaces.values())
        found: list[dict[str, Any]] = []
        everyone = BroadcastTarget()
        clustered = namespaces if self._io.options.adapter is not None else []
        for start in range(0, len(clustered), PARALLEL):
            part = clustered[start : start + PARALLEL]
            answers = await asyncio.gather(
                *(each.adapter.remote_sockets(everyone, None) for each in part)
            )
            for namespace, states in zip(part, answers, strict=True):
                room = MAX_SOCKETS - len(found)
                found += [describe_remote(state, namespace.name) for state in states[:room]]
        for namespace in self._io.namespaces.values():
            local = list(namespace.sockets.values())[: MAX_SOCKETS - len(found)]
            found += [describe_local(each, namespace.name) for each in local]
        if len(found) == MAX_SOCKETS:
            logger.warning("the admin UI shows the first %d sockets", MAX_SOCKETS)
        return found

"""The commands of the admin UI: send an event, add to a room, remove from one, disconnect.

They act on the sockets of all servers. `instrument` does not register them in read-only mode.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, final

from socketio_core.adapters.interface import DONE
from socketio_core.broadcast import Broadcasting
from socketio_core.codec.packet import is_namespace
from socketio_core.namespace import Namespace
from socketio_core.server import SocketServer
from socketio_core.socket import Socket

logger = logging.getLogger("socketio_core")

FEATURES: Final = ("EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT")


@final
class Commands:
    """Executes the commands of admins, and logs each.

    `filter` is a room or the ID of a socket; without it, a command acts on the whole namespace.
    """

    def __init__(self, io: SocketServer) -> None:
        self._io = io

    def register(self, namespace: Namespace) -> None:
        """Accept commands in an admin namespace."""
        namespace.on("emit", self._emit)
        namespace.on("join", self._join)
        namespace.on("leave", self._leave)
        namespace.on("_disconnect", self._disconnect)

    async def _emit(
        self,
        socket: Socket[Any],
        nsp: str,
        filter: str | None,  # noqa: A002  # the word of the UI
        name: str,
        *args: Any,
    ) -> None:
        def emit(target: Broadcasting[Any]) -> Awaitable[None]:
            target.emit(name, *args)
            return DONE

        await self._run(socket, f"emit {name[:100]}", nsp, filter, emit)

    async def _join(
        self,
        socket: Socket[Any],
        nsp: str,
        room: str,
        filter: str | None = None,  # noqa: A002
    ) -> None:
        await self._run(
            socket, f"join {room[:100]}", nsp, filter, lambda target: target.sockets_join(room)
        )

    async def _leave(
        self,
        socket: Socket[Any],
        nsp: str,
        room: str,
        filter: str | None = None,  # noqa: A002
    ) -> None:
        await self._run(
            socket, f"leave {room[:100]}", nsp, filter, lambda target: target.sockets_leave(room)
        )

    async def _disconnect(
        self,
        socket: Socket[Any],
        nsp: str,
        close: bool = False,
        filter: str | None = None,  # noqa: A002
    ) -> None:
        await self._run(
            socket, "disconnect", nsp, filter, lambda target: target.disconnect_sockets(close)
        )

    async def _run(
        self,
        admin: Socket[Any],
        command: str,
        name: str,
        room: str | None,
        act: Callable[[Broadcasting[Any]], Awaitable[None]],
    ) -> None:
        """Log a command, and execute it for the sockets of a namespace, or those in a room.

        A namespace of a pattern without sockets on this server may have sockets on others: the
        command may create a namespace that a client may create by connecting, and no other.
        """
        logger.info(
            "admin %s at %s: %r in namespace %.100r, %s",
            admin.id, admin.handshake.address, command, name,
            f"room or socket {room[:100]!r}" if room else "all sockets",
        )  # fmt: skip
        namespace = await self._io._directory.find(name, {}) if is_namespace(name) else None
        if namespace is None:
            logger.info("a command of admin %s named an unknown namespace", admin.id)
            return
        namespace._attempts += 1
        try:
            await act(namespace.to(room) if room else namespace)
        except ValueError as error:  # a reserved event name, or a room named after a socket
            logger.info("a command of admin %s was refused: %s", admin.id, error)
        finally:
            namespace._attempt_ended()

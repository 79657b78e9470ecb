"""A standby server: its gateways serve clients through the application of the active server.

The database elects the active server, because one process at a time can open it. The active server
stores its address there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial

from sqlalchemy.exc import DBAPIError

from hextrackr_server.cluster.rendezvous import Rendezvous
from hextrackr_server.cluster.tunnel import (
    HTTP,
    LINK,
    Address,
    cancel_all,
    open_tunnel,
    remove_socket,
    splice,
    track,
)
from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import SettingsError
from hextrackr_server.storage import active_server
from hextrackr_server.telemetry import log_setup

logger = logging.getLogger(__name__)

#: Seconds between two attempts to become the active server.
INTERVAL_SECONDS = 1.0


class Standby:
    """The Unix sockets of the gateways, connected to the active server."""

    def __init__(self, settings: Settings, rendezvous: Rendezvous) -> None:
        assert settings.database_url is not None
        self._url = settings.database_url
        self._rendezvous = rendezvous
        self._address: Address | None = None
        self._found_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the database has no active server."""
        paths = {LINK: self._rendezvous.link, HTTP: self._rendezvous.http}
        servers = []
        for channel, path in paths.items():
            remove_socket(path)
            accept = partial(self._accept, channel)
            servers.append(await asyncio.start_unix_server(accept, str(path)))
        logger.info("standby: another server is active")
        try:
            while not await asyncio.to_thread(self._is_free):  # noqa: ASYNC110 - another server
                await asyncio.sleep(INTERVAL_SECONDS)
        finally:
            for server in servers:
                server.close()
            await cancel_all(self._tasks)
            for path in paths.values():
                remove_socket(path)

    def _is_free(self) -> bool:
        try:
            return active_server.is_free(self._url)
        except (DBAPIError, SettingsError):
            return False  # the database is not reachable: there is nothing to take over

    def _accept(
        self, channel: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        track(self._tasks, self._forward(channel, reader, writer))

    async def _forward(
        self, channel: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            address = await self._active_address()
            outer = await open_tunnel(address, self._rendezvous.secret, channel)
        except OSError as error:
            logger.info("no connection to the active server", extra=log_setup.fields(reason=error))
            self._address = None
            writer.close()
            return
        await splice((reader, writer), outer)

    async def _active_address(self) -> Address:
        """Return the address of the active server. Raises ConnectionRefusedError."""
        now = time.monotonic()
        if self._address is None or now - self._found_at > INTERVAL_SECONDS:
            try:
                found = await asyncio.to_thread(active_server.find, self._url)
            except (DBAPIError, SettingsError) as error:
                raise ConnectionRefusedError(f"the database is not readable: {error}") from error
            if found is None:
                raise ConnectionRefusedError("no server is active")
            self._address, self._found_at = Address(*found), now
        return self._address

"""The whole server, put together.

Knows: every part, and which is given to which.  Does not know: the command line.
This is the only module that knows both sockets and services.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette

from engineio_core import Cors
from engineio_core.listener import wait_for_signal
from hextrackr_server import log_setup
from hextrackr_server.clock import LoopClock
from hextrackr_server.database import Database
from hextrackr_server.handlers import identity, imports, progress, vulnerabilities
from hextrackr_server.http_api import create_http_app
from hextrackr_server.import_service import ImportService
from hextrackr_server.import_store import ImportStore
from hextrackr_server.importer import Importer
from hextrackr_server.principal import TokenAuthority
from hextrackr_server.progress_tracker import ProgressTracker
from hextrackr_server.settings import Settings
from hextrackr_server.statistics_service import StatisticsService
from hextrackr_server.upload_store import UploadStore
from hextrackr_server.vulnerability_store import VulnerabilityStore
from socketio_core import SocketServer

logger = logging.getLogger(__name__)


class RoomEmitter:
    """The Rooms that services are given: those of the namespace `/`."""

    def __init__(self, io: SocketServer) -> None:
        self._io = io

    def emit(self, room: str | tuple[str, ...], event: str, payload: dict[str, Any]) -> None:
        """Send an event to everyone in a room, or in several, once."""
        self._io.to(room).emit(event, payload)

    def keep_only(self, room: str, rooms: tuple[str, ...]) -> None:
        """Put everyone out of a room who is in none of the others."""
        self._io.in_(room).except_(rooms).sockets_leave(room)


class Application:
    """One server: its sockets, its HTTP, its database.

    Opens the database at once, so that a server which cannot have it does not start; raises
    SettingsError then.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database)
        self.authority = TokenAuthority(settings.jwt_secret)
        self.io = SocketServer(cors=Cors(origins=list(settings.cors_origins), credentials=True))
        self.tracker = ProgressTracker(RoomEmitter(self.io), LoopClock())
        self.uploads = UploadStore(
            settings.database.with_name(settings.database.name + ".uploads"), time.monotonic
        )
        self.statistics = StatisticsService(VulnerabilityStore(self.database), time.monotonic)
        self.imports = ImportService(
            ImportStore(self.database),
            Importer(self.database),
            self.tracker,
            on_committed=lambda *_: self.statistics.forget(),
        )
        identity.register(self.io, self.authority)
        imports.register(self.io, self.imports, self.uploads)
        progress.register(self.io, self.imports.view)
        vulnerabilities.register(self.io, self.statistics)
        self.io.mount(
            create_http_app(
                self.authority,
                self.imports,
                self.uploads,
                cors_origins=settings.cors_origins,
                lifespan=self._lifespan,
            )
        )

    async def listen(self) -> int:
        """Take connections; the port, which the system chooses where the settings say 0.

        Raises OSError if the address cannot be had; everything has ended then.
        """
        try:
            listener = await self.io.listen(self.settings.host, self.settings.port)
        except OSError:
            await self.io.shutdown()
            raise
        return listener.port

    async def serve(self, on_listening: Callable[[int], None]) -> None:
        """Listen until SIGINT or SIGTERM, then say goodbye to every client."""
        on_listening(await self.listen())
        stopped_by = await wait_for_signal(lambda: None)
        logger.info("stopping", extra=log_setup.fields(signal=stopped_by))
        await self.io.shutdown()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await self.imports.start()
        try:
            yield
        finally:
            await self.imports.stop()
            self.tracker.close()
            self.uploads.close()
            self.database.close()

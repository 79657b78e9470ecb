"""The hub as one application: a list of features, a port and an orderly shutdown.

`feature` describes the phases of a feature; `cli.serve` runs the application.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette

from engineio_core.service_manager import ServiceManager
from engineio_core.signals import StopSignals
from hextrackr_server.backup.feature import BackupFeature
from hextrackr_server.clock import Clock, LoopClock
from hextrackr_server.collaboration.feature import CollaborationFeature
from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import DatabaseInUseError, SettingsError
from hextrackr_server.feature import Context, Feature
from hextrackr_server.findings.feature import FindingsFeature
from hextrackr_server.http.app import create_http_app
from hextrackr_server.http.asyncapi import asyncapi_route
from hextrackr_server.http.feature import DashboardFeature
from hextrackr_server.http.ingest.feature import IngestFeature
from hextrackr_server.imports.feature import ImportsFeature
from hextrackr_server.kev.feature import KevFeature
from hextrackr_server.retention.feature import RetentionFeature
from hextrackr_server.security.feature import SecurityFeature
from hextrackr_server.sockets.server import load_tls
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.feature import TelemetryFeature

logger = logging.getLogger(__name__)

#: The features of the hub, in any order.
FEATURES: tuple[Callable[[Context], Feature], ...] = (
    SecurityFeature,
    TelemetryFeature,
    CollaborationFeature,
    FindingsFeature,
    ImportsFeature,
    KevFeature,
    BackupFeature,
    RetentionFeature,
    IngestFeature,
    DashboardFeature,
)

#: Seconds between two checks that no other server uses the database.
LOCK_CHECK_SECONDS = 2.0

#: Polling clients have one second to fetch their events before the disconnect notice.
FETCH_CHECKS, FETCH_CHECK_SECONDS = 50, 0.02


class Application:
    """One server: its sockets, its HTTP API and its database.

    The constructor opens the database. Raises SettingsError if the database is not usable.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        features: Sequence[Callable[[Context], Feature]] = FEATURES,
    ) -> None:
        self.settings = settings
        self.clock = clock or LoopClock()
        self.context = Context(settings, self.clock)
        self.services = self.context.services
        self.database = self.context.database
        self.io = self.context.io
        try:
            self.features = [build(self.context) for build in features]
        except BaseException:
            self.database.close()
            raise
        routes = [route for feature in self.features for route in feature.register()]
        routes.append(asyncapi_route(self.io))
        self.http_app = create_http_app(
            routes,
            cors_origins=settings.cors_origins,
            cors_origin_pattern=settings.cors_origin_pattern,
            lifespan=self._lifespan,
        )
        self.io.mount(self.http_app)

    async def listen(self) -> int:
        """Accept connections, and return the port, which the system chooses for port 0.

        Raises OSError if the address is not available, after the features have stopped.
        """
        try:
            listener = await self.io.listen(
                self.settings.host, self.settings.port, ssl=load_tls(self.settings)
            )
        except OSError:
            await self.io.shutdown()
            raise
        for feature in self.features:
            feature.announce_start()
        return listener.port

    async def serve(
        self,
        on_listening: Callable[[int], None],
        *,
        is_supervised: bool = False,
        manager: ServiceManager | None = None,
    ) -> None:
        """Listen until SIGINT or SIGTERM, then shut down; a second signal ends the process at once.

        A supervised process leaves the second signal to its supervisor. `manager` receives the
        states of the server. Raises DatabaseInUseError, after the shutdown, if this server lost the
        database to another.
        """
        manager = manager or ServiceManager()
        reload = manager.during(self.io.engine.reload_tls)
        # Handle signals before the port is printed: its reader may stop the server immediately.
        async with (
            StopSignals(reload, is_supervised=is_supervised) as signals,
            manager.watched(),
        ):
            stopping = asyncio.create_task(signals.wait(), name="signals")
            watching = asyncio.create_task(self._watch_lock(), name="database lock")
            try:
                on_listening(await self.listen())
                manager.ready()
                await asyncio.wait({stopping, watching}, return_when=asyncio.FIRST_COMPLETED)
                lost = watching.exception() if watching.done() else None
                signal = None if lost is not None else stopping.result()
                logger.info("stopping", extra=log_setup.fields(signal=signal))
                manager.stopping()
                # The checks continue: they end statements that the database does not answer.
                await self.shutdown()
            finally:
                stopping.cancel()
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        if lost is not None:
            raise lost

    async def _watch_lock(self) -> None:
        """Return only by an exception: DatabaseInUseError if another server uses the database."""
        while True:
            await asyncio.sleep(LOCK_CHECK_SECONDS)
            try:
                await asyncio.to_thread(self.database.check_lock)
            except DatabaseInUseError:
                raise
            except SettingsError as error:
                logger.warning(
                    "the database is not reachable", extra=log_setup.fields(reason=error)
                )

    async def shutdown(self) -> None:
        """Refuse new clients, end work, send the last events, and disconnect all clients in waves.

        HexTrackr's front end reconnects only after a disconnect notice.
        """
        self.io.begin_drain()
        for feature in self.features:
            feature.announce_shutdown()
        drain, begun = self.settings.shutdown_drain, self.clock.monotonic()
        for feature in self.features:
            await feature.drain(drain or 0.0)
        for feature in self.features:
            feature.flush()
        await self._wait_for_polls()
        if drain is not None:
            drain = max(0.0, drain - (self.clock.monotonic() - begun))
        await self.io.shutdown(disconnect=self.settings.shutdown_disconnect, drain=drain)

    async def _wait_for_polls(self) -> None:
        """Wait until polling clients have fetched their events and sent their next request.

        Only a pending poll can receive the disconnect notice.
        """
        for _ in range(FETCH_CHECKS):
            if all(session.writable for session in self.io.engine.sessions.values()):
                return
            await asyncio.sleep(FETCH_CHECK_SECONDS)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(self.database.close)
            stack.push_async_callback(self.context.unannounced.stop)
            for feature in self.features:
                stack.push_async_callback(feature.stop)
                await feature.start()
            await self.context.unannounced.start()
            yield

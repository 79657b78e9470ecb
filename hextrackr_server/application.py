"""The whole server, put together.

Knows: every part, and which is given to which.  Does not know: the command line.
This is the only module that knows both sockets and services.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from secrets import token_urlsafe
from typing import Any

from sqlalchemy import select
from starlette.applications import Starlette
from starlette.routing import Route

from engineio_core import Cors
from engineio_core.http.listener import Tls, wait_for_signal
from engineio_core.http.message import HttpRequest
from hextrackr_server.clock import Clock, LoopClock
from hextrackr_server.collaboration.delivery import NotificationDelivery
from hextrackr_server.collaboration.maintenance import Maintenance
from hextrackr_server.collaboration.maintenance_store import MaintenanceStore
from hextrackr_server.collaboration.notification_store import NotificationStore
from hextrackr_server.collaboration.notifications import Notifications
from hextrackr_server.collaboration.presence import EditingSessions
from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import ErrorCode, ServiceError, SettingsError
from hextrackr_server.findings.batcher import UpdateBatcher
from hextrackr_server.findings.events import VulnerabilityEvents
from hextrackr_server.findings.queries import QueryService
from hextrackr_server.findings.query_executor import QueryExecutor
from hextrackr_server.findings.query_store import QueryStore
from hextrackr_server.findings.statistics import StatisticsService
from hextrackr_server.findings.store import VulnerabilityStore
from hextrackr_server.http.app import create_http_app
from hextrackr_server.http.frontend_routes import front_end_routes
from hextrackr_server.http.ingest.endpoints import IngestPaths
from hextrackr_server.http.ingest.routes import ingest_routes
from hextrackr_server.http.ingest.service import IngestService
from hextrackr_server.http.kev_routes import kev_routes
from hextrackr_server.http.metrics_routes import metrics_routes
from hextrackr_server.imports.inbox import ImportInbox
from hextrackr_server.imports.pipeline import Importer
from hextrackr_server.imports.progress_tracker import ProgressTracker
from hextrackr_server.imports.service import ImportService
from hextrackr_server.imports.store import ImportStore
from hextrackr_server.imports.uploads import UploadStore
from hextrackr_server.kev.fetcher import KevFetcher
from hextrackr_server.kev.service import KevService
from hextrackr_server.kev.store import KevStore
from hextrackr_server.security.idempotency import IdempotencyKeys
from hextrackr_server.security.identity import IdentityService
from hextrackr_server.security.principal import Principal, TokenAuthority, TokenRules
from hextrackr_server.security.producer_tokens import IngestAuthority
from hextrackr_server.security.rate_limiter import LimitRules, RateLimiter
from hextrackr_server.security.session_cookie import SessionCookies, SessionStore
from hextrackr_server.sockets import (
    admin,
    editing,
    imports,
    limits,
    notifications,
    observation,
    progress,
    vulnerabilities,
)
from hextrackr_server.sockets.authenticator import Authenticator
from hextrackr_server.sockets.emitter import RoomEmitter
from hextrackr_server.sockets.error_reporter import ErrorReporter
from hextrackr_server.storage.background_writer import BackgroundWriter
from hextrackr_server.storage.database import Database
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.event_log import EventLog
from hextrackr_server.telemetry.metrics import Metrics
from socketio_core import Recovery, SocketServer

logger = logging.getLogger(__name__)

#: An import notices within this time that it shall end, unless its result is being written.
INTERRUPT_SECONDS = 2.0
#: Who polls has this long to come again before the goodbye: a second, looked at now and then.
FETCH_LOOKS, FETCH_LOOK_SECONDS = 50, 0.02


class Application:
    """One server: its sockets, its HTTP, its database.

    Opens the database at once, so that a server which cannot have it does not start; raises
    SettingsError then.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or LoopClock()
        inbox = ImportInbox(settings.import_inbox)
        self.database = Database(settings.database_url or settings.database)
        self.authority = TokenAuthority(settings.jwt_secret, _token_rules(settings))
        self.metrics = Metrics(self.clock)
        self.limiter = RateLimiter(_limit_rules(settings), self.clock.monotonic)
        self.identity = self._identity()
        error_reporter = ErrorReporter(self.clock, self.limiter, self.metrics)
        self.io = _socket_server(settings, self._may_return, error_reporter)
        self.authenticator = Authenticator(self.io, self.identity, self.metrics, self.clock)
        self.authenticator.register(strict_http_auth=settings.strict_http_auth)
        rooms = RoomEmitter(self.io)
        self.writer = BackgroundWriter()
        self.delivery = self._make_delivery(rooms) if settings.notification_acks else None
        self.notifications = Notifications(rooms, self.clock, self.delivery)
        self.maintenance = Maintenance(
            MaintenanceStore(self.database), self.writer, rooms, self.notifications, self.clock
        )
        self.editing = EditingSessions(
            rooms,
            self.clock,
            idle_seconds=settings.editing_idle_seconds,
            grace_seconds=settings.editing_grace_seconds,
            watchers_only=settings.presence_scope == "watchers",
        )
        path, now = settings.event_log, self.clock.monotonic
        self.event_log = None if path is None else EventLog(path, now)
        self.tracker = ProgressTracker(rooms, self.clock)
        self.batcher = UpdateBatcher(rooms, self.clock)
        self.vulnerabilities = VulnerabilityEvents(rooms, self.batcher, self.clock)
        self.uploads = UploadStore(
            settings.database.with_name(settings.database.name + ".uploads"), time.monotonic
        )
        self.query_executor = QueryExecutor()
        self.statistics = StatisticsService(
            VulnerabilityStore(self.database), self.query_executor, time.monotonic
        )
        self.imports = ImportService(
            ImportStore(self.database),
            Importer(self.database),
            self.tracker,
            on_committed=self._committed,
            admit=self.maintenance.refuse_work,
        )
        self.kev = KevService(
            KevStore(self.database),
            settings.kev_file or KevFetcher(settings.kev_url, settings.kev_hosts),
            rooms,
            self.vulnerabilities,
            self.clock,
            interval=settings.kev_interval,
            daily=settings.kev_time,
            on_changed=self.statistics.forget,
        )
        imports.register(self.io, self.imports, self.uploads, inbox, settings.max_rooms)
        progress.register(self.io, self.imports.view)
        vulnerabilities.register(
            self.io,
            self.statistics,
            QueryService(
                QueryStore(self.database),
                self.imports.view.status,
                self.editing,
                self.query_executor,
            ),
        )
        editing.register(self.io, self.editing, settings.max_rooms)
        if self.delivery is not None:
            notifications.register(self.io, self.delivery)
        admin.register(self.io, self.maintenance, self.notifications)
        # Behind all others: it counts the events that there are.
        error_reporter.register(self.io)
        limits.register(self.io, self.limiter, self.authenticator)
        observation.register(self.io, self.metrics, self.event_log)
        self._add_gauges()
        self.io.mount(
            create_http_app(
                self.identity,
                self.imports,
                self.uploads,
                cors_origins=settings.cors_origins,
                cors_origin_pattern=settings.cors_origin_pattern,
                more_routes=[
                    *front_end_routes(self.identity, self.imports, self.uploads),
                    *kev_routes(self.identity, self.kev),
                    *metrics_routes(self.metrics, self._check_database, settings.metrics_token),
                    *self._ingest_routes(rooms),
                ],
                lifespan=self._lifespan,
            )
        )

    async def listen(self) -> int:
        """Take connections; the port, which the system chooses where the settings say 0.

        Raises OSError if the address cannot be had; everything has ended then.
        """
        try:
            listener = await self.io.listen(
                self.settings.host, self.settings.port, ssl=_tls(self.settings)
            )
        except OSError:
            await self.io.shutdown()
            raise
        return listener.port

    async def serve(self, on_listening: Callable[[int], None]) -> None:
        """Listen until SIGINT or SIGTERM, then say goodbye to every client."""
        # Before the port is told: whoever hears of it may stop the server at once.
        stopping = asyncio.create_task(wait_for_signal(self.io.engine.reload_tls), name="signals")
        try:
            on_listening(await self.listen())
            stopped_by = await stopping
        finally:
            stopping.cancel()
        logger.info("stopping", extra=log_setup.fields(signal=stopped_by))
        await self.shutdown()

    async def shutdown(self) -> None:
        """Let every client go: HexTrackr's front end comes back only if it is told to leave.

        Before that all hear that the server stops, and those who follow an import that it was
        interrupted.
        """
        self.notifications.system("server-stopping", "The server stops: it may be back soon")
        drain, begun = self.settings.shutdown_drain, self.clock.monotonic()
        await self.imports.interrupt(max(drain, INTERRUPT_SECONDS))
        self.batcher.close()
        await self._fetched()
        drain = max(0.0, drain - (self.clock.monotonic() - begun))
        await self.io.shutdown(disconnect=self.settings.shutdown_disconnect, drain=drain)

    async def _fetched(self) -> None:
        """Wait a moment for clients that poll to come for what they were told, and to come again.

        Only a poll that waits brings them the goodbye.
        """
        for _ in range(FETCH_LOOKS):
            if all(session.writable for session in self.io.engine.sessions.values()):
                return
            await asyncio.sleep(FETCH_LOOK_SECONDS)

    def _identity(self) -> IdentityService:
        settings, cookies, store = self.settings, None, None
        if settings.session_secrets:
            cookies = SessionCookies(settings.session_cookie, settings.session_secrets)
            store = SessionStore(settings.sessions_database)
        return IdentityService(self.authority, self.clock, cookies, store, self._limit_requests)

    def _limit_requests(self, principal: Principal) -> None:
        if self.limiter.request(principal.user_id):
            raise ServiceError(ErrorCode.RATE_LIMITED, limits.TOO_MANY)

    def _may_return(self, data: dict[str, Any]) -> bool:
        is_current = self.identity.is_current(data["principal"])
        return is_current and progress.may_return(data, self.imports.view)

    def _committed(self, import_id: int, summary: dict[str, Any], changes: dict[str, Any]) -> None:
        self.statistics.forget()
        self.vulnerabilities.import_committed(import_id, summary, changes)

    def _ingest_routes(self, rooms: RoomEmitter) -> list[Route]:
        settings, clock = self.settings, self.clock
        paths = IngestPaths(
            IngestService(rooms, self.tracker),
            self.notifications,
            self.maintenance,
            self.authenticator.revoke,
            self.vulnerabilities,
            rooms,
            clock,
        )
        authority = IngestAuthority(
            settings.ingest_tokens, clock, signed_only=settings.ingest_signed_only
        )
        return ingest_routes(authority, IdempotencyKeys(clock.monotonic), paths.paths())

    def _make_delivery(self, rooms: RoomEmitter) -> NotificationDelivery:
        settings = self.settings
        store = NotificationStore(
            self.database,
            per_user=settings.notifications_kept,
            seconds=settings.notifications_kept_seconds,
        )
        return NotificationDelivery(
            store,
            self.writer,
            rooms,
            self.clock,
            timeout=settings.notification_timeout,
            attempts=settings.notification_attempts,
        )

    def _check_database(self) -> None:
        with self.database.reading() as connection:
            connection.execute(select(1))

    def _add_gauges(self) -> None:
        self.metrics.gauge("events_total", lambda: self.limiter.allowed)
        self.metrics.gauge("events_refused_total", lambda: self.limiter.refused)
        self.metrics.gauge("editors", lambda: len(self.editing))
        if (delivery := self.delivery) is not None:
            self.metrics.gauge("notifications_under_way", lambda: len(delivery))
        self.metrics.gauge("maintenance", lambda: self.maintenance.is_active)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await self.maintenance.restore()
        if self.delivery is not None:
            self.delivery.start()
        await self.imports.start()
        await self.kev.start()
        self.authenticator.start(self.settings.recheck_interval)
        try:
            yield
        finally:
            await self.authenticator.stop()
            self.editing.close()
            self.maintenance.close()
            if self.event_log is not None:
                self.event_log.close()
            await self.kev.stop()
            await self.imports.stop()
            self.tracker.close()
            self.batcher.close()
            self.uploads.close()
            self.query_executor.close()
            if self.delivery is not None:
                await self.delivery.stop()
            await self.writer.close()
            self.database.close()


def _token_rules(settings: Settings) -> TokenRules:
    return TokenRules(
        algorithms=settings.jwt_algorithms,
        public_key=settings.jwt_public_key,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        leeway=settings.jwt_leeway,
    )


def _limit_rules(settings: Settings) -> LimitRules:
    return LimitRules(
        events_per_minute=settings.events_per_minute,
        events_per_minute_of_address=settings.events_per_minute_of_address,
        connects_per_minute=settings.connects_per_minute,
        refusals_before_disconnect=settings.refusals_before_disconnect,
        connections_per_user=settings.max_connections_per_user,
        connections_per_address=settings.max_connections_per_address,
    )


def _socket_server(
    settings: Settings, may_return: Callable[[dict[str, Any]], bool], error_reporter: ErrorReporter
) -> SocketServer:
    origins: list[str | re.Pattern[str]] = list(settings.cors_origins)
    if settings.cors_origin_pattern is not None:
        origins.append(re.compile(settings.cors_origin_pattern))
    recovery = None
    if settings.recovery_seconds > 0:
        recovery = Recovery(
            max_disconnection_duration=settings.recovery_seconds,
            # Who comes back proves himself again; what he missed is not for anybody else.
            skip_middlewares=False,
            still_valid=may_return,
        )
    io = SocketServer(
        cors=Cors(
            origins=origins,
            methods=("GET", "POST"),
            allowed_headers=("authorization", "content-type"),
            credentials=True,
        ),
        recovery=recovery,
        ping_interval=settings.ping_interval,
        ping_timeout=settings.ping_timeout,
        trusted_proxies=settings.trusted_proxies,
        max_sessions=settings.max_connections,
        error_ack=error_reporter.ack,
    )
    if settings.affinity_cookie is not None:
        _keep_clients_apart(io, settings.affinity_cookie)
    return io


def _keep_clients_apart(io: SocketServer, name: str) -> None:
    """Give each client a cookie that a balancer can go by: a random one, that grants nothing."""

    def add_cookie(headers: dict[str, str], request: HttpRequest) -> None:
        if f"{name}=" not in request.headers.get("cookie", ""):
            secure = "; Secure" if request.secure else ""
            value = f"{name}={token_urlsafe(12)}; Path=/; HttpOnly; SameSite=Lax{secure}"
            headers["Set-Cookie"] = value

    io.engine.on("initial_headers", add_cookie)


def _tls(settings: Settings) -> Tls | None:
    if settings.ssl_cert_path is None:
        return None
    try:
        tls = Tls(certificate=settings.ssl_cert_path, key=settings.ssl_key_path)
        tls.make_context()
    except (ValueError, OSError, ssl.SSLError) as error:
        raise SettingsError(f"SSL_CERT_PATH or SSL_KEY_PATH cannot be used: {error}") from error
    return tls

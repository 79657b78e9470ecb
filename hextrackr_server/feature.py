"""The shape of a feature: what it receives, what it shares and when the application calls it.

A feature is one part of the hub, such as imports or presence. Its `feature.py` contains one
subclass of `Feature` that builds its services and connects them to sockets, HTTP and metrics. The
order of the features in `application.FEATURES` does not matter, because each phase runs for all
features before the next phase begins:

    1. `__init__`           build services from the context, and share them in `context.services`
    2. `register`           add event handlers and gauges, return routes; all services exist now
    3. `start`              begin work; all handlers are registered, no client is connected
    4. `announce_start`     log notices for operators; the server accepts connections
    5. `announce_shutdown`  inform clients that the server is about to stop
    6. `drain`              end running work; clients are still connected
    7. `flush`              send queued events; no feature produces new ones
    8. `stop`               release threads, timers and files; all clients are disconnected

A constructor must not read a service of another feature: the other feature may come later.
Functions that run later, such as callbacks and handlers, may.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from starlette.routing import BaseRoute

from engineio_core.accounts import Ledger
from hextrackr_server.clock import Clock
from hextrackr_server.collaboration.delivery import NotificationDelivery
from hextrackr_server.collaboration.maintenance import Maintenance
from hextrackr_server.collaboration.notifications import Notifications
from hextrackr_server.collaboration.presence import EditingSessions
from hextrackr_server.config.settings import Settings
from hextrackr_server.findings.batcher import UpdateBatcher
from hextrackr_server.findings.events import VulnerabilityEvents
from hextrackr_server.findings.statistics import StatisticsService
from hextrackr_server.imports.progress_tracker import ProgressTracker
from hextrackr_server.imports.service import ImportService
from hextrackr_server.imports.uploads import UploadStore
from hextrackr_server.rooms import NAMESPACES
from hextrackr_server.security.identity import IdentityService
from hextrackr_server.security.principal import TokenAuthority
from hextrackr_server.security.rate_limiter import LimitRules, RateLimiter
from hextrackr_server.sockets.authenticator import Authenticator
from hextrackr_server.sockets.emitter import RoomEmitter
from hextrackr_server.sockets.error_reporter import ErrorReporter
from hextrackr_server.sockets.payloads import declared
from hextrackr_server.sockets.server import create_socket_server
from hextrackr_server.storage.background_writer import BackgroundWriter
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.unannounced import Unannounced
from hextrackr_server.telemetry.metrics import Metrics


class Services:
    """Services that features share; the feature named in the comment sets them."""

    # security
    authority: TokenAuthority
    identity: IdentityService
    authenticator: Authenticator
    # collaboration
    writer: BackgroundWriter
    delivery: NotificationDelivery | None
    notifications: Notifications
    maintenance: Maintenance
    editing: EditingSessions
    # findings
    batcher: UpdateBatcher
    vulnerabilities: VulnerabilityEvents
    statistics: StatisticsService
    # imports
    tracker: ProgressTracker
    uploads: UploadStore
    imports: ImportService


class Context:
    """Infrastructure that all features receive.

    Opening the database may fail. Raises SettingsError, so that the server does not start.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.database = Database(settings.database_url or settings.database)
        self.unannounced = Unannounced(self.database, clock)
        self.metrics = Metrics(clock)
        self.limiter = RateLimiter(_limit_rules(settings), clock.monotonic)
        self.users = Ledger(
            settings.max_connections_per_user,
            settings.max_buffered_megabytes_per_user << 20,
            settings.max_handlers_per_user,
        )
        #: Functions that receive the data of a socket and return whether it may be recovered.
        self.recovery_checks: list[Callable[[dict[str, Any]], bool]] = []
        error_reporter = ErrorReporter(clock, self.limiter, self.metrics)
        self.io = create_socket_server(
            settings, still_valid=self._may_recover, error_ack=error_reporter.ack
        )
        error_reporter.register(self.io)
        declared.declare(self.io, NAMESPACES)
        self.rooms = RoomEmitter(self.io)
        self.services = Services()

    def _may_recover(self, data: dict[str, Any]) -> bool:
        return all(check(data) for check in self.recovery_checks)


class Feature:
    """One part of the hub; the base class has no effect in any phase but the first."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def register(self) -> Sequence[BaseRoute]:
        """Add event handlers and gauges, and return HTTP routes."""
        return ()

    async def start(self) -> None:
        """Begin work, within the running event loop."""

    def announce_start(self) -> None:
        """Log notices for operators: the server accepts connections now."""

    def announce_shutdown(self) -> None:
        """Inform clients that the server is about to stop."""

    async def drain(self, seconds: float) -> None:
        """End running work, and send its last events; take at most about `seconds`."""

    def flush(self) -> None:
        """Send queued events to clients, which are still connected."""

    async def stop(self) -> None:
        """Release threads, timers and files."""


def _limit_rules(settings: Settings) -> LimitRules:
    return LimitRules(
        events_per_minute=settings.events_per_minute,
        events_per_minute_of_address=settings.events_per_minute_of_address,
        connects_per_minute=settings.connects_per_minute,
        refusals_before_disconnect=settings.refusals_before_disconnect,
        connections_per_user=settings.max_connections_per_user,
        connections_per_address=settings.max_connections_per_address,
    )

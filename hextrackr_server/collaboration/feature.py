"""Presence of editors, notifications to users, and maintenance windows."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute

from hextrackr_server.collaboration.delivery import NotificationDelivery
from hextrackr_server.collaboration.maintenance import Maintenance
from hextrackr_server.collaboration.maintenance_store import MaintenanceStore
from hextrackr_server.collaboration.notification_store import NotificationStore
from hextrackr_server.collaboration.notifications import Notifications
from hextrackr_server.collaboration.presence import EditingSessions
from hextrackr_server.feature import Context, Feature
from hextrackr_server.sockets import admin, editing, notifications
from hextrackr_server.storage.background_writer import BackgroundWriter


class CollaborationFeature(Feature):
    """Connects users with each other and with administrators."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        settings, services, clock = context.settings, context.services, context.clock
        services.writer = BackgroundWriter()
        services.delivery = self._create_delivery() if settings.notification_acks else None
        services.notifications = Notifications(context.rooms, clock, services.delivery)
        services.maintenance = Maintenance(
            MaintenanceStore(context.database),
            services.writer,
            context.rooms,
            services.notifications,
            clock,
        )
        services.editing = EditingSessions(
            context.rooms,
            clock,
            idle_seconds=settings.editing_idle_seconds,
            grace_seconds=settings.editing_grace_seconds,
            watchers_only=settings.presence_scope == "watchers",
        )

    def register(self) -> Sequence[BaseRoute]:
        """Add the events of editors and administrators, and the gauges."""
        io, metrics, services = self.context.io, self.context.metrics, self.context.services
        editing.register(io, services.editing, self.context.settings.max_rooms)
        metrics.gauge("editors", lambda: len(services.editing), "Users who edit a finding")
        if (delivery := services.delivery) is not None:
            notifications.register(io, delivery)
            metrics.gauge(
                "notifications_under_way", lambda: len(delivery), "Notifications without an ack"
            )
        admin.register(io, services.maintenance, services.notifications)
        metrics.gauge("maintenance", lambda: services.maintenance.is_active, "1 during maintenance")
        return ()

    async def start(self) -> None:
        """Restore stored maintenance windows, and begin to deliver notifications."""
        await self.context.services.maintenance.restore()
        if self.context.services.delivery is not None:
            self.context.services.delivery.start()

    def announce_shutdown(self) -> None:
        """Send a system notification."""
        message = "The server is stopping and may be back soon"
        self.context.services.notifications.system("server-stopping", message)

    async def stop(self) -> None:
        """Stop timers and deliveries, then finish pending writes."""
        services = self.context.services
        services.editing.close()
        services.maintenance.close()
        if services.delivery is not None:
            await services.delivery.stop()
        await services.writer.close()

    def _create_delivery(self) -> NotificationDelivery:
        context, settings = self.context, self.context.settings
        store = NotificationStore(
            context.database,
            per_user=settings.notifications_kept,
            seconds=settings.notifications_kept_seconds,
        )
        return NotificationDelivery(
            store,
            context.services.writer,
            context.rooms,
            context.clock,
            timeout=settings.notification_timeout,
            attempts=settings.notification_attempts,
        )

"""Restores of backups while the server runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.routing import BaseRoute

from hextrackr_server.backup.manifest import Manifest
from hextrackr_server.backup.replacing import NOTED_RESTORE
from hextrackr_server.backup.restoring import folder_of
from hextrackr_server.backup.service import RestoreService
from hextrackr_server.feature import Feature
from hextrackr_server.http.backup_routes import backup_routes


class BackupFeature(Feature):
    """Replaces the data of the server by a backup, and informs clients."""

    def register(self) -> Sequence[BaseRoute]:
        """Return the route of restores."""
        context, services = self.context, self.context.services
        restores = RestoreService(
            context.database,
            services.imports,
            folder_of(context.settings.database),
            self._restored,
        )
        context.unannounced.add(NOTED_RESTORE, self._announce)
        return backup_routes(services.identity, restores)

    def _restored(self, manifest: Manifest) -> None:
        self._inform(round(manifest.created.timestamp() * 1000))

    async def _announce(self, _: str, backup_ms: int) -> None:
        self._inform(backup_ms)

    def _inform(self, backup_ms: int) -> None:
        services = self.context.services
        services.statistics.forget()
        services.vulnerabilities.data_restored(backup_ms)
        created = datetime.fromtimestamp(backup_ms / 1000, UTC)
        message = f"The data are those of the backup of {created:%Y-%m-%d %H:%M} UTC"
        services.notifications.system("data-restored", message)
        self.context.unannounced.sent(NOTED_RESTORE, "")

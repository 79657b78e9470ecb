"""Imports of scanner exports, and the progress that clients follow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from starlette.routing import BaseRoute

from hextrackr_server.clock import Timer
from hextrackr_server.feature import Context, Feature
from hextrackr_server.http.frontend_routes import front_end_routes
from hextrackr_server.http.import_routes import import_routes
from hextrackr_server.imports.import_metrics import ImportMetrics
from hextrackr_server.imports.inbox import ImportInbox
from hextrackr_server.imports.inspector import ImportInspector
from hextrackr_server.imports.journal import ImportJournal, JournalStore
from hextrackr_server.imports.pipeline import Importer
from hextrackr_server.imports.progress_tracker import KEEP_SECONDS, ProgressTracker
from hextrackr_server.imports.reading_process import read_in_process
from hextrackr_server.imports.service import ImportService
from hextrackr_server.imports.store import NOTED_IMPORT, NOTED_UNDO, ImportStore
from hextrackr_server.imports.undo import Undone
from hextrackr_server.imports.uploads import UploadStore
from hextrackr_server.security.principal import Principal
from hextrackr_server.sockets import imports, progress
from hextrackr_server.storage.background_writer import BackgroundWriter

#: A running import stops within this time, unless it is writing its result.
INTERRUPT_SECONDS = 2.0
#: Interval of deleting uploads that no import has taken.
SWEEP_SECONDS = 300.0


class ImportsFeature(Feature):
    """Imports files that arrive over sockets, HTTP or the inbox folder."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        settings, services = context.settings, context.services
        self._inbox = ImportInbox(settings.import_inbox)
        services.tracker = ProgressTracker(context.rooms, context.clock)
        self._journal_writer = BackgroundWriter("hextrackr-journal")
        self._journal_store = JournalStore(context.database)
        self._journal = ImportJournal(self._journal_store, self._journal_writer.soon, context.clock)
        services.tracker.on_change = self._journal.note
        services.tracker.on_forget = self._journal.forget
        ImportMetrics(services.tracker, context.metrics)
        services.uploads = UploadStore(
            settings.database.with_name(settings.database.name + ".uploads"),
            time.monotonic,
            settings.import_megabytes * 1024 * 1024,
            keep_seconds=settings.uploads_kept_seconds,
            kept_per_user=settings.uploads_kept,
        )
        services.imports = ImportService(
            ImportStore(context.database),
            Importer(context.database, read_in_process, settings.snapshots_kept),
            services.tracker,
            on_committed=self._committed,
            admit=self._admit,
            maximum_changes=settings.changes_per_import,
            on_undone=self._undone,
        )
        context.unannounced.add(NOTED_IMPORT, self._announce_import)
        context.unannounced.add(NOTED_UNDO, self._announce_undo)
        self._sweep: Timer | None = None
        self._inspector = ImportInspector(context.database, services.uploads, self._admit)
        context.recovery_checks.append(self._may_recover)

    def register(self) -> Sequence[BaseRoute]:
        """Add the events of imports and of their progress; return the routes."""
        io, services = self.context.io, self.context.services
        imports.register(
            io, services.imports, services.uploads, self._inbox, self.context.settings.max_rooms
        )
        progress.register(io, services.imports.view)
        self.context.metrics.gauge(
            "uploads_expired_total",
            lambda: services.uploads.expired,
            "Uploads that no import has taken in time",
        )
        return [
            *import_routes(services.identity, services.imports, services.uploads, self._inspector),
            *front_end_routes(services.identity, services.imports, services.uploads),
        ]

    async def start(self) -> None:
        """Settle imports that an earlier server did not finish, and start the worker."""
        since = self.context.clock.epoch_ms() - round(KEEP_SECONDS * 1000)
        states = await self._journal_writer.run(self._journal_store.load, since)
        self.context.services.tracker.resume(map(self._journal.restore, states))
        await self.context.services.imports.start()
        self._sweep_uploads()

    async def drain(self, seconds: float) -> None:
        """Interrupt running and queued imports, and send their last events."""
        await self.context.services.imports.interrupt(max(seconds, INTERRUPT_SECONDS))

    async def stop(self) -> None:
        """Stop the worker and the tracker, and delete uploads."""
        services = self.context.services
        if self._sweep is not None:
            self._sweep.cancel()
        self._inspector.close()
        await services.imports.stop()
        self._journal.flush()
        services.tracker.close()
        await self._journal_writer.close()
        services.uploads.close()

    def _sweep_uploads(self) -> None:
        """Delete expired uploads now, and again regularly: no other upload may arrive."""
        self.context.services.uploads.sweep()
        self._sweep = self.context.clock.call_later(SWEEP_SECONDS, self._sweep_uploads)

    def _admit(self, principal: Principal) -> None:
        self.context.services.maintenance.refuse_work(principal)

    def _committed(self, import_id: int, summary: dict[str, Any], changes: dict[str, Any]) -> None:
        self.context.services.statistics.forget()
        self.context.services.vulnerabilities.import_committed(import_id, summary, changes)
        self.context.unannounced.sent(NOTED_IMPORT, import_id)

    def _undone(self, import_id: int, user_id: str, undone: Undone) -> None:
        self.context.services.statistics.forget()
        self.context.services.vulnerabilities.import_undone(import_id, user_id, undone._asdict())
        self.context.unannounced.sent(NOTED_UNDO, import_id)

    async def _announce_import(self, key: str, _: Any) -> None:
        await self.context.services.imports.announce_left(int(key))
        # Also without events: retention may have deleted the import.
        self.context.unannounced.sent(NOTED_IMPORT, key)

    async def _announce_undo(self, key: str, value: dict[str, int]) -> None:
        await self.context.services.imports.announce_undo(int(key), Undone(**value))
        self.context.unannounced.sent(NOTED_UNDO, key)

    def _may_recover(self, data: dict[str, Any]) -> bool:
        return progress.may_recover(data, self.context.services.imports.view)

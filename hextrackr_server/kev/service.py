"""Synchronizes the KEV catalog and notifies clients.

The service runs on the event loop's thread and moves blocking work to other threads. One
synchronization runs at a time.

    kev-sync-update         started, fetching, processing, then completed, failed or skipped
    vulnerability-change    status_changed, for open CVEs that are new in the catalog
    vulnerability-updated   open findings of these CVEs, the most severe first
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hextrackr_server.clock import Clock, Timer
from hextrackr_server.daily_time import DailyTime
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.findings.events import MAXIMUM_CHANGES, Change, VulnerabilityEvents
from hextrackr_server.kev.catalog import Catalog, KevError, parse_catalog
from hextrackr_server.kev.fetcher import Fetched, KevFetcher, read_file
from hextrackr_server.kev.store import KevStore
from hextrackr_server.rooms import AUTHENTICATED, Emitter
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.failures import log_failure
from hextrackr_server.text import clean

logger = logging.getLogger(__name__)

FIRST_AFTER_SECONDS = 60.0
STOP_SECONDS = 5.0
#: Limit of all attempts to fetch the catalog together. The fetcher limits each attempt, but not
#: the resolution of names, and not the reading of a file on a network drive.
FETCH_SECONDS = 180.0
#: Share of the waiting time that is added at random, so that servers started together do not
#: fetch together. Not used with a time of day.
JITTER = 0.05
#: Interval of checking the wall clock: a timer does not notice that the clock was set or that
#: the machine slept.
CHECK_SECONDS = 3600.0
#: Problems of entries that a result contains; all are counted.
MAXIMUM_PROBLEMS = 20


class KevService:
    """A service that synchronizes from a source: a URL, or a file on offline machines."""

    def __init__(
        self,
        store: KevStore,
        source: KevFetcher | Path,
        emitter: Emitter,
        events: VulnerabilityEvents,
        clock: Clock,
        *,
        interval: float = 0.0,
        daily: DailyTime | None = None,
        on_changed: Callable[[], None] = lambda: None,
        maximum_changes: int = MAXIMUM_CHANGES,
        parse: Callable[[bytes, Callable[[], bool]], Catalog] = lambda body, _: parse_catalog(body),
    ) -> None:
        """Create a service without a running schedule.

        `interval` is in seconds, `daily` a time of day. With both, the earlier one applies; with
        neither, the service synchronizes on request only. `parse` runs in a thread; its second
        argument returns whether the service stops.
        """
        self._store = store
        self._source = source
        self._emitter = emitter
        self._events = events
        self._clock = clock
        self._interval = interval
        self._daily = daily
        self._on_changed = on_changed
        self._maximum_changes = maximum_changes
        self._parse = parse
        self._running = False
        self._is_stopping = False
        self._timer: Timer | None = None
        self._task: asyncio.Task[None] | None = None
        self._next_ms: int | None = None
        self.outcomes = Counter(completed=0, skipped=0, failed=0)
        """The synchronizations since the start of this server."""
        self.last_success_ms: int | None = None

    # -- the schedule

    async def start(self) -> None:
        """Start the schedule, which continues from the last synchronization before a restart."""
        if not self._is_scheduled:
            return
        last = await asyncio.to_thread(self._store.last_sync)
        self.last_success_ms = None if last is None else last.sync_time
        first = self._clock.epoch_ms() + round(FIRST_AFTER_SECONDS * 1000)
        # A synchronization that was due while the server was down runs soon after the start.
        self._schedule(first if last is None else max(first, self._next_after(last.sync_time)))

    async def stop(self) -> None:
        """Stop the schedule, and wait up to STOP_SECONDS for a running synchronization."""
        self._interval, self._daily = 0.0, None
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        if isinstance(self._source, KevFetcher):
            self._source.close()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=STOP_SECONDS)
            self._task.cancel()

    @property
    def _is_scheduled(self) -> bool:
        return bool(self._interval) or self._daily is not None

    def _next_after(self, epoch_ms: int) -> int:
        """Return the time of the next synchronization after the given time, in milliseconds."""
        times = []
        if self._interval:
            times.append(epoch_ms + round(self._interval * 1000))
        if self._daily is not None:
            times.append(self._daily.next_after(epoch_ms))
        return min(times)

    def _schedule(self, due_ms: int) -> None:
        if self._daily is None:
            due_ms += round((due_ms - self._clock.epoch_ms()) * random.uniform(0, JITTER))
        self._next_ms = due_ms
        self._check_due(due_ms)

    def _check_due(self, due_ms: int) -> None:
        left = (due_ms - self._clock.epoch_ms()) / 1000
        if left > 0:
            self._timer = self._clock.call_later(
                min(left, CHECK_SECONDS), lambda: self._check_due(due_ms)
            )
        else:
            self._task = asyncio.create_task(self._sync_on_schedule(), name="kev sync")

    async def _sync_on_schedule(self) -> None:
        try:
            await self.sync()
        except ServiceError as refusal:
            logger.warning("kev sync refused", extra=log_setup.fields(reason=refusal.message))
        except Exception as error:
            # The schedule survives any failure.
            log_failure(logger, "kev sync failed", error)
        finally:
            if self._is_scheduled:
                self._schedule(self._next_after(self._clock.epoch_ms()))

    @property
    def is_running(self) -> bool:
        """Whether a synchronization is running."""
        return self._running

    # -- one synchronization

    async def sync(self, *, force: bool = False, body: bytes | None = None) -> dict[str, Any]:
        """Synchronize from the source, or from the bytes of a catalog, and return the outcome.

        `force` accepts a catalog that lost many entries, and fetches an unchanged one. Raises
        ServiceError CONFLICT if a synchronization is running, UNAVAILABLE if the source failed,
        VALIDATION_ERROR if the given bytes are not a valid catalog.
        """
        if self._running:
            text = "A synchronization is already running: wait for its end"
            raise ServiceError(ErrorCode.CONFLICT, text)
        self._running = True
        self._emit("started")
        try:
            result = await self._sync(force, body)
            self.outcomes["skipped" if result.get("skipped") else "completed"] += 1
            self.last_success_ms = self._clock.epoch_ms()
        except KevError as error:
            await self._failed(str(error), error)
            # The client is at fault for a catalog that it sent, but not for a failing source.
            code = ErrorCode.UNAVAILABLE if body is None else ErrorCode.VALIDATION_ERROR
            raise ServiceError(code, f"KEV: {error}") from error
        except Exception as error:
            await self._failed("the server could not store the catalog", error)
            raise
        finally:
            self._running = False
        return result

    async def _sync(self, force: bool, body: bytes | None) -> dict[str, Any]:
        fetched = Fetched(body, None, None)
        if body is None:
            self._emit("fetching")
            fetched = await self._fetch_in_time(force)
        if fetched.body is None:
            return await self._unchanged(fetched)
        catalog = await asyncio.to_thread(self._parse, fetched.body, lambda: self._is_stopping)
        total = len(catalog.entries)
        call_on_loop = asyncio.get_running_loop().call_soon_threadsafe

        def progress(done: int) -> None:
            call_on_loop(self._emit_processing, done, total, catalog.version)

        now_ms = self._clock.epoch_ms()
        difference = await asyncio.to_thread(
            self._store.apply, catalog, now_ms, force=force, progress=progress
        )
        await self._log("completed", fetched, version=catalog.version, record_count=total)
        self._on_changed()
        changes = await self._publish_matches()
        statistics = await asyncio.to_thread(self._store.statistics, self._today())
        matched = statistics["matched_kevs"]
        self._emit(
            "completed",
            processed=total,
            new=len(difference.new),
            total=total,
            matchedCount=matched,
            catalogVersion=catalog.version,
            **({"changes": changes} if changes["sent"] else {}),
            **({"problemEntries": len(catalog.problems)} if catalog.problems else {}),
        )
        logger.info(
            "kev synchronized",
            extra=log_setup.fields(total=total, new=len(difference.new), matched=matched),
        )
        problems = catalog.problems
        if problems:
            logger.warning(
                "kev entries kept as they were",
                extra=log_setup.fields(number=len(problems), first=problems[0].message),
            )
        return {
            "success": True,
            "totalKevs": total,
            "matchedCount": matched,
            "lastSync": now_ms,
            "catalogVersion": catalog.version,
            "newEntries": len(difference.new),
            "changedEntries": len(difference.changed),
            "removedEntries": len(difference.removed),
            "problemEntries": len(problems),
            "problems": [problem._asdict() for problem in problems[:MAXIMUM_PROBLEMS]],
        }

    async def _fetch_in_time(self, force: bool) -> Fetched:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                return await asyncio.to_thread(self._fetch, force)
        except TimeoutError as error:
            text = f"the source did not answer within {FETCH_SECONDS:g} seconds"
            raise KevError(text) from error

    def _fetch(self, force: bool) -> Fetched:
        if isinstance(self._source, Path):
            return Fetched(read_file(self._source), None, None)
        last = None if force else self._store.last_sync()
        if last is None:
            return self._source.fetch()
        return self._source.fetch(last.etag, last.last_modified)

    async def _unchanged(self, fetched: Fetched) -> dict[str, Any]:
        last = await asyncio.to_thread(self._store.last_sync)
        version = None if last is None else last.version
        statistics = await asyncio.to_thread(self._store.statistics, self._today())
        total, matched = statistics["total_kevs"], statistics["matched_kevs"]
        await self._log("completed", fetched, version=version, record_count=total)
        self._emit("skipped", total=total, matchedCount=matched, catalogVersion=version)
        return {
            "success": True,
            "skipped": True,
            "totalKevs": total,
            "matchedCount": matched,
            "lastSync": self._clock.epoch_ms(),
            "catalogVersion": version,
            "newEntries": 0,
        }

    async def announce_left(self) -> None:
        """Send the events of catalogs that a former server stored and did not announce."""
        # A running synchronization sends them with its own.
        if not self._running:
            self._on_changed()
            await self._publish_matches()

    async def _publish_matches(self) -> dict[str, int]:
        """Send the open CVEs and findings that are new in the catalog; return their numbers."""
        new = await asyncio.to_thread(self._store.unannounced)
        matches = await asyncio.to_thread(self._store.matches, new)
        self._events.publish(
            [
                Change(
                    "status_changed",
                    {
                        "cve": match.cve,
                        "isKev": True,
                        "dueDate": match.due_date,
                        "knownRansomwareCampaignUse": match.known_ransomware_use,
                        "hosts": match.hosts,
                    },
                    match.users,
                )
                for match in matches
            ]
        )
        rows, total = await asyncio.to_thread(
            self._store.open_findings, [match.cve for match in matches], self._maximum_changes
        )
        self._events.findings_updated(rows)
        if new:
            await self._store_announced()
        return {"sent": len(rows), "more": total - len(rows)}

    async def _store_announced(self) -> None:
        try:
            await asyncio.to_thread(self._store.announced)
        except Exception as error:
            # The events are sent, and are sent once more after the next start.
            log_failure(logger, "storing that a catalog is announced failed", error)

    async def _failed(self, reason: str, error: Exception) -> None:
        self.outcomes["failed"] += 1
        self._emit("failed", error=reason)
        trace = error if logger.isEnabledFor(logging.DEBUG) else None
        logger.warning("kev sync failed", exc_info=trace, extra=log_setup.fields(reason=reason))
        await asyncio.to_thread(
            self._store.log_sync, "failed", self._clock.epoch_ms(), error_message=reason
        )

    async def _log(self, status: str, fetched: Fetched, **values: Any) -> None:
        now_ms = self._clock.epoch_ms()
        after = self._next_after(now_ms) if self._is_scheduled else None
        values |= {"etag": fetched.etag, "last_modified": fetched.last_modified}
        await asyncio.to_thread(
            lambda: self._store.log_sync(status, now_ms, next_sync_time=after, **values)
        )

    # -- queries

    async def status(self) -> dict[str, Any]:
        """Return the size of the catalog, and the times of the last and next synchronization."""
        is_running = self._running  # at the time of the request, before any await
        last = await asyncio.to_thread(self._store.last_sync)
        statistics = await self.statistics()
        return {
            "totalKevs": statistics["total_kevs"],
            "matchedCount": statistics["matched_kevs"],
            "lastSync": None if last is None else last.sync_time,
            "nextSync": self._next_ms,
            "catalogVersion": None if last is None else last.version,
            "syncInProgress": is_running,
        }

    async def statistics(self) -> dict[str, int]:
        """Return the numbers of KEV entries: all, with ransomware use, open, overdue."""
        return await asyncio.to_thread(self._store.statistics, self._today())

    async def entry(self, cve: str) -> dict[str, Any]:
        """Return the catalog entry of a CVE; raise ServiceError NOT_FOUND."""
        found = await asyncio.to_thread(self._store.entry, clean(cve.upper(), 32))
        if found is None:
            raise ServiceError(ErrorCode.NOT_FOUND, "This CVE is not in the KEV catalog")
        return found

    # -- events

    def _emit_processing(self, done: int, total: int, version: str) -> None:
        self._emit("processing", processed=done, total=total, catalogVersion=version)

    def _emit(self, status: str, processed: int = 0, new: int = 0, **more: Any) -> None:
        payload = {
            "status": status,
            "processedCount": processed,
            "newEntries": new,
            "timestamp": self._clock.epoch_ms(),
        }
        self._emitter.emit(AUTHENTICATED, "kev-sync-update", payload | more)

    def _today(self) -> str:
        return datetime.fromtimestamp(self._clock.epoch_ms() / 1000, UTC).date().isoformat()

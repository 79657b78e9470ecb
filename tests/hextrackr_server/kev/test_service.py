"""Tests of KEV synchronization, its events and its schedule."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hextrackr_server.daily_time import DailyTime
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.findings.batcher import UpdateBatcher
from hextrackr_server.findings.events import VulnerabilityEvents
from hextrackr_server.kev.catalog import Catalog, KevError, parse_catalog
from hextrackr_server.kev.fetcher import KevFetcher
from hextrackr_server.kev.parsing_process import parse_in_process
from hextrackr_server.kev.service import KevService
from hextrackr_server.kev.store import KevStore
from hextrackr_server.storage.schema import kev_history, sync_metadata
from tests.hextrackr_server.kev_support import HOSTS, Source, feed, item, many, running_source
from tests.hextrackr_server.support import FakeClock, Recorder, Workbench, finding_row

DAY = 86_400.0


class KevHarness:
    """A KEV service on a workbench; its source is a file or a server on loopback."""

    def __init__(
        self,
        bench: Workbench,
        source: KevFetcher | Path,
        interval: float = 0.0,
        daily: DailyTime | None = None,
        **options: Any,
    ) -> None:
        self.bench = bench
        self.clock, self.sent = FakeClock(), Recorder()
        self.store = KevStore(bench.database)
        self.changed = 0
        batcher = UpdateBatcher(self.sent, self.clock)
        self.kev = KevService(
            self.store,
            source,
            self.sent,
            VulnerabilityEvents(self.sent, batcher, self.clock),
            self.clock,
            interval=interval,
            daily=daily,
            on_changed=self._changed,
            **options,
        )

    def _changed(self) -> None:
        self.changed += 1

    def stages(self) -> list[str]:
        return [payload["status"] for payload in self.sent.payloads("kev-sync-update")]

    def log(self) -> list[dict[str, Any]]:
        with self.bench.database.reading() as connection:
            query = select(sync_metadata).order_by(sync_metadata.c.id)
            return [dict(row) for row in connection.execute(query).mappings()]


@pytest.fixture
def harness(workbench: Workbench) -> KevHarness:
    return KevHarness(workbench, workbench.directory / "kev.json")


@pytest.fixture
def source() -> Iterator[Source]:
    with running_source() as running:
        yield running


def online(workbench: Workbench, source: Source, interval: float = 0.0) -> KevHarness:
    return KevHarness(workbench, KevFetcher(source.url, HOSTS, wait=lambda _: None), interval)


async def test_unusable_entry_keeps_its_stored_state(harness: KevHarness) -> None:
    await harness.kev.sync(body=feed(*many(10)))
    broken = item("CVE-2024-1000", dueDate="soon")
    other = item("CVE-2024-1001", product="Switch")
    # With an entry whose CVE is not readable, nothing is removed in any case.
    for more in ([], [item("CVE-1-1")]):
        result = await harness.kev.sync(body=feed(broken, other, *many(9, first=1001), *more))
        assert (result["changedEntries"], result["removedEntries"]) == (0, 0)
        assert result["problemEntries"] == 2 + len(more)
        assert result["problems"][0]["cve_id"] == "CVE-2024-1000"
        stored = [await harness.kev.entry(cve) for cve in ("CVE-2024-1000", "CVE-2024-1001")]
        assert [(each["due_date"], each["product"]) for each in stored] == [
            ("2025-01-23", "Router")
        ] * 2


async def test_nothing_is_removed_when_the_cve_of_an_entry_is_not_readable(
    harness: KevHarness,
) -> None:
    await harness.kev.sync(body=feed(*many(10)))
    result = await harness.kev.sync(body=feed(*many(9, first=1001), item("CVE-24-1000")))
    assert result["removedEntries"] == 0
    assert (await harness.kev.entry("CVE-2024-1000"))["product"] == "Router"
    result = await harness.kev.sync(body=feed(*many(9, first=1001)))
    assert result["removedEntries"] == 1
    with pytest.raises(ServiceError, match="not in the KEV catalog"):
        await harness.kev.entry("CVE-2024-1000")


async def test_synchronization_sends_an_event_per_stage(harness: KevHarness) -> None:
    result = await harness.kev.sync(body=feed(*many(600)))
    assert harness.stages() == ["started", "processing", "processing", "processing", "completed"]
    updates = harness.sent.payloads("kev-sync-update")
    assert [each["processedCount"] for each in updates] == [0, 250, 500, 600, 600]
    assert updates[-1] == {
        "status": "completed",
        "processedCount": 600,
        "newEntries": 600,
        "timestamp": harness.clock.epoch_ms(),
        "total": 600,
        "matchedCount": 0,
        "catalogVersion": "2025.09.30",
    }
    assert (result["totalKevs"], result["newEntries"], harness.changed) == (600, 600, 1)


async def test_difference_is_returned_and_stored(harness: KevHarness) -> None:
    await harness.kev.sync(body=feed(*many(10)))
    second = [item("CVE-2024-1000", product="Switch"), *many(8, 1001), item("CVE-2025-9999")]
    result = await harness.kev.sync(body=feed(*second))
    counts = [result[f"{name}Entries"] for name in ("new", "changed", "removed")]
    assert (counts, result["totalKevs"]) == ([1, 1, 1], 10)
    with harness.bench.database.reading() as connection:
        query = select(kev_history.c.cve_id, kev_history.c.change).order_by(kev_history.c.id)
        assert connection.execute(query).all()[10:] == [
            ("CVE-2025-9999", "added"),
            ("CVE-2024-1000", "changed"),
            ("CVE-2024-1009", "removed"),
        ]


async def test_open_finding_that_becomes_known_exploited_is_published_once(
    harness: KevHarness,
) -> None:
    rows = [finding_row(), finding_row(host="web-2"), finding_row(cve="CVE-2024-2000")]
    harness.bench.import_rows(rows, user_id="7")
    catalog = feed(item("CVE-2024-1000", knownRansomwareCampaignUse="Known"), item("CVE-2020-1111"))
    await harness.kev.sync(body=catalog)
    (change,) = harness.sent.payloads("vulnerability-change")
    assert (change["type"], change["data"]) == (
        "status_changed",
        {
            "cve": "CVE-2024-1000",
            "isKev": True,
            "dueDate": "2025-01-23",
            "knownRansomwareCampaignUse": True,
            "hosts": 2,
        },
    )
    assert ("user-7", "vulnerability-notification") in harness.sent.events()
    await harness.kev.sync(body=catalog)
    assert len(harness.sent.payloads("vulnerability-change")) == 1


async def test_resolved_finding_is_not_published(harness: KevHarness) -> None:
    harness.bench.import_rows([finding_row(), finding_row(cve="CVE-2024-2000")])
    rows = [finding_row(cve="CVE-2024-2000")]
    harness.bench.import_rows(rows, scope="vendor", confirm=True)
    await harness.kev.sync(body=feed(item("CVE-2024-1000")))
    assert harness.sent.payloads("vulnerability-change") == []
    assert (await harness.kev.status())["matchedCount"] == 0


async def test_resolved_finding_of_an_open_cve_is_not_published(harness: KevHarness) -> None:
    rows = [finding_row(), finding_row(host="web-2"), finding_row(cve="CVE-2024-2000")]
    harness.bench.import_rows(rows)
    harness.bench.import_rows([rows[0], rows[2]], scope="vendor", confirm=True)
    await harness.kev.sync(body=feed(item("CVE-2024-1000")))
    (change,) = harness.sent.payloads("vulnerability-change")
    assert change["data"]["hosts"] == 1
    found, total = harness.store.open_findings(["CVE-2024-1000"], 10)
    assert ([each["hostname"] for each in found], total) == (["web-1"], 1)


async def test_shrunken_catalog_is_refused_unless_forced(harness: KevHarness) -> None:
    await harness.kev.sync(body=feed(*many(10)))
    with pytest.raises(ServiceError, match="lost 3 of 10 entries"):
        await harness.kev.sync(body=feed(*many(7)))
    assert (await harness.kev.status())["totalKevs"] == 10
    assert harness.stages()[-1] == "failed"
    assert "lost 3" in harness.sent.payloads("kev-sync-update")[-1]["error"]
    assert (harness.log()[-1]["status"], harness.changed) == ("failed", 1)
    assert (await harness.kev.sync(body=feed(*many(7)), force=True))["removedEntries"] == 3


async def test_catalog_is_read_from_a_local_file(harness: KevHarness) -> None:
    with pytest.raises(ServiceError, match="cannot be read") as refusal:
        await harness.kev.sync()
    assert refusal.value.code is ErrorCode.UNAVAILABLE
    (harness.bench.directory / "kev.json").write_bytes(feed(item()))
    assert (await harness.kev.sync())["totalKevs"] == 1


async def test_unchanged_catalog_is_skipped(workbench: Workbench, source: Source) -> None:
    harness = online(workbench, source)
    source.answer(feed(item()), etag='"v1"')
    source.answer(status=304)
    await harness.kev.sync()
    result = await harness.kev.sync()
    assert (result["skipped"], result["totalKevs"], result["catalogVersion"]) == (
        True,
        1,
        "2025.09.30",
    )
    assert harness.stages()[-2:] == ["fetching", "skipped"]
    assert source.requests[1]["if-none-match"] == '"v1"'
    assert harness.log()[-1]["etag"] == '"v1"'


async def test_forced_synchronization_fetches_an_unchanged_catalog(
    workbench: Workbench, source: Source
) -> None:
    harness = online(workbench, source)
    source.answer(feed(item()), etag='"v1"')
    await harness.kev.sync()
    await harness.kev.sync(force=True)
    assert "if-none-match" not in source.requests[1]


async def test_second_synchronization_is_refused_while_one_runs(harness: KevHarness) -> None:
    first = asyncio.create_task(harness.kev.sync(body=feed(*many(300))))
    await asyncio.sleep(0)
    with pytest.raises(ServiceError) as refusal:
        await harness.kev.sync(body=feed(item()))
    assert refusal.value.code is ErrorCode.CONFLICT
    assert (await harness.kev.status())["syncInProgress"]
    assert (await first)["totalKevs"] == 300
    assert (await harness.kev.sync(body=feed(*many(300))))["newEntries"] == 0


async def test_invalid_catalog_changes_nothing(harness: KevHarness) -> None:
    with pytest.raises(ServiceError, match="CISA's format"):
        await harness.kev.sync(body=b"<html>")
    assert harness.stages() == ["started", "failed"]
    assert (await harness.kev.status())["totalKevs"] == 0


@pytest.mark.parametrize(
    ("rubbish", "reason"),
    [
        (b'{"catalogVersion": "' + b"a" * 3_000_000 + b'"}', "CISA's format"),
        (feed()[:-2] + b"0," * 1_500_000 + b"0]}", "must have 1 to 100000 entries, got more"),
        (feed()[:-2] + b"[" * 3_000_000, "CISA's format: maximum recursion depth"),
        (b"a" * 3_000_000, "at most 131072 characters, line 1 has 3000000"),
        (b"cveID,dateAdded,dueDate\n" + b"," * 3_000_000, "at most 131072 characters, line 2 has"),
        (b"cveID,dateAdded,dueDate\n" + b"a\n" * 1_500_000, "must have 1 to 100000 entries, got"),
    ],
    ids=["one string", "values", "depth", "one line", "columns", "lines"],
)
async def test_source_of_rubbish_fails_the_synchronization_and_the_former_catalog_stays(
    workbench: Workbench, source: Source, rubbish: bytes, reason: str
) -> None:
    fetcher = KevFetcher(source.url, HOSTS, wait=lambda _: None)
    harness = KevHarness(workbench, fetcher, parse=parse_in_process)
    source.answer(feed(item()))
    source.answer(rubbish)
    assert (await harness.kev.sync())["totalKevs"] == 1
    with pytest.raises(ServiceError, match=reason) as refusal:
        await harness.kev.sync()
    assert refusal.value.code is ErrorCode.UNAVAILABLE
    assert len(refusal.value.message) < 200
    assert (await harness.kev.statistics())["total_kevs"] == 1
    assert harness.stages()[-1] == "failed"


async def test_stop_ends_a_synchronization_that_parses(workbench: Workbench) -> None:
    parsing = asyncio.Event()
    loop = asyncio.get_running_loop()

    def parse(_: bytes, is_stopping: Callable[[], bool]) -> Catalog:
        loop.call_soon_threadsafe(parsing.set)
        while not is_stopping():
            threading.Event().wait(0.01)
        raise KevError("the server is stopping")

    harness = KevHarness(workbench, workbench.directory / "kev.json", parse=parse)
    running = asyncio.create_task(harness.kev.sync(body=feed(item())))
    await parsing.wait()
    await harness.kev.stop()
    with pytest.raises(ServiceError, match="the server is stopping"):
        await running


async def test_failure_while_storing_changes_nothing(harness: KevHarness) -> None:
    def give_up(done: int) -> None:
        raise KevError(f"enough after {done}")

    with pytest.raises(KevError, match="enough after 250"):
        harness.store.apply(parse_catalog(feed(*many(600))), 0, progress=give_up)
    assert (await harness.kev.statistics())["total_kevs"] == 0


async def test_statistics_and_entry_describe_the_catalog(harness: KevHarness) -> None:
    harness.bench.import_rows([finding_row()])
    late = item("CVE-2024-2000", dueDate="2099-01-01", knownRansomwareCampaignUse="Known")
    await harness.kev.sync(body=feed(item("CVE-2024-1000"), late))
    assert await harness.kev.statistics() == {
        "total_kevs": 2,
        "ransomware_kevs": 1,
        "matched_kevs": 1,
        "overdue_kevs": 1,
    }
    assert (await harness.kev.entry("cve-2024-2000"))["due_date"] == "2099-01-01"
    with pytest.raises(ServiceError) as refusal:
        await harness.kev.entry("CVE-1999-0001")
    assert refusal.value.code is ErrorCode.NOT_FOUND


# -- the schedule


async def by_schedule(harness: KevHarness, seconds: float) -> None:
    harness.clock.advance(seconds)
    if harness.kev._task is not None:
        await harness.kev._task


async def test_schedule_is_off_without_an_interval(harness: KevHarness) -> None:
    await harness.kev.start()
    assert harness.clock.timers == []
    await harness.kev.stop()


async def test_first_start_synchronizes_after_a_minute_then_every_interval(
    workbench: Workbench,
) -> None:
    path = workbench.directory / "kev.json"
    path.write_bytes(feed(item()))
    harness = KevHarness(workbench, path, interval=DAY)
    await harness.kev.start()
    await by_schedule(harness, 59)
    assert harness.stages() == []
    await by_schedule(harness, 5)
    assert harness.stages()[-1] == "completed"
    assert harness.log()[-1]["next_sync_time"] == harness.clock.epoch_ms() + DAY * 1000
    path.unlink()
    await by_schedule(harness, DAY * 1.06)
    assert harness.stages()[-1] == "failed"
    path.write_bytes(feed(item()))
    await by_schedule(harness, DAY * 1.06)
    assert harness.stages()[-1] == "completed"
    await harness.kev.stop()


async def test_restart_continues_the_interval(workbench: Workbench) -> None:
    path = workbench.directory / "kev.json"
    path.write_bytes(feed(item()))
    first = KevHarness(workbench, path)
    await first.kev.sync()
    second = KevHarness(workbench, path, interval=DAY)
    second.clock.advance(DAY / 2)
    await second.kev.start()
    due = (await second.kev.status())["nextSync"] - second.clock.epoch_ms()
    assert DAY / 2 * 1000 <= due <= DAY / 2 * 1.06 * 1000
    await second.kev.stop()
    second.clock.advance(DAY)
    assert second.stages() == []


# The clock of these tests starts at 19:23:20 UTC.


@pytest.fixture
def evening(workbench: Workbench) -> KevHarness:
    """Return a service with a daily schedule at 21:30 in Berlin."""
    path = workbench.directory / "kev.json"
    path.write_bytes(feed(item()))
    return KevHarness(workbench, path, daily=DailyTime.parse("21:30 Europe/Berlin"))


async def test_synchronization_runs_once_a_day_at_its_time(evening: KevHarness) -> None:
    await evening.kev.sync(body=feed(item()))
    await evening.kev.start()
    await by_schedule(evening, 399)
    assert evening.stages().count("completed") == 1
    await by_schedule(evening, 1)
    assert evening.stages().count("completed") == 2
    assert evening.log()[-1]["next_sync_time"] == evening.clock.epoch_ms() + DAY * 1000
    assert (await evening.kev.status())["nextSync"] == evening.clock.epoch_ms() + DAY * 1000
    for _ in range(23):
        await by_schedule(evening, 3600)
    assert evening.stages().count("completed") == 2
    await by_schedule(evening, 3600)
    assert evening.stages().count("completed") == 3
    await evening.kev.stop()
    await by_schedule(evening, DAY)
    assert evening.stages().count("completed") == 3


async def test_missed_time_of_day_is_made_up_after_the_start(evening: KevHarness) -> None:
    await evening.kev.sync(body=feed(item()))
    evening.clock.advance(401)
    await evening.kev.start()
    await by_schedule(evening, 59)
    assert evening.stages().count("completed") == 1
    await by_schedule(evening, 1)
    assert evening.stages().count("completed") == 2
    assert (await evening.kev.status())["nextSync"] == evening.clock.epoch_ms() + (DAY - 61) * 1000
    await evening.kev.stop()


async def test_earlier_of_interval_and_time_of_day_applies(
    workbench: Workbench,
) -> None:
    path = workbench.directory / "kev.json"
    path.write_bytes(feed(item()))
    harness = KevHarness(workbench, path, interval=300.0, daily=DailyTime.parse("19:30 UTC"))
    await harness.kev.sync()
    await harness.kev.start()
    for seconds, times in ((299, 1), (1, 2), (99, 2), (1, 3), (299, 3), (1, 4)):
        await by_schedule(harness, seconds)
        assert harness.stages().count("completed") == times
    await harness.kev.stop()


async def test_synchronization_is_not_early_when_the_clock_is_set_back(evening: KevHarness) -> None:
    await evening.kev.sync(body=feed(item()))
    await evening.kev.start()
    evening.clock.epoch_ms = lambda at=evening.clock.epoch_ms: at() - 60_000  # type: ignore[method-assign, misc]
    await by_schedule(evening, 400)
    assert evening.stages().count("completed") == 1
    await by_schedule(evening, 60)
    assert evening.stages().count("completed") == 2
    await evening.kev.stop()

"""KEV, from a catalog to what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hextrackr_server.daily_time import DailyTime
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.findings.batcher import UpdateBatcher
from hextrackr_server.findings.events import VulnerabilityEvents
from hextrackr_server.kev.catalog import KevError, parse_catalog
from hextrackr_server.kev.fetcher import KevFetcher
from hextrackr_server.kev.service import KevService
from hextrackr_server.kev.store import KevStore
from hextrackr_server.storage.schema import kev_history, sync_metadata
from tests.hextrackr_server.kev_support import HOSTS, Source, feed, item, many, running_source
from tests.hextrackr_server.support import FakeClock, Recorder, Workbench, finding_row

DAY = 86_400.0


class Desk:
    """A service over a workbench, with a source that is a file or on loopback."""

    def __init__(
        self,
        bench: Workbench,
        source: KevFetcher | Path,
        interval: float = 0.0,
        daily: DailyTime | None = None,
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
def desk(workbench: Workbench) -> Desk:
    return Desk(workbench, workbench.directory / "kev.json")


@pytest.fixture
def source() -> Iterator[Source]:
    with running_source() as running:
        yield running


def online(workbench: Workbench, source: Source, interval: float = 0.0) -> Desk:
    return Desk(workbench, KevFetcher(source.url, HOSTS, wait=lambda _: None), interval)


async def test_a_synchronisation_is_told_stage_by_stage(desk: Desk) -> None:
    result = await desk.kev.sync(body=feed(*many(600)))
    assert desk.stages() == ["started", "processing", "processing", "processing", "completed"]
    updates = desk.sent.payloads("kev-sync-update")
    assert [each["processedCount"] for each in updates] == [0, 250, 500, 600, 600]
    assert updates[-1] == {
        "status": "completed",
        "processedCount": 600,
        "newEntries": 600,
        "timestamp": desk.clock.epoch_ms(),
        "total": 600,
        "matchedCount": 0,
        "catalogVersion": "2025.09.30",
    }
    assert (result["totalKevs"], result["newEntries"], desk.changed) == (600, 600, 1)


async def test_the_difference_is_computed_and_remembered(desk: Desk) -> None:
    await desk.kev.sync(body=feed(*many(10)))
    second = [item("CVE-2024-1000", product="Switch"), *many(8, 1001), item("CVE-2025-9999")]
    result = await desk.kev.sync(body=feed(*second))
    counts = [result[f"{name}Entries"] for name in ("new", "changed", "removed")]
    assert (counts, result["totalKevs"]) == ([1, 1, 1], 10)
    with desk.bench.database.reading() as connection:
        query = select(kev_history.c.cve_id, kev_history.c.change).order_by(kev_history.c.id)
        assert connection.execute(query).all()[10:] == [
            ("CVE-2025-9999", "added"),
            ("CVE-2024-1000", "changed"),
            ("CVE-2024-1009", "removed"),
        ]


async def test_what_is_open_here_and_became_exploited_is_told_once(desk: Desk) -> None:
    rows = [finding_row(), finding_row(host="web-2"), finding_row(cve="CVE-2024-2000")]
    desk.bench.import_rows(rows, user_id="7")
    catalog = feed(item("CVE-2024-1000", knownRansomwareCampaignUse="Known"), item("CVE-2020-1111"))
    await desk.kev.sync(body=catalog)
    (change,) = desk.sent.payloads("vulnerability-change")
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
    assert ("user-7", "vulnerability-notification") in desk.sent.events()
    await desk.kev.sync(body=catalog)
    assert len(desk.sent.payloads("vulnerability-change")) == 1


async def test_what_is_resolved_here_is_not_told(desk: Desk) -> None:
    desk.bench.import_rows([finding_row(), finding_row(cve="CVE-2024-2000")])
    desk.bench.import_rows([finding_row(cve="CVE-2024-2000")])
    await desk.kev.sync(body=feed(item("CVE-2024-1000")))
    assert desk.sent.payloads("vulnerability-change") == []
    assert (await desk.kev.status())["matchedCount"] == 0


async def test_a_catalog_that_shrinks_is_not_believed_unless_forced(desk: Desk) -> None:
    await desk.kev.sync(body=feed(*many(10)))
    with pytest.raises(ServiceError, match="lost 3 of 10 entries"):
        await desk.kev.sync(body=feed(*many(7)))
    assert (await desk.kev.status())["totalKevs"] == 10
    assert desk.stages()[-1] == "failed"
    assert "lost 3" in desk.sent.payloads("kev-sync-update")[-1]["error"]
    assert (desk.log()[-1]["status"], desk.changed) == ("failed", 1)
    assert (await desk.kev.sync(body=feed(*many(7)), force=True))["removedEntries"] == 3


async def test_a_local_file_is_a_source(desk: Desk) -> None:
    with pytest.raises(ServiceError, match="cannot be read") as refusal:
        await desk.kev.sync()
    assert refusal.value.code is ErrorCode.UNAVAILABLE
    (desk.bench.directory / "kev.json").write_bytes(feed(item()))
    assert (await desk.kev.sync())["totalKevs"] == 1


async def test_an_unchanged_catalog_is_skipped(workbench: Workbench, source: Source) -> None:
    desk = online(workbench, source)
    source.answer(feed(item()), etag='"v1"')
    source.answer(status=304)
    await desk.kev.sync()
    result = await desk.kev.sync()
    assert (result["skipped"], result["totalKevs"], result["catalogVersion"]) == (
        True,
        1,
        "2025.09.30",
    )
    assert desk.stages()[-2:] == ["fetching", "skipped"]
    assert source.asked[1]["if-none-match"] == '"v1"'
    assert desk.log()[-1]["etag"] == '"v1"'


async def test_a_forced_one_asks_for_all_of_it(workbench: Workbench, source: Source) -> None:
    desk = online(workbench, source)
    source.answer(feed(item()), etag='"v1"')
    await desk.kev.sync()
    await desk.kev.sync(force=True)
    assert "if-none-match" not in source.asked[1]


async def test_one_at_a_time(desk: Desk) -> None:
    first = asyncio.create_task(desk.kev.sync(body=feed(*many(300))))
    await asyncio.sleep(0)
    with pytest.raises(ServiceError) as refusal:
        await desk.kev.sync(body=feed(item()))
    assert refusal.value.code is ErrorCode.CONFLICT
    assert (await desk.kev.status())["syncInProgress"]
    assert (await first)["totalKevs"] == 300
    assert (await desk.kev.sync(body=feed(*many(300))))["newEntries"] == 0


async def test_what_is_no_catalog_changes_nothing(desk: Desk) -> None:
    with pytest.raises(ServiceError, match="CISA's format"):
        await desk.kev.sync(body=b"<html>")
    assert desk.stages() == ["started", "failed"]
    assert (await desk.kev.status())["totalKevs"] == 0


async def test_a_failure_halfway_changes_nothing(desk: Desk) -> None:
    def give_up(done: int) -> None:
        raise KevError(f"enough after {done}")

    with pytest.raises(KevError, match="enough after 250"):
        desk.store.apply(parse_catalog(feed(*many(600))), 0, progress=give_up)
    assert (await desk.kev.statistics())["total_kevs"] == 0


async def test_the_four_numbers_and_an_entry(desk: Desk) -> None:
    desk.bench.import_rows([finding_row()])
    late = item("CVE-2024-2000", dueDate="2099-01-01", knownRansomwareCampaignUse="Known")
    await desk.kev.sync(body=feed(item("CVE-2024-1000"), late))
    assert await desk.kev.statistics() == {
        "total_kevs": 2,
        "ransomware_kevs": 1,
        "matched_kevs": 1,
        "overdue_kevs": 1,
    }
    assert (await desk.kev.entry("cve-2024-2000"))["due_date"] == "2099-01-01"
    with pytest.raises(ServiceError) as refusal:
        await desk.kev.entry("CVE-1999-0001")
    assert refusal.value.code is ErrorCode.NOT_FOUND


# -- the schedule


async def by_schedule(desk: Desk, seconds: float) -> None:
    desk.clock.advance(seconds)
    if desk.kev._task is not None:
        await desk.kev._task


async def test_without_an_interval_it_never_runs_by_itself(desk: Desk) -> None:
    await desk.kev.start()
    assert desk.clock.timers == []
    await desk.kev.stop()


async def test_a_first_start_synchronises_soon_then_every_interval(workbench: Workbench) -> None:
    path = workbench.directory / "kev.json"
    path.write_bytes(feed(item()))
    desk = Desk(workbench, path, interval=DAY)
    await desk.kev.start()
    await by_schedule(desk, 59)
    assert desk.stages() == []
    await by_schedule(desk, 5)
    assert desk.stages()[-1] == "completed"
    assert desk.log()[-1]["next_sync_time"] == desk.clock.epoch_ms() + DAY * 1000
    path.unlink()
    await by_schedule(desk, DAY * 1.06)
    assert desk.stages()[-1] == "failed"
    path.write_bytes(feed(item()))
    await by_schedule(desk, DAY * 1.06)
    assert desk.stages()[-1] == "completed"
    await desk.kev.stop()


async def test_a_restart_does_not_begin_the_interval_anew(workbench: Workbench) -> None:
    path = workbench.directory / "kev.json"
    path.write_bytes(feed(item()))
    first = Desk(workbench, path)
    await first.kev.sync()
    second = Desk(workbench, path, interval=DAY)
    second.clock.advance(DAY / 2)
    await second.kev.start()
    due = (await second.kev.status())["nextSync"] - second.clock.epoch_ms()
    assert DAY / 2 * 1000 <= due <= DAY / 2 * 1.06 * 1000
    await second.kev.stop()
    second.clock.advance(DAY)
    assert second.stages() == []


# The clock of these tests begins at 19:23:20 UTC.


@pytest.fixture
def evening(workbench: Workbench) -> Desk:
    """A service with a catalog that was synchronised, and a time of day: 21:30 in Berlin."""
    path = workbench.directory / "kev.json"
    path.write_bytes(feed(item()))
    return Desk(workbench, path, daily=DailyTime.parse("21:30 Europe/Berlin"))


async def test_it_is_done_at_a_time_of_day_once(evening: Desk) -> None:
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


async def test_a_time_of_day_that_was_missed_is_made_up_for_after_the_start(evening: Desk) -> None:
    await evening.kev.sync(body=feed(item()))
    evening.clock.advance(401)
    await evening.kev.start()
    await by_schedule(evening, 59)
    assert evening.stages().count("completed") == 1
    await by_schedule(evening, 1)
    assert evening.stages().count("completed") == 2
    assert (await evening.kev.status())["nextSync"] == evening.clock.epoch_ms() + (DAY - 61) * 1000
    await evening.kev.stop()


async def test_with_an_interval_and_a_time_of_day_whichever_comes_first(
    workbench: Workbench,
) -> None:
    path = workbench.directory / "kev.json"
    path.write_bytes(feed(item()))
    desk = Desk(workbench, path, interval=300.0, daily=DailyTime.parse("19:30 UTC"))
    await desk.kev.sync()
    await desk.kev.start()
    for seconds, times in ((299, 1), (1, 2), (99, 2), (1, 3), (299, 3), (1, 4)):
        await by_schedule(desk, seconds)
        assert desk.stages().count("completed") == times
    await desk.kev.stop()


async def test_a_clock_that_is_set_back_does_not_make_it_early(evening: Desk) -> None:
    await evening.kev.sync(body=feed(item()))
    await evening.kev.start()
    evening.clock.epoch_ms = lambda at=evening.clock.epoch_ms: at() - 60_000  # type: ignore[method-assign, misc]
    await by_schedule(evening, 400)
    assert evening.stages().count("completed") == 1
    await by_schedule(evening, 60)
    assert evening.stages().count("completed") == 2
    await evening.kev.stop()

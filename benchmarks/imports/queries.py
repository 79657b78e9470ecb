"""CPU time of uncached queries over the imported findings, in a hub without other work."""

from __future__ import annotations

import asyncio
import csv
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.imports.client import Client, connect_client
from benchmarks.imports.figures import Figure, Report
from benchmarks.imports.hub import Hub

_ROUNDS = 4
#: The hub caches statistics for five seconds.
_CACHE_SECONDS = 5.2
_GOAL_MS = 150
_KNOWN_EXPLOITED, _ELSEWHERE = 300, 1000
_CLOSED_EVERY = 10
_STATISTICS, _LIST, _SEARCH = "statistics", "list", "text search"


class Query(NamedTuple):
    """A request: its kind, its event and its payload."""

    kind: str
    event: str
    payload: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.kind}: {json.dumps(self.payload)}"


class Cost(NamedTuple):
    """The CPU time of a query in milliseconds."""

    query: Query
    milliseconds: float


def _statistics(kind: str = _STATISTICS, **filters: Any) -> Query:
    return Query(kind, "get-vulnerability-stats", filters)


def _list(resource: str, kind: str = _LIST, **fields: Any) -> Query:
    return Query(kind, "get-data", {"resource": resource, **fields})


def make_queries(file: Path) -> list[Query]:
    """Return the queries of dashboards over the findings of a generated export."""
    with file.open(newline="", encoding="utf-8") as opened:
        row = next(iter(csv.DictReader(opened)))
    host, day = row["asset.name"].partition(".")[0], row["first_seen"][:10]
    filters: list[dict[str, Any]] = [
        {},
        {"severity": ["Critical"]},
        {"severity": ["Medium"]},
        {"severity": ["High", "KEV"]},
        {"isKev": True},
        {"isKev": False},
        {"vendor": "CISCO"},
        {"vendor": "Other"},
        {"hostname": host},
        {"since": day},
        {"scanDate": "2025-09-30"},
        {"severity": ["Critical", "High"], "vendor": "CISCO", "isKev": False},
    ]
    sorts = (
        "vpr_score", "cvss_score", "-cvss_score", "severity", "-severity", "hostname", "-last_seen",
        "first_seen", "cve", "plugin_name", "vendor", "state", "id",
    )  # fmt: skip
    devices = ("-totalCount", "hostname", "-criticalVPR", "-hasKev")
    return [
        *(_statistics(**each) for each in filters),
        *(_list("vulnerabilities", filters=each) for each in filters),
        *(_list("vulnerabilities", sort=sort) for sort in sorts),
        _list("vulnerabilities", sort="-severity", filters={"vendor": "CISCO"}),
        _list("vulnerabilities", page=300),
        _list("vulnerabilities", page=3000, sort="hostname"),
        _list("vulnerability", id=1000),
        *(_list("devices", filters=each) for each in filters),
        *(_list("devices", sort=sort) for sort in devices),
        _list("kev"),
        _list("kev", filters={"matched": True}),
        _list("imports"),
        _list("trends"),
        _statistics(_SEARCH, search="PostgreSQL"),
        _list("vulnerabilities", _SEARCH, filters={"search": "path traversal"}),
        _list("vulnerabilities", _SEARCH, filters={"search": "CVE-2022-1"}),
        _list("devices", _SEARCH, filters={"search": "PAN-OS"}),
    ]


_RESOLVED = [
    _list("resolved"),
    _list("resolved", sort="hostname"),
    _list("resolved", filters={"severity": ["Critical"]}),
]


def write_catalog(path: Path, file: Path) -> None:
    """Write a KEV catalog with some CVEs of an export, and with others."""
    cves: dict[str, None] = {}
    with file.open(newline="", encoding="utf-8") as opened:
        for row in csv.DictReader(opened):
            cves.update(dict.fromkeys(row["definition.cve"].replace(",", " ").split()[:1]))
            if len(cves) >= _KNOWN_EXPLOITED:
                break
    named = [*cves, *(f"CVE-2018-{10_000 + number}" for number in range(_ELSEWHERE))]
    entries = [
        {
            "cveID": cve, "vendorProject": "Example", "product": "Router",
            "dateAdded": "2025-01-02", "vulnerabilityName": "Example Router Overflow",
            "shortDescription": "An overflow.",
            "requiredAction": "Apply updates.", "dueDate": "2025-01-23",
            "knownRansomwareCampaignUse": "Unknown", "notes": "", "cwes": [],
        }
        for cve in named
        if cve.startswith("CVE-")
    ]  # fmt: skip
    catalog = {
        "title": "Generated", "catalogVersion": "2025.09.30", "count": len(entries),
        "dateReleased": "2025-09-30T00:00:00.000Z", "vulnerabilities": entries,
    }  # fmt: skip
    path.write_text(json.dumps(catalog), encoding="utf-8")


def write_closed(path: Path, file: Path) -> None:
    """Write some rows of an export again, as fixed."""
    with (
        file.open(newline="", encoding="utf-8") as opened,
        path.open("w", newline="", encoding="utf-8") as closed,
    ):
        reader, writer = csv.reader(opened), csv.writer(closed)
        header = next(reader)
        writer.writerow(header)
        state = header.index("state")
        for number, row in enumerate(reader):
            if number % _CLOSED_EVERY == 0:
                row[state] = "FIXED"
                writer.writerow(row)


async def _run(hub: Hub, client: Client, query: Query) -> float:
    before = hub.cpu_seconds()
    reply = await client.emit(query.event, query.payload)
    # A thread of the hub may end its work after the reply.
    await asyncio.sleep(0.01)
    assert reply["success"], (query, reply)
    return hub.cpu_seconds() - before


async def _measure(hub: Hub, queries: list[Query]) -> list[Cost]:
    """Run each query once per round, so that no reply of the last round is cached.

    The lowest CPU time of a query counts: other work on the machine can only increase it.
    """
    client = await connect_client(hub.url, hub.token)
    rounds = []
    for _ in range(_ROUNDS):
        end = time.monotonic() + _CACHE_SECONDS
        rounds.append([await _run(hub, client, query) for query in queries])
        await asyncio.sleep(max(0.0, end - time.monotonic()))
    await client.close()
    lowest = (min(seconds) * 1000 for seconds in zip(*rounds, strict=True))
    return list(map(Cost, queries, lowest))


def measure_queries(file: Path, directory: Path) -> Report:
    """Import the file, and measure queries over open findings, then over resolved ones."""
    closed, catalog = directory / "closed.csv", directory / "catalog.json"
    with Hub(directory) as hub:
        write_closed(closed, file)
        write_catalog(catalog, file)
        hub.import_file(file)
        hub.synchronize_kev(catalog)
        hub.wait_until_idle()
        measured = asyncio.run(_measure(hub, make_queries(file)))
        hub.import_file(closed)
        hub.wait_until_idle()
        measured += asyncio.run(_measure(hub, _RESOLVED))
    return Report(
        [_figure(kind, measured) for kind in (_STATISTICS, _LIST, _SEARCH)],
        [f"{cost:7.1f} ms  {query}" for query, cost in measured],
    )


def _figure(kind: str, measured: list[Cost]) -> Figure:
    most = max(cost for query, cost in measured if query.kind == kind)
    return Figure(f"CPU time of the most expensive {kind} query", _GOAL_MS, "ms", most)

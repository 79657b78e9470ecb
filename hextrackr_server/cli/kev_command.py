"""KEV from the command line: into a database that no server has open, or through a server.

Knows: the terminal.  Does not know: flags, how a synchronisation is done.  It blocks.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hextrackr_server.cli.import_command import ClientError, ImportClient
from hextrackr_server.clock import LoopClock
from hextrackr_server.errors import ServiceError
from hextrackr_server.findings.batcher import UpdateBatcher
from hextrackr_server.findings.events import VulnerabilityEvents
from hextrackr_server.kev.catalog import KevError
from hextrackr_server.kev.fetcher import KevFetcher, read_file
from hextrackr_server.kev.service import KevService
from hextrackr_server.kev.store import KevStore
from hextrackr_server.storage.database import Database
from hextrackr_server.telemetry.log_setup import escape


class _Silence:
    """Nobody listens to a command."""

    def emit(self, room: str | tuple[str, ...], event: str, payload: dict[str, Any]) -> None:
        """Tell nobody."""


def synchronise_database(target: Path | str, source: KevFetcher | Path, *, force: bool) -> int:
    """Synchronise a database, and print what came of it; the exit code."""
    database = Database(target)
    try:
        result = asyncio.run(_synchronise(database, source, force))
    except ServiceError as error:
        raise ClientError(error.message) from error
    finally:
        database.close()
    return _report(result)


async def _synchronise(
    database: Database, source: KevFetcher | Path, force: bool
) -> dict[str, Any]:
    clock, silence = LoopClock(), _Silence()
    events = VulnerabilityEvents(silence, UpdateBatcher(silence, clock), clock)
    kev = KevService(KevStore(database), source, silence, events, clock)
    return await kev.sync(force=force)


def synchronise_server(url: str, token: str, file: Path | None, *, force: bool) -> int:
    """Ask a server to synchronise, with a catalog of one's own if there is a file."""
    try:
        body = None if file is None else read_file(file)
    except KevError as error:
        raise ClientError(str(error)) from error
    return _report(ImportClient(url, token).synchronise_kev(body, force=force))


def _report(result: dict[str, Any]) -> int:
    version = escape(str(result["catalogVersion"]))
    state = "has not changed" if result.get("skipped") else "is stored"
    print(f"Catalog {version} {state}: {result['totalKevs']:,} known exploited vulnerabilities")
    print(f"  new        {result['newEntries']:>9,}")
    for name in ("changed", "removed"):
        if f"{name}Entries" in result:
            print(f"  {name:<10} {result[f'{name}Entries']:>9,}")
    print(f"  open here  {result['matchedCount']:>9,}")
    return 0

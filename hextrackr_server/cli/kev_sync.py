"""The command `kev-sync`: synchronize the KEV catalog into a database, or through a server."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hextrackr_server.cli.api_client import ApiClient, ClientError
from hextrackr_server.cli.arguments import Commands, require_token
from hextrackr_server.clock import LoopClock
from hextrackr_server.config import settings
from hextrackr_server.errors import ServiceError
from hextrackr_server.kev.catalog import KevError
from hextrackr_server.kev.fetcher import KevFetcher, read_file
from hextrackr_server.telemetry.escaping import escape

if TYPE_CHECKING:
    from hextrackr_server.storage.database import Database


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("kev-sync", help="synchronize the known exploited vulnerabilities")
    parser.add_argument("--file", type=Path, help="a catalog to use instead of the configured URL")
    parser.add_argument(
        "--force", action="store_true", help="accept a catalog that lost many entries"
    )
    parser.add_argument("--database", help="the SQLite file (DATABASE; default: data/hextrackr.db)")
    parser.add_argument("--url", help="a running server that has the database open")
    parser.add_argument("--token", help="an administrator's token for --url (HEXTRACKR_TOKEN)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Synchronize and print the result; return the exit code."""
    if options.url:
        token = require_token(options)
        return synchronize_server(options.url, token, options.file, force=options.force)
    names = ("database", "database_url", "kev_url", "kev_hosts", "kev_file")
    values = settings.load_some(os.environ, {"database": options.database}, *names)
    source = options.file or values["kev_file"]
    if source is None:
        source = KevFetcher(values["kev_url"], values["kev_hosts"])
    target = (None if options.database else values["database_url"]) or values["database"]
    return synchronize_database(target, source, force=options.force)


def synchronize_server(url: str, token: str, file: Path | None, *, force: bool) -> int:
    """Synchronize through a server, optionally with the catalog of a file."""
    try:
        body = None if file is None else read_file(file)
    except KevError as error:
        raise ClientError(str(error)) from error
    return _print_result(ApiClient(url, token).synchronize_kev(body, force=force))


def synchronize_database(target: Path | str, source: KevFetcher | Path, *, force: bool) -> int:
    """Synchronize a database that is not in use by a server."""
    from hextrackr_server.storage.database import Database  # noqa: PLC0415 - needs the hub

    database = Database(target)
    try:
        result = asyncio.run(_synchronize(database, source, force))
    except ServiceError as error:
        raise ClientError(error.message) from error
    finally:
        database.close()
    return _print_result(result)


async def _synchronize(
    database: Database, source: KevFetcher | Path, force: bool
) -> dict[str, Any]:
    from hextrackr_server.findings.batcher import UpdateBatcher  # noqa: PLC0415 - needs the hub
    from hextrackr_server.findings.events import VulnerabilityEvents  # noqa: PLC0415
    from hextrackr_server.kev.service import KevService  # noqa: PLC0415
    from hextrackr_server.kev.store import KevStore  # noqa: PLC0415

    clock, emitter = LoopClock(), _NullEmitter()
    events = VulnerabilityEvents(emitter, UpdateBatcher(emitter, clock), clock)
    kev = KevService(KevStore(database), source, emitter, events, clock)
    return await kev.sync(force=force)


class _NullEmitter:
    """Emitter for commands, which have no receivers."""

    def emit(self, room: str | tuple[str, ...], event: str, payload: dict[str, Any]) -> None:
        """Discard the event without an error."""


def _print_result(result: dict[str, Any]) -> int:
    version = escape(str(result["catalogVersion"]))
    state = "has not changed" if result.get("skipped") else "is stored"
    print(f"Catalog {version} {state}: {result['totalKevs']:,} known exploited vulnerabilities")
    print(f"  new        {result['newEntries']:>9,}")
    for name in ("changed", "removed"):
        if f"{name}Entries" in result:
            print(f"  {name:<10} {result[f'{name}Entries']:>9,}")
    print(f"  open here  {result['matchedCount']:>9,}")
    if count := result.get("problemEntries", 0):
        print(f"  unusable   {count:>9,}   (their stored state is unchanged)")
        for problem in result["problems"]:
            cve = f"{problem['cve_id']}: " if problem["cve_id"] else ""
            print(f"    entry {problem['number']}: {escape(cve + problem['message'])}")
    return 0

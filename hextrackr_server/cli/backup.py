"""The command `backup`: back up the data of the hub, which may be running."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from hextrackr_server.cli.arguments import Commands
from hextrackr_server.config import settings

_DESCRIPTION = """\
Write the data of the hub into one file: findings, imports, history, the KEV catalog, tickets,
maintenance windows and notifications. The hub may be running; the backup contains the state of one
moment, with each import completely or not at all. It contains no settings, secrets or sessions.
Meaning of the settings: docs/settings.md; restoring: docs/backup.md."""


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "backup",
        help="back up the data, while the hub runs",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "target", type=Path, help="the new file, or a folder for a file with the time in its name"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.add_argument("--config", help="a TOML file with settings (HEXTRACKR_CONFIG)")
    parser.add_argument("--database", help="the SQLite file (DATABASE; default: data/hextrackr.db)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the backup and print its contents; return the exit code."""
    from hextrackr_server.backup.archive import write_backup  # noqa: PLC0415 - needs the hub

    def show(copied: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{100 * copied // max(1, total):>3} %", end="\r", file=sys.stderr, flush=True)

    path, manifest = write_backup(
        database_of(options), options.target, replace=options.force, on_step=show
    )
    print(f"Backup {path}")
    print(f"  size       {path.stat().st_size:,} bytes ({manifest.size:,} uncompressed)")
    print(f"  time       {manifest.created_at}")
    print(f"  version    {manifest.program_version}, schema {manifest.schema_version}")
    print(f"  imports    {manifest.rows.get('import_jobs', 0):,}")
    if "findings" in manifest.rows:
        print(f"  findings   {manifest.rows['findings']:,}")
    print(f"  sha256     {manifest.sha256} (database)")
    return 0


def database_of(options: argparse.Namespace) -> Path | str:
    """Return the path of the SQLite file, or the URL of the PostgreSQL database."""
    flags = {"config": options.config, "database": options.database}
    values = settings.load_some(os.environ, flags, "database", "database_url")
    target: Path | str = (None if options.database else values["database_url"]) or values[
        "database"
    ]
    return target

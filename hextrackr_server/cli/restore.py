"""The command `restore`: replace the data of the hub by a backup, also while the hub runs."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hextrackr_server.cli.api_client import ApiClient
from hextrackr_server.cli.arguments import Commands, require_token
from hextrackr_server.cli.backup import database_of
from hextrackr_server.cli.import_command import Progress
from hextrackr_server.config import settings
from hextrackr_server.errors import DatabaseInUseError, SettingsError

if TYPE_CHECKING:
    from hextrackr_server.backup.manifest import Manifest

_DESCRIPTION = """\
Replace all data of the hub by a backup. With --url, a running hub verifies the backup, waits for
running imports, replaces the data in one transaction, and connected pages show the restored data.
Without --url, the hub must be stopped. A backup of an older version is migrated; a failed or
interrupted restore leaves the former data. Details: docs/backup.md."""


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "restore",
        help="replace the data by a backup, while the hub runs or is stopped",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="the file that `backup` has written")
    parser.add_argument("--yes", action="store_true", help="replace the data of existing imports")
    parser.add_argument(
        "--check", action="store_true", help="verify and migrate the backup, but change nothing"
    )
    parser.add_argument("--config", help="a TOML file with settings (HEXTRACKR_CONFIG)")
    parser.add_argument("--database", help="the SQLite file (DATABASE; default: data/hextrackr.db)")
    parser.add_argument("--url", help="the running hub, for example http://127.0.0.1:8080")
    parser.add_argument("--token", help="an administrator's token for --url (HEXTRACKR_TOKEN)")
    parser.add_argument("--ca", type=Path, help="a PEM file with the authority of the certificate")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Restore or verify the backup and print the result; return the exit code."""
    from hextrackr_server.backup.archive import read_manifest  # noqa: PLC0415 - needs the hub

    manifest = read_manifest(options.source)
    if options.check:
        return _check(options)
    if options.url:
        client = ApiClient(options.url, require_token(options), options.ca)
        client.check_token()
        progress = Progress()
        try:
            answer = client.restore_backup(options.source, progress.show, replace=options.yes)
        finally:
            progress.end()
        return _print(manifest, answer["rows"])
    from hextrackr_server.backup.restoring import folder_of, restore_backup  # noqa: PLC0415

    try:
        _, rows = restore_backup(
            options.source,
            database_of(options),
            folder_of(_folder_path(options)),
            replace=options.yes,
        )
    except DatabaseInUseError as error:
        raise SettingsError(
            f"{error}; to restore while the hub runs, add --url and an administrator's --token"
        ) from error
    return _print(manifest, rows)


def _folder_path(options: argparse.Namespace) -> Path:
    flags = {"config": options.config, "database": options.database}
    path: Path = settings.load_some(os.environ, flags, "database")["database"]
    return path


def _check(options: argparse.Namespace) -> int:
    import tempfile  # noqa: PLC0415

    from hextrackr_server.backup.preparing import prepare  # noqa: PLC0415 - needs the hub

    with tempfile.TemporaryDirectory(prefix="hextrackr-restore-") as folder:
        manifest = prepare(options.source, Path(folder))
    return _print(manifest, manifest.rows, "is complete and can be restored")


def _print(manifest: Manifest, rows: dict[str, Any], outcome: str = "is restored") -> int:
    print(f"The backup of {manifest.created_at} {outcome}")
    print(f"  version    {manifest.program_version}, schema {manifest.schema_version}")
    print(f"  imports    {rows.get('import_jobs', 0):,}")
    if "findings" in rows:
        print(f"  findings   {rows['findings']:,}")
    return 0

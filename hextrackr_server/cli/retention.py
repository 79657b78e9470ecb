"""The command `retention`: show what the retention settings delete, without a deletion."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from hextrackr_server.cli.arguments import Commands
from hextrackr_server.clock import epoch_ms
from hextrackr_server.config import settings
from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import SettingsError

if TYPE_CHECKING:
    from hextrackr_server.retention.rules import Expired

_SETTINGS = (
    "snapshots_kept",
    "snapshots_kept_days",
    "history_kept_days",
    "imports_kept",
    "imports_kept_days",
)


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "retention",
        help="show what the retention settings delete, and change nothing",
        description="Show the rows that the running hub deletes in its next hourly run. "
        "The hub may be running. Settings: docs/retention.md.",
    )
    parser.add_argument("--config", help="a TOML file with settings (HEXTRACKR_CONFIG)")
    parser.add_argument("--database", help="the SQLite file (DATABASE; default: data/hextrackr.db)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the settings and the expired rows; return the exit code."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - needs the hub

    from hextrackr_server.retention.rules import (  # noqa: PLC0415
        RetentionRules,
        count_expired,
        find_expired,
    )
    from hextrackr_server.storage.backends import read_only_connection  # noqa: PLC0415
    from hextrackr_server.storage.database import Database  # noqa: PLC0415

    flags = {"config": options.config, "database": options.database}
    values = settings.load_some(os.environ, flags, "database", "database_url", *_SETTINGS)
    target = (None if options.database else values["database_url"]) or values["database"]
    rules = RetentionRules.of(Settings(**{name: values[name] for name in _SETTINGS}))
    Database.check_target(target)
    try:
        with read_only_connection(target) as connection:
            if connection is None or not connection.dialect.has_table(connection, "open_groups"):
                raise SettingsError(
                    f"there is no database of this version at {_shown(target)}: start the hub "
                    "once, or name another one with --database"
                )
            expired = find_expired(connection, rules, epoch_ms())
            counts = count_expired(connection, expired)
    except DBAPIError as error:
        raise SettingsError(f"the database is not readable: {error.orig}") from error
    for name in _SETTINGS:
        print(f"{name:<22} {values[name] or 'all'}")
    print("The next run of the hub deletes")
    for line in _lines(expired, counts):
        print(f"  {line}")
    return 0


def _shown(target: Path | str) -> str:
    return str(target) if isinstance(target, Path) else "DATABASE_URL"


def _lines(expired: Expired, counts: dict[str, int]) -> list[str]:
    """Describe the expired rows of each kind."""
    days = [str(day) for day in expired.snapshot_days]
    names = {
        "snapshots": [f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in days],
        "totals": expired.total_days,
        "imports": [str(number) for number in expired.imports],
    }
    return [f"{kind:<10} {counts[kind]:>9,}{_span(each)}" for kind, each in names.items()]


def _span(names: list[str]) -> str:
    if not names:
        return ""
    return f"   ({names[0]})" if len(names) == 1 else f"   ({names[0]} to {names[-1]})"

"""The command `check`: show the effective configuration without starting the server."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from hextrackr_server.cli.arguments import Commands, add_settings
from hextrackr_server.cli.session_check import session_store_warnings
from hextrackr_server.clock import epoch_ms
from hextrackr_server.config import settings
from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import SettingsError

_HOW_TO_SET = """\
To change a setting, set the environment variable HEXTRACKR_<NAME> (in capitals), or its name in a
TOML file (--config FILE). To read a secret from a file, set HEXTRACKR_<NAME>_FILE to its path."""


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("check", help="show the effective configuration and exit")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print all settings and the time of the next KEV synchronization; return the exit code."""
    for line in settings.describe(os.environ, vars(options)):
        print(line)
    for note in settings.notes(os.environ, vars(options)):
        print(f"note: {note}")
    print(f"\n{_HOW_TO_SET}", flush=True)
    loaded = settings.load(os.environ, vars(options))
    try:
        _check_environment(loaded)
        for warning in session_store_warnings(loaded):
            print(f"\nwarning: {warning}")
    except ModuleNotFoundError as error:
        print(f"\nwarning: files and databases are not checked: {error.name} is not installed")
    print(f"\nnext KEV sync: {_next_kev_sync(loaded, epoch_ms())}")
    return 0


def _check_environment(loaded: Settings) -> None:
    """Raise SettingsError for files and databases with which `serve` would not start.

    Not checked: the port and the lock of the database, which a running hub holds.
    """
    # Imported here: they need the dependencies of the hub.
    from hextrackr_server.imports.inbox import ImportInbox  # noqa: PLC0415
    from hextrackr_server.sockets.server import load_tls  # noqa: PLC0415
    from hextrackr_server.storage.database import Database  # noqa: PLC0415

    load_tls(loaded)
    ImportInbox(loaded.import_inbox)
    Database.check_target(loaded.database_url or loaded.database)
    if loaded.database_url is None:
        _check_writable("database", loaded.database)
    log = loaded.event_log
    if log is None:
        return
    if log.is_dir() or (log.parent.exists() and not log.parent.is_dir()):
        raise SettingsError(f"the event log {log} cannot be written: it must be a file in a folder")
    _check_writable("event log", log)


def _check_writable(name: str, path: Path) -> None:
    """Raise SettingsError if this user cannot write a file, or create it and files next to it."""
    folder = next(each for each in path.absolute().parents if each.exists())
    for needed in (path, folder) if path.exists() else (folder,):
        if not os.access(needed, os.W_OK):
            raise SettingsError(
                f"the {name} {path} cannot be written: this user has no permission to write "
                f"{needed}; change its owner, or run the command as the user of the server"
            )


def _next_kev_sync(loaded: Settings, now_ms: int) -> str:
    times = []
    if loaded.kev_time is not None:
        moment = datetime.fromtimestamp(loaded.kev_time.next_after(now_ms) / 1000, UTC)
        local = moment.astimezone(loaded.kev_time.zone)
        times.append(f"{local:%Y-%m-%d %H:%M} {loaded.kev_time.zone.key} ({moment:%H:%M} UTC)")
    if loaded.kev_interval:
        times.append(f"{loaded.kev_interval:g} seconds after the previous sync")
    if not times:
        return "not scheduled (set HEXTRACKR_KEV_TIME or HEXTRACKR_KEV_INTERVAL)"
    missed = "a sync that was missed runs one minute after the start"
    return f"{', or '.join(times)}; {missed}"

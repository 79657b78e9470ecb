"""The command `serve`: run the server until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import errno
import gc
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hextrackr_server.cli import open_files
from hextrackr_server.cli.arguments import Commands, add_settings
from hextrackr_server.cli.session_check import session_store_warnings
from hextrackr_server.config import settings
from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import SettingsError
from hextrackr_server.telemetry import log_setup

if TYPE_CHECKING:
    from hextrackr_server.application import Application

logger = logging.getLogger(__name__)

# Seconds after which a computing thread yields to the event loop (CPython's default: 0.005).
SWITCH_INTERVAL = 0.001


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("serve", help="run the server")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the server; return the exit code."""
    loaded = settings.load(os.environ, vars(options))
    log_setup.configure(loaded.log_format, logging.getLevelName(loaded.log_level.upper()))
    for warning in _warnings(loaded):
        logger.warning(warning)
    # Imported here: other commands start faster without the server, and need no hub.
    import uvloop  # noqa: PLC0415

    from hextrackr_server.application import Application  # noqa: PLC0415

    open_files.allow(loaded.max_connections)
    application = Application(loaded)
    sys.setswitchinterval(SWITCH_INTERVAL)
    # Loaded modules stay in memory. Excluding them from garbage collection shortens its longest
    # pause from 30 ms to 2 ms.
    gc.collect()
    gc.freeze()

    def print_banner(port: int) -> None:
        print(_banner(loaded, port, application), flush=True)

    try:
        uvloop.run(application.serve(print_banner))
    except OSError as error:
        where = f"cannot listen on {loaded.host} port {loaded.port}"
        raise SettingsError(f"{where}: {_reason(error)}") from error
    return 0


def _warnings(loaded: Settings) -> Iterator[str]:
    """Return warnings about settings that are valid, but probably unintended."""
    if loaded.redis_url is not None:
        yield "REDIS_URL has no effect: this version runs as a single server without an adapter"
    yield from session_store_warnings(loaded)


def _reason(error: OSError) -> str:
    """Return why the server cannot listen, with the remedy."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have the address; choose another --host"
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"{reason}; choose another --port"


def _banner(loaded: Settings, port: int, application: Application) -> str:
    host = f"[{loaded.host}]" if ":" in loaded.host else loaded.host
    url = f"{'https' if loaded.ssl_cert_path else 'http'}://{host}:{port}"
    if not loaded.dev:
        return f"HexTrackr listens at {url}, database {application.database}"
    program = sys.argv[0] if Path(sys.argv[0]).name == "hextrackr-server" else "hextrackr-server"
    authority = application.services.authority
    admin = authority.sign("admin", role="admin")
    return "\n".join(
        (
            f"HexTrackr listens at {url}  (development: this machine only)",
            f"  database     {application.database}",
            "  tokens       valid until the server stops (temporary secret)",
            f"  admin token  {admin}",
            f"  user token   {authority.sign('user', role='user')}",
            "",
            "Try it from another terminal:",
            f"  {program} sample --rows 20000 sample.csv",
            f"  {program} import sample.csv --url {url} --token {admin}",
            "",
        )
    )

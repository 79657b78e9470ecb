"""Arguments that several commands share, and the values behind them."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, TypeAlias

from hextrackr_server.config import settings
from hextrackr_server.errors import SettingsError

DEFAULT_URL = "http://127.0.0.1:8080"

if TYPE_CHECKING:
    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
else:
    Commands = argparse._SubParsersAction


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the settings that are available as flags, and list the others after the flags."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    lines = "\n  ".join(settings.overview())
    parser.epilog = f"environment variables of all settings (meaning: docs/settings.md):\n  {lines}"
    parser.add_argument("--config", help="a TOML file with settings (HEXTRACKR_CONFIG)")
    parser.add_argument("--host", help="the address to listen on (HOST; default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port to listen on (PORT; default: 8080)")
    parser.add_argument(
        "--workers",
        type=int,
        help="the number of processes that hold connections (HEXTRACKR_WORKERS; default: 1)",
    )
    parser.add_argument("--database", help="the SQLite file (DATABASE; default: data/hextrackr.db)")
    parser.add_argument(
        "--log-format",
        choices=settings.LOG_FORMATS,
        help="the format of log lines (LOG_FORMAT; default: human)",
    )
    parser.add_argument(
        "--dev",
        action="store_true",
        default=None,
        help="development mode: listen on the loopback interface, create a secret next to the "
        "database, print tokens",
    )


def require_token(options: argparse.Namespace) -> str:
    """Return the token of the command line or of HEXTRACKR_TOKEN; SettingsError without one."""
    token: str | None = options.token or os.environ.get("HEXTRACKR_TOKEN")
    if not token:
        raise SettingsError("a token is required: set --token or HEXTRACKR_TOKEN")
    return token

"""The command `types`: print the types of the hub's events for TypeScript."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from hextrackr_server import __version__
from hextrackr_server.cli.arguments import Commands
from hextrackr_server.errors import SettingsError

HEADING = f"""\
Types of the events of the HexTrackr hub {__version__}, by `hextrackr-server types`: do not edit. \
`io<ServerToClientEvents, ClientToServerEvents>(url)`"""


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("types", help="print the types of all events for TypeScript")
    parser.add_argument("--output", type=Path, metavar="FILE.ts", help="write this file instead")
    parser.add_argument(
        "--check", type=Path, metavar="FILE.ts", help="fail if this file has other types"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print, write or compare the types; return the exit code."""
    text = hub_types()
    if options.check is not None:
        present = options.check.read_text("utf-8") if options.check.is_file() else ""
        if present == text:
            return 0
        command = f"hextrackr-server types --output {options.check}"
        print(f"{options.check} is not up to date: run `{command}`", file=sys.stderr)
        return 1
    if options.output is None:
        sys.stdout.write(text)
        return 0
    try:
        options.output.write_text(text, "utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"{options.output} cannot be written: {reason}") from error
    print(f"wrote {options.output}")
    return 0


def hub_types() -> str:
    """Return the types of the events that the features of the hub register."""
    from hextrackr_server.application import (  # noqa: PLC0415 - only this command
        Application,
    )
    from hextrackr_server.config.settings import Settings  # noqa: PLC0415 - only this command

    with TemporaryDirectory(prefix="hextrackr-types-") as directory:
        settings = Settings(database=Path(directory) / "types.db", jwt_secret=bytes(32))
        application = Application(settings)
        try:
            return application.io.typescript(HEADING)
        finally:
            application.database.close()

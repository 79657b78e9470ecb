"""The command `types`: describe the hub's events in TypeScript, or as an AsyncAPI document."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hextrackr_server import __version__
from hextrackr_server.cli.arguments import Commands
from hextrackr_server.errors import SettingsError
from socketio_core import SocketServer

HEADING = f"""\
Types of the events of the HexTrackr hub {__version__}, by `hextrackr-server types`: do not edit. \
`io<ServerToClientEvents, ClientToServerEvents>(url)`"""


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("types", help="describe all events for TypeScript or AsyncAPI")
    parser.add_argument(
        "--format", choices=["typescript", "asyncapi"], default="typescript",
        help="TypeScript for socket.io-client, or an AsyncAPI 3.0 document (JSON)",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="write this file instead")
    parser.add_argument(
        "--check", type=Path, metavar="FILE", help="fail if this file has another content"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print, write or compare the description; return the exit code."""
    if options.format == "typescript":
        text = hub_types()
    else:
        text = json.dumps(hub_asyncapi(), indent=2) + "\n"
    if options.check is not None:
        present = options.check.read_text("utf-8") if options.check.is_file() else ""
        if present == text:
            return 0
        command = f"hextrackr-server types --format {options.format} --output {options.check}"
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
    """Return the TypeScript of the events that the features of the hub register."""
    with _server() as io:
        return io.typescript(HEADING)


def hub_asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI document of the events that the features of the hub register."""
    from hextrackr_server.http.asyncapi import (  # noqa: PLC0415 - only this command
        create_document,
    )

    with _server() as io:
        return create_document(io)


@contextmanager
def _server() -> Iterator[SocketServer]:
    """Create the server of a hub with an empty database."""
    from hextrackr_server.application import (  # noqa: PLC0415 - only this command
        Application,
    )
    from hextrackr_server.config.settings import Settings  # noqa: PLC0415 - only this command

    with TemporaryDirectory(prefix="hextrackr-types-") as directory:
        settings = Settings(database=Path(directory) / "types.db", jwt_secret=bytes(32))
        application = Application(settings)
        try:
            yield application.io
        finally:
            application.database.close()

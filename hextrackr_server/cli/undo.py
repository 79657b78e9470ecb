"""The command `undo`: undo the last import of a source on a running server."""

from __future__ import annotations

import argparse
import os

from hextrackr_server.cli.api_client import ApiClient
from hextrackr_server.cli.arguments import DEFAULT_URL, Commands, require_token
from hextrackr_server.telemetry.escaping import escape


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("undo", help="undo the last import of a source (administrators)")
    parser.add_argument(
        "what",
        nargs="?",
        metavar="IMPORT",
        help="the number or session ID of the import, or its source, for example nessus; "
        "default: list the imports that can be undone",
    )
    parser.add_argument("--url", help=f"the server (HEXTRACKR_URL; default: {DEFAULT_URL})")
    parser.add_argument("--token", help="an administrator's token (HEXTRACKR_TOKEN)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Undo the import, or list the imports; return the exit code."""
    token = require_token(options)
    client = ApiClient(options.url or os.environ.get("HEXTRACKR_URL") or DEFAULT_URL, token)
    found = client.undoable_imports()
    if options.what is None:
        if found:
            print(f"{'import':>8}  {'source':<20} {'scan date':<10} file")
        for each in found:
            source, name = escape(each["source"]), escape(each["filename"])
            print(f"{each['import_id']:>8}  {source:<20} {each['scan_date']:<10} {name}")
        if not found:
            print("No import can be undone")
        return 0
    numbers = {each["source"]: str(each["import_id"]) for each in found}
    undone = client.undo_import(numbers.get(options.what, options.what))
    print(
        f"Import {undone['importId']} is undone: {undone['deleted']:,} findings deleted, "
        f"{undone['restored']:,} restored"
    )
    return 0

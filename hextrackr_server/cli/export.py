"""The command `export`: write the findings of a running server to a file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from hextrackr_server.cli.api_client import ApiClient
from hextrackr_server.cli.arguments import DEFAULT_URL, Commands, require_token

FORMATS = ("csv", "json")
STATES = ("open", "resolved", "all")


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("export", help="write the findings to a CSV or JSON file")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--url", help=f"the server (HEXTRACKR_URL; default: {DEFAULT_URL})")
    parser.add_argument("--token", help="a token (HEXTRACKR_TOKEN)")
    parser.add_argument(
        "--format", choices=FORMATS, help="default: json for a file named *.json, else csv"
    )
    parser.add_argument("--state", choices=STATES, default="open", help="default: open")
    parser.add_argument("--severity", help="severities, separated by commas")
    parser.add_argument("--vendor", help="CISCO, Palo Alto or Other")
    parser.add_argument("--hostname", help="the displayed name of a host")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the file; return the exit code."""
    token = require_token(options)
    url = options.url or os.environ.get("HEXTRACKR_URL") or DEFAULT_URL
    suffix = options.file.suffix.lower().removeprefix(".")
    values = {
        "format": options.format or (suffix if suffix in FORMATS else "csv"),
        "state": options.state,
        "severity": options.severity,
        "vendor": options.vendor,
        "hostname": options.hostname,
    }
    query = {name: value for name, value in values.items() if value is not None}
    size = ApiClient(url, token).download("/api/findings/export", query, options.file)
    print(f"wrote {options.file}: {size:,} bytes")
    return 0

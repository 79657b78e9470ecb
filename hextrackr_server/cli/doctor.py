"""The command `doctor`: examine a deployment from outside."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from hextrackr_server.cli.arguments import Commands


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="examine a deployment from outside, through its reverse proxy",
        description="Examine a deployment from outside: transports, timeouts, limits, origins, "
        "cookies and public paths. Each problem comes with the lines of nginx and HAProxy that "
        "solve it. The command takes as long as the ping interval (25 s by default). Exit code: 0 "
        "without errors, 1 with errors.",
    )
    parser.add_argument("url", metavar="URL", help="the address that clients use")
    parser.add_argument(
        "--path", default="/socket.io/", help="the path of Socket.IO (default: /socket.io/)"
    )
    parser.add_argument("--origin", default="", help="also check pages of this origin (CORS)")
    parser.add_argument("--ca", type=Path, help="a PEM file with further trusted certificates")
    parser.add_argument(
        "--metrics-token",
        help="also check the open files of the server (HEXTRACKR_METRICS_TOKEN)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="leave out the checks of idle connections"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the report; return the exit code."""
    # Imported here: other commands start faster without, and need no hub.
    from hextrackr_server.doctor.examination import Wishes, examine  # noqa: PLC0415
    from hextrackr_server.doctor.finding import Level  # noqa: PLC0415
    from hextrackr_server.doctor.target import Target  # noqa: PLC0415

    target = Target(options.url, options.path, options.ca)
    token = options.metrics_token or os.environ.get("HEXTRACKR_METRICS_TOKEN") or ""
    report = examine(target, Wishes(options.origin.rstrip("/"), token, options.quick))
    if options.json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        print("\n".join(report.lines()))
    return 1 if report.count(Level.ERROR) else 0

"""The command `token`: sign a token with the configured secret."""

from __future__ import annotations

import argparse
import os

from hextrackr_server.cli.arguments import Commands
from hextrackr_server.config import settings
from hextrackr_server.errors import SettingsError
from hextrackr_server.security.roles import ROLES

#: Longest lifetime of a token: ten years.
MAXIMUM_HOURS = 87_600


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("token", help="sign a token with the configured secret")
    parser.add_argument("--user", required=True, help="the ID of the user")
    parser.add_argument("--username", help="the displayed name (default: the ID)")
    parser.add_argument("--role", choices=ROLES, default="user", help="the role (default: user)")
    parser.add_argument(
        "--hours", type=float, default=24.0, help="the lifetime in hours (default: 24)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a token; return the exit code."""
    from hextrackr_server.security.principal import TokenAuthority  # noqa: PLC0415 - needs the hub

    if not 0 < options.hours <= MAXIMUM_HOURS:
        raise SettingsError(
            f"--hours must be more than 0 and at most {MAXIMUM_HOURS}, got {options.hours:g}"
        )
    authority = TokenAuthority(settings.load_secret(os.environ))
    try:
        signed = authority.sign(
            options.user,
            role=options.role,
            username=options.username,
            lifetime=options.hours * 3600,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error
    print(signed)
    return 0

"""The command `token`: sign a token with the configured secret."""

from __future__ import annotations

import argparse
import os

from hextrackr_server.cli.arguments import Commands
from hextrackr_server.config import settings
from hextrackr_server.config.roles import ROLES
from hextrackr_server.errors import SettingsError

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
    # Imported here, because it needs the dependencies of the hub.
    from hextrackr_server.security.principal import TokenAuthority, TokenRules  # noqa: PLC0415

    if not 0 < options.hours <= MAXIMUM_HOURS:
        raise SettingsError(
            f"--hours must be more than 0 and at most {MAXIMUM_HOURS}, got {options.hours:g}"
        )
    named = settings.load_some(os.environ, {}, "jwt_issuer", "jwt_audience", "jwt_user_claims")
    rules = TokenRules(
        issuer=named["jwt_issuer"],
        audience=named["jwt_audience"],
        user_claims=named["jwt_user_claims"],
    )
    authority = TokenAuthority(settings.load_secret(os.environ), rules)
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

"""The command `formats`: list the formats that imports read."""

from __future__ import annotations

import argparse

from hextrackr_server.cli.arguments import Commands


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("formats", help="list the formats that imports read")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a line for each format; return the exit code."""
    from hextrackr_server.imports.formats.profile import (  # noqa: PLC0415 - only this command
        load_profiles,
    )

    profiles = [profile for profile in load_profiles().values() if profile.refuse is None]
    width = max(len(profile.id) for profile in profiles)
    for profile in profiles:
        print(f"{profile.id:{width}}  {profile.title}; one {profile.row} per row")
    print(
        "\nThe header of a file selects its format. `hextrackr-server inspect FILE` shows how a "
        "file is read; `--mapping FILE.toml` describes any other CSV file."
    )
    return 0

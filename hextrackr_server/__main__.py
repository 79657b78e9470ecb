"""Entry point of the console script `hextrackr-server`: dispatches to the modules of `cli`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from hextrackr_server.cli import (
    backup,
    check,
    doctor,
    export,
    formats,
    health,
    import_command,
    inspect,
    kev_sync,
    restore,
    retention,
    sample,
    serve,
    token,
    types,
    undo,
)
from hextrackr_server.errors import HexTrackrError
from hextrackr_server.version import description

#: Commands import the hub's dependencies when they run, so that this module works without them.
COMMANDS = (
    serve,
    check,
    health,
    doctor,
    inspect,
    import_command,
    undo,
    export,
    formats,
    kev_sync,
    backup,
    restore,
    retention,
    token,
    sample,
    types,
)
#: Import names of the packages that the extra `hub` installs.
HUB_PACKAGES = frozenset(
    {
        "lxml", "jwt", "prometheus_client", "python_multipart", "sqlalchemy", "starlette",
        "structlog", "tzdata",
    }
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="hextrackr-server", description="HexTrackr's realtime hub"
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="print the commit and the versions of libraries"
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        command.add_parser(commands)
    try:
        options = parser.parse_args(arguments)
        code: int = options.run(options)
        sys.stdout.flush()
    except HexTrackrError as error:
        return _fail(str(error))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in HUB_PACKAGES:
            raise
        return _fail(
            f"the package {package!r} is missing: install the extra 'hub', "
            "`pip install '.[hub]'` in a clone"
        )
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has ended. Python flushes stdout once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


class _Version(argparse.Action):
    """The option that prints versions, which are read only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(description(), flush=True)
        parser.exit()


def _fail(message: str) -> int:
    print(f"hextrackr-server: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

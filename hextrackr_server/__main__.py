"""The command line: `hextrackr-server serve | check | import | kev-sync | token | sample`.

Knows: flags, the terminal, exit codes.  Does not know: how anything is done.
"""

from __future__ import annotations

import argparse
import errno
import gc
import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hextrackr_server import __version__
from hextrackr_server.cli import open_files
from hextrackr_server.cli.import_command import import_file
from hextrackr_server.cli.sample import write_sample
from hextrackr_server.clock import epoch_ms
from hextrackr_server.config import settings
from hextrackr_server.errors import HexTrackrError, SettingsError
from hextrackr_server.kev.fetcher import KevFetcher
from hextrackr_server.security.principal import ROLES, TokenAuthority
from hextrackr_server.telemetry import log_setup

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from hextrackr_server.application import Application

DEFAULT_URL = "http://127.0.0.1:8080"
#: Of a token: ten years.
MAXIMUM_HOURS = 87_600
# A thread that computes gives way to the event loop after so many seconds (default: 0.005).
SWITCH_INTERVAL = 0.001
_HOW_TO_SET = """\
Give a setting as a variable, HEXTRACKR_<NAME> in capitals, or under its name in a TOML file
(--config FILE); what is secret may be in a file that HEXTRACKR_<NAME>_FILE names."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except HexTrackrError as error:
        print(f"hextrackr-server: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hextrackr-server", description="HexTrackr's realtime hub"
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")

    serve = commands.add_parser("serve", help="run the server")
    _add_settings(serve)
    serve.set_defaults(command=_serve)

    check = commands.add_parser("check", help="show the effective configuration, and end")
    _add_settings(check)
    check.set_defaults(command=_check)

    upload = commands.add_parser("import", help="import a CSV file and follow it to its end")
    upload.add_argument("file", type=Path, metavar="FILE.csv")
    upload.add_argument("--url", help=f"the server (HEXTRACKR_URL; {DEFAULT_URL})")
    upload.add_argument("--token", help="a token (HEXTRACKR_TOKEN)")
    upload.add_argument(
        "--scope",
        help="which findings that the file does not name are resolved: those of its vendors "
        "(vendor, the default), of its hosts (hosts), all (full), or none",
    )
    upload.add_argument("--vendor", help="whose findings these are, where the file does not say")
    upload.add_argument(
        "--scan-date", help="such as 2025-09-30 (that in the file's name, or today)"
    )
    upload.set_defaults(command=_import)

    kev = commands.add_parser("kev-sync", help="synchronise the known exploited vulnerabilities")
    kev.add_argument("--file", type=Path, help="a catalog instead of the configured source")
    kev.add_argument("--force", action="store_true", help="believe a catalog that shrinks")
    kev.add_argument("--database", help="SQLite file (DATABASE; data/hextrackr.db)")
    kev.add_argument("--url", help="a running server, which has the database open")
    kev.add_argument("--token", help="an admin's token for it (HEXTRACKR_TOKEN)")
    kev.set_defaults(command=_kev_sync)

    token = commands.add_parser("token", help="sign a token with the configured secret")
    token.add_argument("--user", required=True, help="the user's id")
    token.add_argument("--username", help="the name to show (the id)")
    token.add_argument("--role", choices=ROLES, default="user")
    token.add_argument("--hours", type=float, default=24.0, help="how long it is valid (24)")
    token.set_defaults(command=_token)

    sample = commands.add_parser("sample", help="write a made-up export to try things with")
    sample.add_argument("file", type=Path, metavar="FILE.csv")
    sample.add_argument("--rows", type=int, default=1000)
    sample.add_argument("--seed", type=int, default=1)
    sample.set_defaults(command=_sample)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", help="a TOML file of settings (HEXTRACKR_CONFIG)")
    parser.add_argument("--host", help="address to listen on (HOST; 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (PORT; 8080)")
    parser.add_argument("--database", help="SQLite file (DATABASE; data/hextrackr.db)")
    parser.add_argument("--log-format", choices=settings.LOG_FORMATS, help="(LOG_FORMAT; human)")
    parser.add_argument(
        "--dev",
        action="store_true",
        default=None,
        help="loopback only, with a secret made for this start and tokens to try it",
    )


def _check(options: argparse.Namespace) -> int:
    for line in settings.describe(os.environ, vars(options)):
        print(line)
    print(f"\n{_HOW_TO_SET}", flush=True)
    print(f"\nnext KEV sync: {_next_kev(settings.load(os.environ, vars(options)), epoch_ms())}")
    return 0


def _next_kev(chosen: settings.Settings, now_ms: int) -> str:
    """When KEV is synchronised next, as far as settings tell."""
    times = []
    if chosen.kev_time is not None:
        moment = datetime.fromtimestamp(chosen.kev_time.next_after(now_ms) / 1000, UTC)
        local = moment.astimezone(chosen.kev_time.zone)
        times.append(f"{local:%Y-%m-%d %H:%M} {chosen.kev_time.zone.key} ({moment:%H:%M} UTC)")
    if chosen.kev_interval:
        times.append(f"{chosen.kev_interval:g} seconds after the last one")
    if not times:
        return "never by itself: set HEXTRACKR_KEV_TIME or HEXTRACKR_KEV_INTERVAL"
    missed = "one that was missed is made up for a minute after the start"
    return f"{', or '.join(times)}; {missed}"


def _serve(options: argparse.Namespace) -> int:
    chosen = settings.load(os.environ, vars(options))
    log_setup.configure(chosen.log_format, logging.getLevelName(chosen.log_level.upper()))
    for warning in _warnings(chosen):
        logger.warning(warning)
    # Late: the other commands start faster without the server.
    import uvloop  # noqa: PLC0415

    from hextrackr_server.application import Application  # noqa: PLC0415

    open_files.allow(chosen.max_connections)
    application = Application(chosen)
    sys.setswitchinterval(SWITCH_INTERVAL)
    # What is loaded now stays for good: without looking at it again and again the garbage
    # collector stops the loop for 2 ms at most, with it for 30.
    gc.collect()
    gc.freeze()

    def listening(port: int) -> None:
        print(_banner(chosen, port, application), flush=True)

    try:
        uvloop.run(application.serve(listening))
    except OSError as error:
        where = f"cannot listen on {chosen.host} port {chosen.port}"
        raise SettingsError(f"{where}: {_why_not(error)}") from error
    return 0


def _warnings(chosen: settings.Settings) -> Iterator[str]:
    """What is no reason not to start, but may not be meant."""
    if chosen.redis_url is not None:
        yield "REDIS_URL is set, but this server is alone: no adapter uses it yet"
    store = chosen.sessions_database
    if chosen.session_secrets and not store.is_file():
        yield (
            f"there is no store of sessions at {store}: until there is, nobody gets in by cookie; "
            "HEXTRACKR_SESSIONS_DATABASE names it"
        )


def _why_not(error: OSError) -> str:
    """What keeps it from listening, and what to do about it."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address; choose another --host"
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"{reason}; choose another --port"


def _banner(chosen: settings.Settings, port: int, application: Application) -> str:
    host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    url = f"{'https' if chosen.ssl_cert_path else 'http'}://{host}:{port}"
    if not chosen.dev:
        return f"HexTrackr listens at {url}, database {application.database}"
    program = sys.argv[0] if Path(sys.argv[0]).name == "hextrackr-server" else "hextrackr-server"
    authority = application.services.authority
    admin = authority.sign("admin", role="admin")
    return "\n".join(
        (
            f"HexTrackr listens at {url}  (development: this machine only)",
            f"  database     {application.database}",
            "  tokens       signed with a secret made for this start, valid until it ends",
            f"  admin token  {admin}",
            f"  user token   {authority.sign('user', role='user')}",
            "",
            "Try it from another terminal:",
            f"  {program} sample --rows 20000 sample.csv",
            f"  {program} import sample.csv --url {url} --token {admin}",
            "",
        )
    )


def _import(options: argparse.Namespace) -> int:
    token = options.token or os.environ.get("HEXTRACKR_TOKEN")
    if not token:
        raise SettingsError("no token: give one with --token or HEXTRACKR_TOKEN")
    url = options.url or os.environ.get("HEXTRACKR_URL") or DEFAULT_URL
    given = {"scope": options.scope, "vendor": options.vendor, "scanDate": options.scan_date}
    chosen = {name: value for name, value in given.items() if value is not None}
    return import_file(options.file, url, token, chosen)


def _kev_sync(options: argparse.Namespace) -> int:
    from hextrackr_server.cli import kev_command  # noqa: PLC0415 - other commands need no database

    if options.url:
        token = options.token or os.environ.get("HEXTRACKR_TOKEN")
        if not token:
            raise SettingsError("no token: give one with --token or HEXTRACKR_TOKEN")
        return kev_command.synchronise_server(options.url, token, options.file, force=options.force)
    names = ("database", "database_url", "kev_url", "kev_hosts", "kev_file")
    chosen = settings.load_some(os.environ, {"database": options.database}, *names)
    source = options.file or chosen["kev_file"]
    if source is None:
        source = KevFetcher(chosen["kev_url"], chosen["kev_hosts"])
    target = (None if options.database else chosen["database_url"]) or chosen["database"]
    return kev_command.synchronise_database(target, source, force=options.force)


def _token(options: argparse.Namespace) -> int:
    if not 0 < options.hours <= MAXIMUM_HOURS:
        raise SettingsError(f"--hours must be more than 0, and {MAXIMUM_HOURS} at most")
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


def _sample(options: argparse.Namespace) -> int:
    if options.rows < 0:
        raise SettingsError("--rows must not be negative")
    try:
        write_sample(options.file, options.rows, options.seed)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"{options.file} cannot be written: {reason}") from error
    print(f"wrote {options.file}: {options.rows:,} rows, seed {options.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The command `serve`: run the server until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import errno
import gc
import logging
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engineio_core.service_manager import ServiceManager
from hextrackr_server.cli import system_limits
from hextrackr_server.cli.arguments import Commands, add_settings
from hextrackr_server.cli.session_check import session_store_warnings
from hextrackr_server.config import settings
from hextrackr_server.config.parsers import MINIMUM_SECRET_BYTES
from hextrackr_server.config.secret_values import secret_values
from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import HexTrackrError, SettingsError
from hextrackr_server.http.dashboard_files import build_step, is_built
from hextrackr_server.storage.free_memory import use_one_arena

if TYPE_CHECKING:
    from hextrackr_server.application import Application

logger = logging.getLogger(__name__)

# Seconds after which a computing thread yields to the event loop (CPython's default: 0.005).
SWITCH_INTERVAL = 0.001


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("serve", help="run the server")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the server; return the exit code."""
    log_format = options.log_format or _variable("LOG_FORMAT")
    try:
        loaded = settings.load(os.environ, vars(options))
        log_format = loaded.log_format
        return _serve(loaded)
    except HexTrackrError as error:
        if log_format != "json":
            raise
        # A collector that reads JSON lines also receives the reason of a failed start.
        from hextrackr_server.telemetry import log_setup  # noqa: PLC0415

        log_setup.configure("json")
        logger.error(str(error))
        return 1


def _variable(name: str) -> str | None:
    return os.environ.get(f"HEXTRACKR_{name}") or os.environ.get(name)


def _serve(loaded: Settings) -> int:
    if loaded.dev:
        loaded = replace(loaded, jwt_secret=_development_secret(loaded))
    # Imported here, as the server below: other commands start faster without, and need no hub.
    from hextrackr_server.telemetry import log_setup  # noqa: PLC0415

    log_setup.configure(
        loaded.log_format,
        logging.getLevelName(loaded.log_level.upper()),
        lines_per_kind=loaded.log_lines_per_kind,
        secrets=secret_values(loaded),
    )
    log_setup.log_crashes()
    use_one_arena()
    for warning in _warnings(loaded):
        logger.warning(warning)
    import uvloop  # noqa: PLC0415

    from hextrackr_server.application import Application  # noqa: PLC0415

    system_limits.allow(loaded.max_connections)
    system_limits.check_accept_queue(loaded.max_connections)
    application = None if _is_in_processes(loaded) else Application(loaded)
    sys.setswitchinterval(SWITCH_INTERVAL)
    # Loaded modules stay in memory. Excluding them from garbage collection shortens its longest
    # pause from 30 ms to 2 ms.
    gc.collect()
    gc.freeze()

    def print_banner(application: Application, port: int) -> None:
        if loaded.log_format == "json":
            fields = _listening(loaded, port, application)
            logger.info("HexTrackr listens", extra=log_setup.fields(**fields))
        else:
            # One write, because other processes of the hub may log to the same file.
            print(f"{_banner(loaded, port, application)}\n", end="", flush=True)

    try:
        if application is None:
            # Imported here: one process needs neither the cluster nor its HTTP client.
            from hextrackr_server.cluster.processes import serve_in_processes  # noqa: PLC0415

            return serve_in_processes(loaded, print_banner)
        manager = ServiceManager.of(os.environ)
        uvloop.run(application.serve(partial(print_banner, application), manager=manager))
    except OSError as error:
        where = f"cannot listen on {loaded.host} port {loaded.port}"
        raise SettingsError(f"{where}: {_reason(error)}") from error
    return 0


def _is_in_processes(loaded: Settings) -> bool:
    """Return whether the settings require several processes."""
    return loaded.workers > 1 or loaded.cluster_address is not None


def _warnings(loaded: Settings) -> Iterator[str]:
    """Return warnings about settings that are valid, but probably unintended."""
    yield from session_store_warnings(loaded)


def _reason(error: OSError) -> str:
    """Return why the server cannot listen, with the remedy."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have the address; choose another --host"
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"{reason}; choose another --port"


def _development_secret(loaded: Settings) -> bytes:
    """Return the secret in a file next to the database, so that tokens survive a restart.

    Returns the secret of this start if the file cannot be used; opening the database reports why.
    """
    path = loaded.database
    if not path.name:
        return loaded.jwt_secret
    path = path.with_name(path.name + ".dev-secret")
    try:
        if path.parent == Settings().database.parent:
            path.parent.mkdir(exist_ok=True)
        if not path.exists():
            with os.fdopen(
                os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
            ) as file:
                file.write(loaded.jwt_secret.hex().encode())
        secret = path.read_bytes()
    except OSError:
        return loaded.jwt_secret
    return secret if len(secret) >= MINIMUM_SECRET_BYTES else loaded.jwt_secret


def _url(loaded: Settings, port: int) -> str:
    host = f"[{loaded.host}]" if ":" in loaded.host else loaded.host
    return f"{'https' if loaded.ssl_cert_path else 'http'}://{host}:{port}"


def _listening(loaded: Settings, port: int, application: Application) -> dict[str, Any]:
    """Return the content of the banner as fields of a log record."""
    from hextrackr_server.telemetry import log_setup  # noqa: PLC0415

    fields: dict[str, Any] = {"url": _url(loaded, port), "database": str(application.database)}
    if loaded.dev:
        authority = application.services.authority
        shown = log_setup.Shown
        fields["adminToken"] = shown(authority.sign("admin", role="admin"))
        fields["userToken"] = shown(authority.sign("user", role="user"))
        if is_built():
            fields["dashboard"] = shown(f"{fields['url']}/#token={fields['adminToken']}")
    return fields


def _banner(loaded: Settings, port: int, application: Application) -> str:
    url = _url(loaded, port)
    if not loaded.dev:
        return f"HexTrackr listens at {url}, database {application.database}"
    is_program = Path(sys.argv[0]).name.startswith("hextrackr-server")
    program = sys.argv[0] if is_program else "hextrackr-server"
    authority = application.services.authority
    admin = authority.sign("admin", role="admin")
    # The fragment of an address stays in the browser: no log or proxy receives the token.
    dashboard = f"{url}/#token={admin}" if is_built() else f"not built, {build_step()}"
    return "\n".join(
        (
            f"HexTrackr listens at {url}  (development: this machine only)",
            f"  dashboard    {dashboard}",
            f"  playground   {url}/playground",
            f"  database     {application.database}",
            "  tokens       valid for 24 hours, also after a restart",
            f"  admin token  {admin}",
            f"  user token   {authority.sign('user', role='user')}",
            "",
            "Try it from another terminal:",
            f"  {program} sample --rows 20000 sample.csv",
            f"  {program} import sample.csv --url {url} --token {admin}",
            "",
        )
    )

"""The command `python -m socketio_core MODULE:SERVER`: serve in one or more processes.

`workers` starts and connects several processes.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import platform
import signal
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path

from engineio_core.build import describe_build
from engineio_core.http.listener import Tls, run
from engineio_core.ids import MAX_WORKERS
from engineio_core.logs.background import BackgroundHandler
from engineio_core.service_manager import ServiceManager
from engineio_core.signals import FORCED_EXIT, StopSignals
from socketio_core.misuse import check_duration
from socketio_core.reload import (
    WatchfilesMissingError,
    find_watch,
    make_command,
    run_with_reload,
)
from socketio_core.server import SocketServer
from socketio_core.workers.environment import WorkerEnvironment, take_environment
from socketio_core.workers.sockets import open_sockets
from socketio_core.workers.supervisor import Supervisor, run_supervisor
from socketio_core.workers.worker import Worker

MOST_WORKERS = MAX_WORKERS - 16  # a process that has ended keeps its number for a moment


class UsageError(Exception):
    """A command that cannot run; the message names the remedy."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _make_parser().parse_args(given)
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s %(levelname)s %(message)s",
        handlers=[BackgroundHandler()],
    )
    environment = take_environment()
    try:
        _check_webtransport(options)
        if environment is not None:
            return _work(options, environment)
        if options.reload:
            return _reload(options, given)
        if options.workers > 1:
            return _supervise(options, given)
        return _serve(options)
    except (UsageError, OSError, ValueError) as error:
        print(f"socketio_core: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return FORCED_EXIT + signal.SIGINT  # before the server handles signals


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m socketio_core", description="Serve a Socket.IO application."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and build")
    parser.add_argument("application", metavar="MODULE:SERVER", help="for example app:io")
    parser.add_argument("--host", default="127.0.0.1", help="address (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=3000, help="port (default: 3000)")
    parser.add_argument("--path", type=Path, help="file of a Unix socket, instead of host and port")
    parser.add_argument("--workers", type=_read_workers, default=1, help="processes (default: 1)")
    parser.add_argument(
        "--reload", action="store_true",
        help="start again after each change of a Python file, for development (needs watchfiles)",
    )  # fmt: skip
    parser.add_argument(
        "--reload-dir", type=Path, action="append", metavar="FOLDER",
        help="folder to watch instead of the working directory; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--drain", type=_read_drain, metavar="SECONDS",
        help="time over which a process that ends disconnects its clients "
        "(default: 0.02 per client, at most 5)",
    )  # fmt: skip
    parser.add_argument(
        "--webtransport-port", type=int, metavar="PORT",
        help="UDP port of WebTransport, with --certificate and one process",
    )  # fmt: skip
    parser.add_argument("--certificate", type=Path, help="PEM file of the TLS certificate chain")
    parser.add_argument("--key", type=Path, help="PEM file of the TLS key")
    parser.add_argument(
        "--log-level", default="info", choices=("debug", "info", "warning", "error"),
        help="lowest level that is logged (default: info)",
    )  # fmt: skip
    return parser


class _Version(argparse.Action):
    """The option that prints the version, which is read only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(
            f"socketio_core {version('hextrackr-server')} ({describe_build()}), "
            f"Python {platform.python_version()}"
        )
        parser.exit()


def _read_workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MOST_WORKERS}, got {text!r}")
    return int(text)


def _read_drain(text: str) -> float:
    try:
        seconds = float(text)
        check_duration("the time", seconds)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be from 0 to 3600 seconds, got {text!r}") from None
    return seconds


def _reload(options: argparse.Namespace, given: list[str]) -> int:
    folders = options.reload_dir or [Path.cwd()]
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"--reload-dir must name a folder, got {str(folder)!r}")
    try:
        watch = find_watch()
    except WatchfilesMissingError:
        raise UsageError(
            "--reload needs the package watchfiles: run `pip install watchfiles`, or install the "
            "extra 'reload'"
        ) from None
    return run_with_reload(make_command(given), folders, watch)


def _serve(options: argparse.Namespace) -> int:
    io = load_server(options.application)
    manager = ServiceManager.of(os.environ)

    async def serve() -> None:
        reload = manager.during(io.engine.reload_tls)
        async with StopSignals(reload) as signals, manager.watched(), io:
            listener = await io.listen(
                options.host, options.port, path=options.path, ssl=_read_tls(options)
            )
            addresses = [*listener.addresses, *await _listen_webtransport(io, options)]
            _print_addresses(addresses, 1)
            manager.ready()
            await signals.wait()
            manager.stopping()
            await io.shutdown(drain=options.drain)

    run(serve)
    return 0


def _check_webtransport(options: argparse.Namespace) -> None:
    if options.webtransport_port is None:
        return
    if options.certificate is None:
        raise UsageError(
            "--webtransport-port must be used with --certificate and --key: WebTransport always "
            "uses TLS"
        )
    if options.workers > 1:
        raise UsageError(
            f"--webtransport-port must be used with one process, got --workers {options.workers}: "
            "a UDP port cannot pass a client to the worker of its session"
        )


async def _listen_webtransport(io: SocketServer, options: argparse.Namespace) -> tuple[str, ...]:
    """Accept WebTransport if the command requests it; return the addresses. Raises UsageError."""
    tls = _read_tls(options)
    if options.webtransport_port is None or tls is None:
        return ()
    try:
        listener = await io.listen_webtransport(options.host, options.webtransport_port, ssl=tls)
    except RuntimeError as error:  # the extra is not installed
        raise UsageError(str(error)) from error
    return listener.addresses


def _supervise(options: argparse.Namespace, given: list[str]) -> int:
    _read_tls(options)  # an invalid file ends the command before a worker starts
    sockets = open_sockets(options.host, options.port, options.path, options.workers)
    supervisor = Supervisor(
        [sys.executable, "-m", "socketio_core", *given], sockets, options.workers,
        drain=options.drain,
        manager=ServiceManager.of(os.environ),
        on_ready=lambda addresses: _print_addresses(addresses, options.workers),
    )  # fmt: skip
    return run_supervisor(supervisor)


def _work(options: argparse.Namespace, environment: WorkerEnvironment) -> int:
    worker = Worker(environment)
    io = load_server(options.application)
    run(lambda: worker.serve(io, _read_tls(options)))
    return 0


def _read_tls(options: argparse.Namespace) -> Tls | None:
    if options.certificate is None:
        if options.key is not None:
            raise UsageError("--key must be used with --certificate: name both files")
        return None
    return Tls(certificate=options.certificate, key=options.key)


def _print_addresses(addresses: list[str], workers: int) -> None:
    processes = "" if workers == 1 else f" with {workers} workers"
    # One write, because a worker may log to the same file at the same time.
    print(f"Listening on {', '.join(addresses)}{processes}\n", end="", flush=True)


def load_server(name: str) -> SocketServer:
    """Import `module:attribute` and return the server. Raises UsageError."""
    module_name, separator, attribute = name.partition(":")
    if not (separator and module_name and attribute):
        raise UsageError(
            f"the application must be MODULE:SERVER, got {name!r}: for example app:io for "
            "`io = SocketServer()` in app.py"
        )
    if module_name.startswith(".") or "/" in module_name or Path(module_name).suffix == ".py":
        plain = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise UsageError(
            f"the module must be written as in an import statement, got {module_name!r}: use "
            f"{plain}:{attribute}"
        )
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise UsageError(
            f"there is no module {error.name!r}: run the command in the folder of the application"
        ) from None
    servers = [key for key, value in vars(module).items() if isinstance(value, SocketServer)]
    try:
        server = attrgetter(attribute)(module)  # `application.io` is an attribute of an object
    except AttributeError:
        near = get_close_matches(attribute, vars(module), n=1)
        hint = f": use {module_name}:{(servers or near)[0]}" if servers or near else ""
        raise UsageError(f"module {module_name!r} has no attribute {attribute!r}{hint}") from None
    if not isinstance(server, SocketServer):
        hint = f": use {module_name}:{servers[0]}" if servers else ""
        raise UsageError(f"{name} must be a SocketServer, got {server!r:.100}{hint}")
    return server

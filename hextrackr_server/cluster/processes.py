"""The processes of one server: a supervisor, the application, and gateways on the same port."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial

import uvloop

from engineio_core.service_manager import ServiceManager
from engineio_core.signals import StopSignals
from engineio_core.waves import LONGEST_DEFAULT
from hextrackr_server.application import Application
from hextrackr_server.cluster.gateway import GatewayServer
from hextrackr_server.cluster.origin import OriginApplication
from hextrackr_server.cluster.rendezvous import Rendezvous
from hextrackr_server.cluster.standby import Standby
from hextrackr_server.cluster.supervisor import CONFIGURATION, Supervisor, Worker, watch_parent
from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import DatabaseInUseError, SettingsError
from socketio_core.workers.sockets import open_balanced

#: Time for a process to end its work, in addition to the drain time of the settings.
GATEWAY_STOP_SECONDS = 10.0
APPLICATION_STOP_SECONDS = 15.0

Banner = Callable[[Application, int], None]
Ready = Callable[[], None]


def serve_in_processes(settings: Settings, print_banner: Banner) -> int:
    """Run a server in several processes until a signal; return the exit code.

    Raises OSError if the address is not available.
    """
    listening = _open_sockets(settings.host, settings.port, settings.workers)
    port = int(listening[0][0].getsockname()[1])
    rendezvous = Rendezvous.create(settings)
    drain = LONGEST_DEFAULT if settings.shutdown_drain is None else settings.shutdown_drain
    try:
        application = Worker(
            "application",
            partial(_run_application, settings, rendezvous, port, print_banner),
            drain + APPLICATION_STOP_SECONDS,
        )
        gateways = [
            Worker(
                f"gateway {number}",
                partial(
                    _run_gateway, settings, rendezvous, number, [each.fileno() for each in sockets]
                ),
                drain + GATEWAY_STOP_SECONDS,
            )
            for number, sockets in enumerate(listening, 1)
        ]
        manager = ServiceManager.of(os.environ)
        code = Supervisor([[application], gateways], manager).run()
    finally:
        rendezvous.remove()
        for each in itertools.chain.from_iterable(listening):
            each.close()
    return 1 if code == CONFIGURATION else code


def _open_sockets(host: str, port: int, gateways: int) -> list[list[socket.socket]]:
    """Return the listening sockets of each gateway, for each address of a host. Raises OSError.

    The supervisor keeps them open: connections wait while a gateway starts again.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses: list[list[socket.socket]] = []
    for family, _, _, _, address in dict.fromkeys(found):
        # The second address of `localhost` uses the port that the system chose for the first.
        chosen = addresses[0][0].getsockname()[1] if addresses else port
        target = (address[0], chosen, *address[2:])
        addresses.append(open_balanced(family, target, gateways, ipv6_only=True))
    return [[sockets[number % len(sockets)] for sockets in addresses] for number in range(gateways)]


def _run_application(
    settings: Settings, rendezvous: Rendezvous, port: int, print_banner: Banner, ready: Ready
) -> int:
    async def serve() -> None:
        watch_parent(asyncio.get_running_loop(), lambda: os.kill(os.getpid(), signal.SIGTERM))
        manager = ServiceManager.of(os.environ)
        async with manager.watched():
            application = await _become_active(settings, rendezvous, port, ready)
        if application is None:
            return

        def listening(port: int) -> None:
            ready()
            print_banner(application, port)

        await application.serve(listening, is_supervised=True, manager=manager)

    try:
        uvloop.run(serve())
    except SettingsError as error:
        print(f"hextrackr-server: {error}", file=sys.stderr, flush=True)
        return CONFIGURATION
    return 0


async def _become_active(
    settings: Settings, rendezvous: Rendezvous, port: int, ready: Ready
) -> OriginApplication | None:
    """Open the database, after the server that uses it has ended; None after a signal.

    Raises SettingsError. A server that is not part of a cluster does not wait.
    """
    while True:
        try:
            return OriginApplication(settings, rendezvous, port)
        except DatabaseInUseError:
            if settings.cluster_address is None:
                raise
        ready()
        waiting = asyncio.ensure_future(Standby(settings, rendezvous).run())
        async with StopSignals(is_supervised=True) as signals:
            stopping = asyncio.ensure_future(signals.wait())
            try:
                await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    return None
                await waiting
            finally:
                for task in (waiting, stopping):
                    task.cancel()
                await asyncio.gather(waiting, stopping, return_exceptions=True)


def _run_gateway(
    settings: Settings, rendezvous: Rendezvous, number: int, descriptors: list[int], ready: Ready
) -> int:
    async def serve() -> None:
        # Each process needs descriptors of its own: closing a listener closes its descriptor.
        await GatewayServer(settings, rendezvous, number - 1).serve(
            list(map(os.dup, descriptors)), ready
        )

    uvloop.run(serve())
    return 0

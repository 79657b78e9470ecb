"""The processes of one server: a supervisor, the application, and gateways on the same port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial

import uvloop

from hextrackr_server.application import Application
from hextrackr_server.cluster.gateway import GatewayServer
from hextrackr_server.cluster.origin import OriginApplication
from hextrackr_server.cluster.rendezvous import Rendezvous
from hextrackr_server.cluster.supervisor import CONFIGURATION, Supervisor, Worker, watch_parent
from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import SettingsError

#: Connections that wait to be accepted.
BACKLOG = 1024
GATEWAY_STOP_SECONDS = 5.0
#: Time for the application to end its work, in addition to the drain time of the settings.
APPLICATION_STOP_SECONDS = 15.0

Banner = Callable[[Application, int], None]
Ready = Callable[[], None]


def serve_in_processes(settings: Settings, print_banner: Banner) -> int:
    """Run a server in several processes until a signal; return the exit code.

    Raises OSError if the address is not available.
    """
    listening = _open_sockets(settings.host, settings.port)
    port = int(listening[0].getsockname()[1])
    rendezvous = Rendezvous.create()
    try:
        application = Worker(
            "application",
            partial(_run_application, settings, rendezvous, port, print_banner),
            settings.shutdown_drain + APPLICATION_STOP_SECONDS,
        )
        descriptors = [each.fileno() for each in listening]
        gateways = [
            Worker(
                f"gateway {number}",
                partial(_run_gateway, settings, rendezvous, descriptors),
                GATEWAY_STOP_SECONDS,
            )
            for number in range(1, settings.workers + 1)
        ]
        code = Supervisor([[application], gateways]).run()
    finally:
        rendezvous.remove()
        for each in listening:
            each.close()
    return 1 if code == CONFIGURATION else code


def _open_sockets(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets for each address of a host. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    for family, _, _, _, address in dict.fromkeys(found):
        each = socket.socket(family, socket.SOCK_STREAM)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # The second address of `localhost` uses the port that the system chose for the first.
        chosen = sockets[0].getsockname()[1] if sockets else port
        each.bind((address[0], chosen, *address[2:]))
        each.listen(BACKLOG)
        sockets.append(each)
    return sockets


def _run_application(
    settings: Settings, rendezvous: Rendezvous, port: int, print_banner: Banner, ready: Ready
) -> int:
    async def serve() -> None:
        application = OriginApplication(settings, rendezvous, port)
        loop = asyncio.get_running_loop()
        watch_parent(loop, lambda: os.kill(os.getpid(), signal.SIGTERM))

        def listening(port: int) -> None:
            ready()
            print_banner(application, port)

        await application.serve(listening)

    try:
        uvloop.run(serve())
    except SettingsError as error:
        print(f"hextrackr-server: {error}", file=sys.stderr, flush=True)
        return CONFIGURATION
    return 0


def _run_gateway(
    settings: Settings, rendezvous: Rendezvous, descriptors: list[int], ready: Ready
) -> int:
    async def serve() -> None:
        # Each process needs descriptors of its own: closing a listener closes its descriptor.
        await GatewayServer(settings, rendezvous).serve(list(map(os.dup, descriptors)), ready)

    uvloop.run(serve())
    return 0

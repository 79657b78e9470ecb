"""One gateway process: it holds the connections of clients and forwards everything else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from functools import partial

from engineio_core import Engine
from engineio_core.relay.gateway import Gateway
from engineio_core.relay.link import Link
from engineio_core.signals import StopSignals
from hextrackr_server.cluster.http_proxy import HttpProxy
from hextrackr_server.cluster.rendezvous import Rendezvous
from hextrackr_server.cluster.supervisor import watch_parent
from hextrackr_server.config.settings import Settings
from hextrackr_server.sockets.server import create_engine_options, load_tls
from socketio_core.client_files import ClientFiles
from socketio_core.workers.router import Router

#: Seconds in which a gateway that starts accepts no connection without a link; then it answers 503.
LINK_SECONDS = 5.0
#: Seconds after which a gateway that had ended counts as an owner of sessions again.
OWNERS_SECONDS = 0.5


class GatewayServer:
    """The engine of one gateway, its link to the application and its listening sockets."""

    def __init__(self, settings: Settings, rendezvous: Rendezvous, number: int) -> None:
        options = create_engine_options(settings)
        self._settings = settings
        self._rendezvous = rendezvous
        self.engine = Engine(options)
        self.engine._serve_files(ClientFiles(options.path, options.cors).serve)
        self.engine.mount(HttpProxy(rendezvous.http))
        self._gateway = Gateway(self.engine, rendezvous.secret)
        self._router: Router | None = None
        if settings.workers > 1:
            self._router = Router(rendezvous.environment(number), self.engine)

    async def serve(self, descriptors: Sequence[int], on_listening: Callable[[], None]) -> None:
        """Accept connections on inherited listening sockets until SIGINT or SIGTERM."""
        loop = asyncio.get_running_loop()
        connect = partial(_connect, loop, str(self._rendezvous.link))
        link = asyncio.create_task(self._gateway.run(connect), name="link to the application")
        watch_parent(loop, lambda: os.kill(os.getpid(), signal.SIGTERM))
        async with StopSignals(self.engine.reload_tls, is_supervised=True) as signals:
            if self._router is not None:
                self._router.open()
                self._name_owners()
            starting = asyncio.create_task(self._start(descriptors, on_listening))
            stopping = asyncio.create_task(signals.wait())
            try:
                # The application may never start: a signal also ends a gateway without a link.
                await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if starting.done():
                    await starting
                await stopping
            finally:
                for task in (starting, stopping):
                    task.cancel()
                await asyncio.gather(starting, stopping, return_exceptions=True)
                if self._router is not None:
                    self._owners_timer.cancel()
                    self._router.drain()
                self.engine.begin_drain()
                await self._gateway.leave(self._settings.shutdown_drain)
                await self.engine.shutdown()
                if self._router is not None:
                    self._router.close()
                await asyncio.sleep(0)  # the link sends the ends of the sessions first
                link.cancel()

    async def _start(self, descriptors: Sequence[int], on_listening: Callable[[], None]) -> None:
        # Connections have waited for this gateway: it does not refuse them for the moment that the
        # link takes.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINK_SECONDS):
                await self._gateway.linked()
        for descriptor in descriptors:
            await self.engine.listen(fd=descriptor, ssl=load_tls(self._settings))
        await self._gateway.linked()
        on_listening()

    def _name_owners(self) -> None:
        """Expect sessions at all gateways, also at one that had ended and has started again."""
        assert self._router is not None
        numbers = set(range(self._settings.workers))
        self._router.set_workers(numbers, numbers)
        self._owners_timer = asyncio.get_running_loop().call_later(
            OWNERS_SECONDS, self._name_owners
        )


async def _connect(
    loop: asyncio.AbstractEventLoop, path: str, factory: Callable[[], Link]
) -> object:
    return await loop.create_unix_connection(factory, path)

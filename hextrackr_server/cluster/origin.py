"""The application without listening ports: its clients are connected to gateways."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

from sqlalchemy.exc import DBAPIError

from engineio_core.counts import Histogram
from engineio_core.relay.loop_lag import LAG_INTERVAL
from engineio_core.relay.origin import Origin
from hextrackr_server.application import Application
from hextrackr_server.clock import Clock
from hextrackr_server.cluster.rendezvous import Rendezvous
from hextrackr_server.cluster.tunnel import TunnelServer, parse_host_port
from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import SettingsError
from hextrackr_server.storage import active_server
from socketio_core.server_metrics import LAG_BOUNDS, MetricInfo

#: Time for the gateways to connect before the start is reported.
GATEWAYS_SECONDS, POLL_SECONDS = 10.0, 0.02

GATEWAY_LAG = MetricInfo(
    "hextrackr_gateway_event_loop_lag_seconds",
    "histogram",
    f"Delay of a timer that is due every {LAG_INTERVAL} s in each gateway",
    unit="seconds",
)


class OriginApplication(Application):
    """The application of a server with gateways."""

    def __init__(
        self, settings: Settings, rendezvous: Rendezvous, port: int, clock: Clock | None = None
    ) -> None:
        # The gateways apply the trusted proxies, and are the only peers of the Unix socket.
        super().__init__(replace(settings, trusted_proxies=("unix",)), clock)
        self._rendezvous = rendezvous
        self._port = port
        self._links: asyncio.Server | None = None
        self._tunnels = TunnelServer(rendezvous)
        lag = Histogram(LAG_BOUNDS)
        self.origin = Origin(self.io.engine, rendezvous.secret, lag.observe)
        self.context.metrics.gauge("gateways", lambda: self.origin.gateways, "Linked gateways")
        self.context.metrics.group([GATEWAY_LAG], lambda: [(GATEWAY_LAG.name, {}, lag)])

    async def listen(self) -> int:
        """Serve HTTP and links on the Unix sockets; return the port of the gateways.

        Returns when all gateways are linked, or some seconds later. Raises SettingsError if the
        cluster address is not available.
        """
        loop = asyncio.get_running_loop()
        await self.io.listen(path=self._rendezvous.http)
        self._links = await loop.create_unix_server(
            self.origin.make_link, str(self._rendezvous.link)
        )
        if self.settings.cluster_address is not None:
            address = parse_host_port(self.settings.cluster_address)
            try:
                await self._tunnels.listen(address)
            except OSError as error:
                await self.io.shutdown()
                raise SettingsError(
                    f"cannot listen on {address}: {error.strerror or error}; choose another "
                    "HEXTRACKR_CLUSTER_ADDRESS"
                ) from error
            await asyncio.to_thread(active_server.publish, self.database, *address)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATEWAYS_SECONDS):
                # Polling needs no event for a condition that matters only once.
                while self.origin.gateways < self.settings.workers:  # noqa: ASYNC110
                    await asyncio.sleep(POLL_SECONDS)
        return self._port

    def _withdraw(self) -> None:
        with contextlib.suppress(DBAPIError):  # the next active server replaces the address
            active_server.withdraw(self.database)

    async def shutdown(self) -> None:
        """Shut the application down, then the links, over which clients receive the last events."""
        if self._links is not None:
            self._links.close()
            if self.settings.cluster_address is not None:
                await asyncio.to_thread(self._withdraw)
        await super().shutdown()
        await self.origin.stop()
        await self._tunnels.close()
        for _ in range(2):  # uvloop writes at the end of an iteration
            await asyncio.sleep(0)

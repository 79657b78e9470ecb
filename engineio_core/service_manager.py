"""Reports the state of a process to systemd, or to another manager with the same protocol.

Source: sd_notify(3) and sd_watchdog_enabled(3) of systemd 252. Without a manager, nothing is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

logger = logging.getLogger("engineio_core")

#: Parts of the watchdog's time limit in which the process reports once; the manual recommends 2.
REPORTS_PER_LIMIT: Final = 3


class ServiceManager:
    """The manager that started this process.

    `address` is the path of its Unix datagram socket; `@` at the beginning denotes an abstract
    socket. `watchdog` is the number of seconds after which the manager ends a process that does not
    report; 0 switches that off.
    """

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog = watchdog
        self._has_failed = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> ServiceManager:
        """Return the manager that the variables NOTIFY_SOCKET and WATCHDOG_USEC describe."""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return cls()
        limit = environment.get("WATCHDOG_USEC", "")
        process = environment.get("WATCHDOG_PID", "")
        # A child of the main process reports for it: a supervisor has no event loop to watch.
        is_meant = process in {"", str(os.getpid()), str(os.getppid())}
        seconds = int(limit) / 1e6 if limit.isdecimal() and is_meant else 0.0
        return cls(address, seconds)

    def ready(self, status: str = "") -> None:
        """Report that the process serves, after its start or after a reload."""
        self._send("READY=1", f"STATUS={status}" if status else "")

    def reloading(self) -> None:
        """Report that a reload has begun; `ready` reports its end."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the shutdown has begun."""
        self._send("STOPPING=1", "STATUS=draining")

    def during(self, reload: Callable[[], object]) -> Callable[[], None]:
        """Return a function that reloads, and reports the beginning and the end of the reload."""

        def reload_and_report() -> None:
            self.reloading()
            reload()
            self.ready()

        return reload_and_report

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Report as long as the event loop runs callbacks, so that the watchdog does not expire."""
        if not self.watchdog:
            yield
            return
        reporting = asyncio.create_task(self._report(), name="watchdog")
        try:
            yield
        finally:
            reporting.cancel()

    async def _report(self) -> None:
        while True:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog / REPORTS_PER_LIMIT)

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        message = "\n".join(line.replace("\n", " ") for line in lines if line).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(message, self._address)
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                logger.warning("the service manager does not receive reports: %s", error)

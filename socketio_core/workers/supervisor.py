"""Starts the worker processes of a server, restarts them, and ends them.

The supervisor runs no code of the application and reads no byte of a client.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from typing import Final, final

from engineio_core.ids import MAX_WORKERS
from engineio_core.service_manager import ServiceManager
from engineio_core.signals import FORCED_EXIT
from engineio_core.waves import LONGEST_DEFAULT
from socketio_core.workers.control import (
    Answer,
    Bound,
    Peers,
    Ready,
    Yield,
    decode_from_worker,
    encode,
)
from socketio_core.workers.environment import VARIABLE, WorkerEnvironment
from socketio_core.workers.frames import FrameLink, encode_frame
from socketio_core.workers.handover import HandoverSender, Parcel
from socketio_core.workers.session_table import SessionTable

logger = logging.getLogger("socketio_core")

BACK_OFF: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before the restart of a worker, by the number of its previous short lives."""
LONG_LIFE: Final = 30.0
"""Seconds after which the end of a worker does not count as a failed start."""
STOP_LIMIT: Final = 20.0
"""Seconds, in addition to the drain time, after which a worker that must end is killed."""
LINK_LIMIT: Final = 2.0
"""Seconds in which the last messages of an ended worker must be read."""
START_LIMIT: Final = 60.0
"""Seconds in which a replacement must be ready, otherwise the old worker stays."""


@final
class WorkerProcess:
    """One process: its number and generation, and how far it has started."""

    def __init__(self, number: int, generation: int, slot: Slot) -> None:
        self.number = number
        self.generation = generation
        self.slot = slot
        self.process: subprocess.Popen[bytes]
        self.link: FrameLink
        self.started = asyncio.get_running_loop().time()
        self.is_bound = False
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.unlinked = asyncio.Event()  # all messages of the process are read
        self.is_stopping = False
        self.addresses: list[str] = []
        self.tasks: list[asyncio.Task[object]] = []


@final
class Slot:
    """One of the N places of workers: the process that occupies it and its listening socket."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.current: WorkerProcess | None = None
        self.failures = 0
        self.is_redirected = False


@final
class Supervisor:
    """The parent of the workers of one server.

    `command` starts one worker. `listeners` has one listening socket, which all workers share, or
    one for each worker. `drain` is that of `SocketServer.shutdown`. `on_ready(addresses)` is called
    once when all workers accept connections. `manager` receives the states of the server.
    """

    def __init__(
        self,
        command: Sequence[str],
        listeners: Sequence[socket.socket],
        count: int,
        *,
        drain: float | None = None,
        manager: ServiceManager | None = None,
        on_ready: Callable[[list[str]], None],
    ) -> None:
        self._command = list(command)
        self._slots = [Slot(listeners[index % len(listeners)]) for index in range(count)]
        self._shares_socket = len(listeners) < count
        self._drain = drain
        self._manager = manager or ServiceManager()
        self._on_ready = on_ready
        self._cluster = secrets.token_hex(4)
        self._generations = 0
        self._workers: dict[int, WorkerProcess] = {}
        self._senders: dict[int, HandoverSender] = {}
        self._next_taker = 0
        self._is_stopping = False
        self._has_started = False
        self._exit_code = 0
        self._stopped = asyncio.Event()
        self._rolling: asyncio.Task[None] | None = None
        self._directory = ""
        self._lifeline = -1
        self._sessions = SessionTable(self._send, asyncio.get_running_loop)

    async def run(self) -> int:
        """Run the workers until SIGINT or SIGTERM; return the exit code.

        SIGHUP replaces the workers one by one. A second SIGINT or SIGTERM kills the workers; the
        exit code is then 128 plus the number of the signal.
        """
        loop = asyncio.get_running_loop()
        self._directory = tempfile.mkdtemp(prefix="socketio-")
        self._lifeline, writer = os.pipe()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._restart)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        try:
            for slot in self._slots:
                slot.current = self._spawn(slot)
            async with self._manager.watched():
                await self._stopped.wait()
        finally:
            for worker in list(self._workers.values()):
                _kill(worker)
            for worker in list(self._workers.values()):
                worker.process.wait()
            os.close(writer)
            os.close(self._lifeline)
            shutil.rmtree(self._directory, ignore_errors=True)
        return self._exit_code

    # -- one worker

    def _spawn(self, slot: Slot) -> WorkerProcess:
        number = next(n for n in range(MAX_WORKERS) if n not in self._workers)
        worker = WorkerProcess(number, self._generations, slot)
        self._generations += 1
        near, far = socket.socketpair()
        near.setblocking(False)
        with far:
            environment = WorkerEnvironment(
                number=number,
                generation=worker.generation,
                cluster=self._cluster,
                directory=self._directory,
                listener=slot.listener.fileno(),
                control=far.fileno(),
                lifeline=self._lifeline,
                drain=self._drain,
            )
            worker.process = subprocess.Popen(
                self._command,
                env=os.environ | {VARIABLE: environment.encode()},
                pass_fds=(slot.listener.fileno(), far.fileno(), self._lifeline),
                # The signals of a terminal go to the supervisor only.
                start_new_session=True,
            )
        self._workers[number] = worker
        worker.link = FrameLink(
            lambda payload: self._received(worker, payload), worker.unlinked.set
        )
        loop = asyncio.get_running_loop()
        connecting = loop.connect_accepted_socket(lambda: worker.link, near)
        worker.tasks.append(loop.create_task(connecting))
        return worker

    def _reap(self) -> None:
        """Handle the end of worker processes."""
        for worker in list(self._workers.values()):
            if worker.process.poll() is not None and not worker.ended.is_set():
                worker.ended.set()
                worker.tasks.append(asyncio.get_running_loop().create_task(self._ended(worker)))

    def _received(self, worker: WorkerProcess, payload: bytes) -> None:
        match decode_from_worker(payload):
            case Bound():
                worker.is_bound = True
            case Ready(addresses):
                worker.addresses = addresses
                worker.ready.set()
                self._end_redirection(worker.slot)
                logger.info("worker %d is ready (process %d)", worker.number, worker.process.pid)
                self._check_start()
            case message:
                self._sessions.receive(worker.number, message)
                return
        self._publish_peers()

    def _send(self, number: int, message: Yield | Answer) -> None:
        worker = self._workers.get(number)
        if worker is not None:
            worker.link.send(encode_frame(encode(message)))

    def _check_start(self) -> None:
        currents = [slot.current for slot in self._slots if slot.current is not None]
        if not self._has_started and all(worker.ready.is_set() for worker in currents):
            self._has_started = True
            self._on_ready(currents[0].addresses)
            self._manager.ready()

    def _publish_peers(self) -> None:
        bound = [worker for worker in self._workers.values() if worker.is_bound]
        takers = [
            worker.number for worker in bound if worker.ready.is_set() and not worker.is_stopping
        ]
        message = encode_frame(encode(Peers([worker.number for worker in bound], takers)))
        for worker in bound:
            worker.link.send(message)

    async def _ended(self, worker: WorkerProcess) -> None:
        """Start another process in the place of one that has ended."""
        code, slot = worker.process.returncode, worker.slot
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINK_LIMIT):
                await worker.unlinked.wait()
        worker.link.close()
        del self._workers[worker.number]
        sender = self._senders.pop(worker.number, None)
        if sender is not None:
            sender.close()
        self._sessions.worker_ended(worker.number)
        for kind in ("bus", "handover"):
            with contextlib.suppress(OSError):
                os.unlink(f"{self._directory}/{kind}-{worker.number}")
        self._publish_peers()
        if self._is_stopping:
            if self._workers:
                self._redirect(slot)  # workers that drain refuse new clients
            else:
                self._stopped.set()
            return
        if slot.current is not worker:
            return  # replaced
        if not self._has_started:
            logger.error("worker %d ended before it was ready (%s)", worker.number, _how(code))
            self._exit_code = code if code > 0 else 1
            self._stop()
            return
        lifetime = asyncio.get_running_loop().time() - worker.started
        if lifetime >= LONG_LIFE:
            slot.failures = 0
        delay = BACK_OFF[min(slot.failures, len(BACK_OFF) - 1)]
        slot.failures += 1
        logger.error(
            "worker %d ended (%s): starting another one in %g seconds",
            worker.number, _how(code), delay,
        )  # fmt: skip
        self._redirect(slot)
        await asyncio.sleep(delay)
        self._refill(slot, worker)

    def _refill(self, slot: Slot, former: WorkerProcess) -> None:
        """Start a process in a slot, unless that has happened in the meantime."""
        if not self._is_stopping and slot.current is former:
            slot.current = self._spawn(slot)

    # -- connections that wait for a worker that has ended

    def _redirect(self, slot: Slot) -> None:
        """Accept the connections of a slot without a worker, and pass them to the others."""
        if not (self._shares_socket or slot.is_redirected):
            slot.is_redirected = True
            asyncio.get_running_loop().add_reader(slot.listener, self._pass_on, slot)

    def _end_redirection(self, slot: Slot) -> None:
        if slot.is_redirected:
            slot.is_redirected = False
            asyncio.get_running_loop().remove_reader(slot.listener)

    def _pass_on(self, slot: Slot) -> None:
        takers = [
            worker.number
            for worker in self._workers.values()
            if worker.ready.is_set() and (self._is_stopping or not worker.is_stopping)
        ]
        if not takers:
            self._end_redirection(slot)  # the connections wait for the next worker
            return
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _ = slot.listener.accept()
            connection.setblocking(False)
            self._next_taker += 1
            number = takers[self._next_taker % len(takers)]
            sender = self._senders.get(number)
            if sender is None:
                path = f"{self._directory}/handover-{number}"
                sender = HandoverSender(path, lambda parcel: parcel.connection.close())
                self._senders[number] = sender
            sender.send(Parcel(connection, b"", None))

    # -- the end and the replacement of workers

    def _stop(self, number: int = 0) -> None:
        """End all workers; a second signal kills them."""
        if self._is_stopping:
            self._exit_code = FORCED_EXIT + number
            for worker in self._workers.values():
                _kill(worker)
            return
        self._is_stopping = True
        logger.info("ending %d workers", len(self._workers))
        self._manager.stopping()
        if self._rolling is not None:
            self._rolling.cancel()
        if not self._workers:
            self._stopped.set()
        self._terminate(list(self._workers.values()))

    def _terminate(self, workers: list[WorkerProcess]) -> None:
        """Let workers end, and kill those that do not end in time."""
        longest = LONGEST_DEFAULT if self._drain is None else self._drain
        for worker in workers:
            worker.is_stopping = True
        self._publish_peers()  # before the signal: a worker that ends looks for other workers
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                worker.process.terminate()
            asyncio.get_running_loop().call_later(longest + STOP_LIMIT, _kill, worker)

    def _restart(self) -> None:
        """Replace the workers one by one; a restart in progress begins again."""
        if not self._is_stopping:
            if self._rolling is not None:
                self._rolling.cancel()
            self._rolling = asyncio.get_running_loop().create_task(self._replace_all())

    async def _replace_all(self) -> None:
        self._manager.reloading()
        try:
            await self._replace_each()
        finally:
            if not self._is_stopping:
                self._manager.ready()

    async def _replace_each(self) -> None:
        logger.info("replacing %d workers", len(self._slots))
        for slot in self._slots:
            former = slot.current
            worker = self._spawn(slot)
            try:
                is_ready = await _wait_ready(worker)
            except asyncio.CancelledError:
                _kill(worker)
                raise
            if not is_ready:
                logger.error("the new worker is not ready: the old workers stay in use")
                _kill(worker)
                return
            slot.current = worker
            if former is not None and not former.ended.is_set():
                self._terminate([former])
                await former.ended.wait()
        logger.info("all workers are replaced")


async def _wait_ready(worker: WorkerProcess) -> bool:
    """Wait until a worker is ready; return False if it ends before, or takes too long."""
    waits = [asyncio.ensure_future(each.wait()) for each in (worker.ready, worker.ended)]
    try:
        await asyncio.wait(waits, timeout=START_LIMIT, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
    return worker.ready.is_set() and not worker.ended.is_set()


def _kill(worker: WorkerProcess) -> None:
    worker.is_stopping = True
    with contextlib.suppress(ProcessLookupError):
        worker.process.kill()


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def run_supervisor(supervisor: Supervisor) -> int:
    """Run a supervisor to its end; return the exit code."""
    return asyncio.run(supervisor.run())

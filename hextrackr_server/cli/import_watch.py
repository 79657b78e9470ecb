"""Follows an import until its end: live events of the server, and its HTTP API.

Events arrive over Socket.IO. The HTTP API has the final status, and replaces events while there is
no live connection.
"""

from __future__ import annotations

import logging
import queue
import time
from types import TracebackType
from typing import Any, Final, Self

from hextrackr_server.cli.api_client import ApiClient, ShowProgress, UnreachableError
from socketio_core import SocketError
from socketio_core.client import Client, ClientDisconnectReason

#: Time to wait for a server that restarts during an import.
RECONNECT_SECONDS = 120.0
#: Pause between two requests without a live connection.
POLL_SECONDS = 1.0
#: Time without an event after which a request checks the status.
QUIET_SECONDS = 10.0
JOIN_SECONDS = 10.0
_FINAL: Final = frozenset({"completed", "failed", "cancelled"})
_END_EVENTS: Final = ("import-completed", "import-failed", "import-cancelled")


def follow(api: ApiClient, import_id: int, show: ShowProgress) -> dict[str, Any]:
    """Wait until an import has ended, and return its final status.

    If the server restarts, connect again; raise ClientError after RECONNECT_SECONDS.
    """
    seen = time.monotonic()
    percent = 0
    with LiveImport(api, import_id) as live:
        while True:
            status = live.next_status()
            if status is None:
                try:
                    status = api.import_status(import_id)
                except UnreachableError as error:
                    if time.monotonic() - seen > RECONNECT_SECONDS:
                        raise
                    show(percent, "reconnecting", str(error))
                    continue
            if status["status"] in _FINAL:
                return status
            seen, percent = time.monotonic(), status["overall"]
            show(percent, status["status"], status["message"])


class LiveImport:
    """The events of one import, over a connection that is opened again when it is lost."""

    def __init__(self, api: ApiClient, import_id: int) -> None:
        self._import_id = import_id
        # A status, or None: the HTTP API has a newer one
        self._updates: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._is_joined = False
        self._client = Client(
            api.origin,
            path=f"{api.path}/socket.io",
            auth={"token": api.token},
            extra_headers={"Authorization": f"Bearer {api.token}"},
            tls=api.tls,
            trust_env=False,
            reconnection_delay=0.5,
            reconnection_delay_max=2.0,
        )
        self._client.on("connect", self._join)
        self._client.on("disconnect", self._lost)
        self._client.on("import-progress", self._progress)
        for event in _END_EVENTS:
            self._client.on(event, self._ended)

    def __enter__(self) -> Self:
        # The client logs at INFO, which the command does not show; a failure is not an error here,
        # because the HTTP API reports the same.
        logging.getLogger("socketio_core").addHandler(logging.NullHandler())
        self._client.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def next_status(self) -> dict[str, Any] | None:
        """Wait for the next status of the import; None if the HTTP API must be requested."""
        try:
            return self._updates.get(timeout=QUIET_SECONDS if self._is_joined else POLL_SECONDS)
        except queue.Empty:
            return None

    # -- handlers, in the thread of the client

    def _join(self) -> None:
        try:
            answer = self._client.call("join-import-room", self._import_id, timeout=JOIN_SECONDS)
        except SocketError:
            return  # the connection was lost, or the server is busy: the HTTP API replaces events
        if isinstance(answer, dict) and answer.get("success"):
            self._is_joined = True
            self._updates.put(answer["status"])

    def _lost(self, reason: str) -> None:
        self._is_joined = False
        self._updates.put(None)
        if reason == ClientDisconnectReason.IO_SERVER_DISCONNECT:
            self._client.start()  # a server that stops disconnects its clients

    def _progress(self, status: dict[str, Any]) -> None:
        if status.get("importId") == self._import_id:
            self._updates.put(status)

    def _ended(self, end: dict[str, Any]) -> None:
        if end.get("importId") == self._import_id:
            self._updates.put(None)

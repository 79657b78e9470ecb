"""An Engine.IO session over polling, with every request on a connection of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from hextrackr_server.doctor.intermediary import UNSERVED, replaces_server
from hextrackr_server.doctor.target import Answer, Target

_SEPARATOR: Final = "\x1e"
TEXT: Final = {"Content-Type": "text/plain;charset=UTF-8"}


class HandshakeError(Exception):
    """A response that ends a check: it is not a handshake, or not that of a server."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"status {answer.status}")
        self.answer = answer


class PollingSession:
    """A session that `open_session` has opened; `data` are the values of its handshake.

    `keeps_cookies` sends the cookies of the handshake with all later requests.
    """

    def __init__(
        self, target: Target, answer: Answer, data: Mapping[str, Any], *, keeps_cookies: bool
    ) -> None:
        self._target = target
        self.handshake = answer
        self.data = data
        self.sid = str(data.get("sid", ""))
        pairs = [each.partition(";")[0].strip() for each in answer.values("set-cookie")]
        self.headers = {"Cookie": "; ".join(pairs)} if pairs and keeps_cookies else {}

    @property
    def ping_interval(self) -> float:
        """The ping interval in seconds."""
        return interval_of(self.data)

    @property
    def ping_timeout(self) -> float:
        """The ping timeout in seconds."""
        return _milliseconds(self.data, "pingTimeout", 20_000)

    @property
    def maximum_payload(self) -> int:
        """The largest body of a POST in bytes."""
        value = self.data.get("maxPayload")
        return value if isinstance(value, int) and value > 0 else 1_000_000

    def poll(self, seconds: float | None = None) -> Answer:
        """Send a poll, which the server answers when it has a packet."""
        url = self._target.engine_url("polling", self.sid)
        return self._target.request("GET", url, headers=self.headers, seconds=seconds)

    def post(self, packets: str) -> Answer:
        """Send packets: an encoded payload."""
        url = self._target.engine_url("polling", self.sid)
        return self._target.request("POST", url, headers=TEXT | self.headers, body=packets.encode())

    def close(self) -> None:
        """End the session with a close packet."""
        self.post("1")


def open_session(
    target: Target, headers: Mapping[str, str] | None = None, *, keeps_cookies: bool = False
) -> PollingSession:
    """Open a session.

    Raises HandshakeError for another response; OSError or http.client.HTTPException without one.
    """
    answer = target.request("GET", target.engine_url("polling"), headers=headers)
    data = handshake_data(answer.text) if answer.status == 200 else None
    if data is None:
        raise HandshakeError(answer)
    return PollingSession(target, answer, data, keeps_cookies=keeps_cookies)


def examined(answer: Answer) -> Answer:
    """Return a response that decides about its request.

    Raises HandshakeError for the statuses of a limit, and of a proxy without its server.
    """
    if answer.status in UNSERVED:
        raise HandshakeError(answer)
    return answer


def served(answer: Answer) -> Answer:
    """Return the response of a server. Raises HandshakeError for one of a proxy."""
    if replaces_server(answer):
        raise HandshakeError(answer)
    return answer


def handshake_data(text: str) -> dict[str, Any] | None:
    """Return the values of a handshake packet, or None if it is another text."""
    first = text.partition(_SEPARATOR)[0]
    if not first.startswith("0"):
        return None
    try:
        data = json.loads(first[1:])
    except ValueError:
        return None
    return data if isinstance(data, dict) and data.get("sid") else None


def interval_of(data: Mapping[str, Any]) -> float:
    """Return the ping interval of a handshake in seconds."""
    return _milliseconds(data, "pingInterval", 25_000)


def packets_of(answer: Answer) -> list[str]:
    """Return the packets in a response."""
    return answer.text.split(_SEPARATOR)


def _milliseconds(data: Mapping[str, Any], name: str, default: int) -> float:
    value = data.get(name)
    return (value if isinstance(value, int | float) and value > 0 else default) / 1000

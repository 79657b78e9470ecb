"""Checks of idle timeouts: connections without data until the first ping of the server.

A check takes as long as the ping interval. A proxy with a shorter timeout ends the connection
before, each time; a proxy that buffers delays the ping. The end of one connection has other reasons
as well, such as a restart of the server, so that a second connection must end, too.
"""

from __future__ import annotations

import time
from typing import Final

from websockets.exceptions import ConnectionClosed, WebSocketException

from hextrackr_server.doctor.finding import Finding, Level, problem
from hextrackr_server.doctor.polling import (
    handshake_data,
    interval_of,
    open_session,
    packets_of,
    served,
)
from hextrackr_server.doctor.remedies import REMEDIES
from hextrackr_server.doctor.target import Target
from hextrackr_server.doctor.transports import NoResponse

#: Seconds after the ping interval in which the ping must arrive.
_MARGIN: Final = 5.0
_PING: Final = "2"
#: The statuses of a proxy for a timeout; Apache sends 502.
_TIMEOUTS: Final = frozenset({408, 502, 504})
_ENDED: Final = "idle"


def check_idle_websocket(target: Target, ping_interval: float) -> Finding:
    """Wait for the first ping on a WebSocket; its handshake may name another interval."""
    found = _wait_on_websocket(target, ping_interval)
    return _wait_on_websocket(target, ping_interval) if found.code == _ENDED else found


def _wait_on_websocket(target: Target, ping_interval: float) -> Finding:
    check = "idle socket"
    try:
        with target.websocket() as connection:
            data = handshake_data(str(connection.recv(timeout=_MARGIN)))
            ping_interval = interval_of(data) if data else ping_interval
            began = time.monotonic()
            try:
                packet = connection.recv(timeout=ping_interval + _MARGIN)
            except TimeoutError:
                return _no_ping(check, ping_interval)
            except ConnectionClosed:
                return _ended(check, time.monotonic() - began, ping_interval)
            if packet != _PING:
                return Finding(check, Level.NOTE, f"unexpected packet {packet!r}", "unexpected")
            return _arrived(check, time.monotonic() - began)
    except (WebSocketException, *NoResponse):
        return Finding(check, Level.SKIPPED, "no WebSocket is possible", "no-websocket")


def check_idle_poll(target: Target, ping_interval: float) -> Finding:
    """Wait for the first ping in a poll. Raises HandshakeError for the response of a proxy."""
    found = _wait_in_poll(target, ping_interval)
    return _wait_in_poll(target, ping_interval) if found.code == _ENDED else found


def _wait_in_poll(target: Target, ping_interval: float) -> Finding:
    check = "idle poll"
    session = open_session(target, keeps_cookies=True)
    began = time.monotonic()
    try:
        answer = session.poll(ping_interval + _MARGIN)
    except TimeoutError:
        return _no_ping(check, ping_interval)
    except NoResponse:
        return _ended(check, time.monotonic() - began, ping_interval)
    seconds = time.monotonic() - began
    if answer.status == 200 and _PING in packets_of(answer):
        return _arrived(check, seconds)
    if answer.json().get("code") == 1:
        return Finding(check, Level.SKIPPED, "the session is on another server", "no-session")
    if answer.status not in _TIMEOUTS:
        served(answer)
    return _ended(check, seconds, ping_interval, f" with status {answer.status}")


def _arrived(check: str, seconds: float) -> Finding:
    return Finding(check, Level.OK, f"the ping arrived after {seconds:.1f} s")


def _ended(check: str, seconds: float, ping_interval: float, how: str = "") -> Finding:
    message = (
        f"the connection ended after {seconds:.1f} s without data{how}; the server sends a ping "
        f"every {ping_interval:g} s"
    )
    return problem(REMEDIES, check, Level.ERROR, _ENDED, message)


def _no_ping(check: str, ping_interval: float) -> Finding:
    message = f"no ping arrived within {ping_interval + _MARGIN:g} s"
    return problem(REMEDIES, check, Level.ERROR, "no-ping", message)

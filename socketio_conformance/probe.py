"""Asks a server what it is, so that it is given the dialogues that it can hold.

Knows: where the two echo profiles live, and by what a target tells its features.
Does not know: dialogues.
"""

from __future__ import annotations

import asyncio
import json
from typing import NamedTuple

from .dialogue import Dialogue
from .http_connection import Address, Cut, HttpConnection, Response, encode_request

PATHS = {"engineio": "/engine.io/", "socketio": "/socket.io/"}
WITHIN = 5.0
# A close that is expected must not come from a heartbeat that went wrong.
LONG_HEARTBEAT = 10_000
SHORT_HEARTBEAT = 1_000
HEADER = "x-echo-profile"


class Endpoint(NamedTuple):
    """One protocol that a target speaks, and what else it has."""

    address: Address
    subject: str
    path: str
    features: frozenset[str]

    def lacks(self, dialogue: Dialogue) -> str | None:
        """Say why a dialogue can't be played here, or None."""
        if dialogue.subject != self.subject:
            return f"a server of {dialogue.subject}"
        needs = dialogue.needs
        if not needs & {"short-heartbeat"} and "long-heartbeat" not in self.features:
            return f"a heartbeat of {LONG_HEARTBEAT // 1000} s or more"
        if "recovery" in self.features and "recovery" not in needs:
            return "a server without recovery"
        missing = sorted(needs - self.features)
        return missing[0] if missing else None


class NoServer(Exception):
    """Nothing at the URL speaks Engine.IO."""


async def probe(url: str) -> list[Endpoint]:
    """Return what is at a URL. Raises NoServer, or ValueError for what is no URL."""
    address = Address.of(url)
    found = []
    for subject, path in PATHS.items():
        endpoint = await _probe_path(address, subject, path)
        if endpoint is not None:
            found.append(endpoint)
    if not found:
        raise NoServer(f"no Engine.IO at {url}, below {' or '.join(PATHS.values())}")
    return found


async def _probe_path(address: Address, subject: str, path: str) -> Endpoint | None:
    target = f"{path}?EIO=4&transport=polling"
    response = await _fetch(address, "GET", target)
    packet = response.body.split(b"\x1e")[0].decode(errors="replace")
    if response.status != 200 or not packet.startswith("0{"):
        return None
    handshake = json.loads(packet[1:])
    features = set(response.headers.get(HEADER, "").replace(",", " ").split())
    if handshake["pingInterval"] >= LONG_HEARTBEAT:
        features.add("long-heartbeat")
    if handshake["pingInterval"] <= SHORT_HEARTBEAT:
        features.add("short-heartbeat")
    target += f"&sid={handshake['sid']}"
    if subject == "socketio":
        await _fetch(address, "POST", target, b"40")
        if b'"pid"' in (await _fetch(address, "GET", target)).body:
            features.add("recovery")
    await _fetch(address, "POST", target, b"1")
    return Endpoint(address, subject, path, frozenset(features))


async def _fetch(address: Address, method: str, target: str, body: bytes | None = None) -> Response:
    try:
        connection = await HttpConnection.open(address)
    except OSError as error:
        raise NoServer(f"{address.host_header} can't be reached: {error}") from None
    try:
        connection.write(encode_request(method, target, address.host_header, {}, body))
        connection.expect(method, target)
        return await asyncio.wait_for(connection.response(), WITHIN)
    except (Cut, TimeoutError) as error:
        raise NoServer(f"{address.host_header} did not answer: {error}") from None
    finally:
        connection.close()

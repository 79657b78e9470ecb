"""Detects the protocols and features of a server, which select its dialogues."""

from __future__ import annotations

import asyncio
import json
import re
from typing import NamedTuple

from .dialogue import Dialogue
from .http_connection import Address, ConnectionCutError, HttpConnection, Response, encode_request

PATHS = {"engineio": "/engine.io/", "socketio": "/socket.io/"}
WITHIN = 15.0
# With a shorter interval, the heartbeat could cause a close that a dialogue expects for another
# reason.
LONG_HEARTBEAT = 10_000
SHORT_HEARTBEAT = 1_000
HEADER = "x-echo-profile"
# The open packet of revision 3, behind its length
_OLD_OPEN = re.compile(rb'[0-9]+:0\{"sid":"([^"]+)"')


class Endpoint(NamedTuple):
    """One protocol of a target, and its features."""

    address: Address
    subject: str
    path: str
    features: frozenset[str]
    ping_interval: int = LONG_HEARTBEAT
    """Milliseconds, from the handshake."""
    ping_timeout: int = LONG_HEARTBEAT

    def describe(self) -> str:
        """Return the protocol, the URL, the heartbeat and the features in one line."""
        features = sorted(self.features - {"long-heartbeat", "short-heartbeat"})
        return (
            f"{self.subject} at {self.address.host_header}{self.path}: "
            f"heartbeat {self.ping_interval} ms + {self.ping_timeout} ms, "
            f"features: {', '.join(features) or 'none'}"
        )

    def lacks(self, dialogue: Dialogue) -> str | None:
        """Return the missing feature for a dialogue, or None."""
        if dialogue.subject != self.subject:
            return f"a server of {dialogue.subject}"
        needs = dialogue.needs
        if not needs & {"short-heartbeat"} and "long-heartbeat" not in self.features:
            return (
                f"a heartbeat of {LONG_HEARTBEAT // 1000} s or more, got "
                f"{self.ping_interval / 1000:g} s"
            )
        for feature in ("recovery", "checked-recovery", "eio3"):
            if feature in self.features and feature not in needs:
                return f"a server without {feature}"
        missing = sorted(needs - self.features)
        return missing[0] if missing else None


def heartbeat_advice(endpoints: list[Endpoint]) -> list[str]:
    """Return one line for each protocol without a server that has a long heartbeat."""
    subjects = {each.subject for each in endpoints}
    subjects -= {each.subject for each in endpoints if "long-heartbeat" in each.features}
    return [
        f"most dialogues of {subject} need a longer heartbeat: "
        f"start the server with a pingInterval of {LONG_HEARTBEAT} ms or more"
        for subject in sorted(subjects)
    ]


class NoServerError(Exception):
    """The absence of an Engine.IO server at a URL."""


async def probe(url: str) -> list[Endpoint]:
    """Return the endpoints at a URL. Raises NoServerError, or ValueError for an invalid URL."""
    address = Address.of(url)
    found = []
    for subject, path in PATHS.items():
        endpoint = await _probe_path(address, subject, path)
        if endpoint is not None:
            found.append(endpoint)
    if not found:
        raise NoServerError(f"no Engine.IO at {url}, below {' or '.join(PATHS.values())}")
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
    if await _accepts_revision_3(address, path):
        features.add("eio3")
    return Endpoint(
        address,
        subject,
        path,
        frozenset(features),
        handshake["pingInterval"],
        handshake["pingTimeout"],
    )


async def _accepts_revision_3(address: Address, path: str) -> bool:
    target = f"{path}?EIO=3&transport=polling"
    response = await _fetch(address, "GET", target)
    opened = _OLD_OPEN.match(response.body)
    if response.status != 200 or opened is None:
        return False
    await _fetch(address, "POST", f"{target}&sid={opened[1].decode()}", b"1:1")
    return True


async def _fetch(address: Address, method: str, target: str, body: bytes | None = None) -> Response:
    try:
        connection = await HttpConnection.open(address)
    except OSError as error:
        raise NoServerError(f"cannot connect to {address.host_header}: {error}") from None
    try:
        connection.write(encode_request(method, target, address.host_header, {}, body))
        connection.expect(method, target)
        return await asyncio.wait_for(connection.response(), WITHIN)
    except (ConnectionCutError, TimeoutError) as error:
        raise NoServerError(f"{address.host_header} did not answer: {error}") from None
    finally:
        connection.close()

"""Captured messages of the official adapters, and a link to Redis that records commands."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from socketio_core.adapters.redis.factory import RedisFactory

VECTORS = Path(__file__).parent / "vectors"


class Captured(NamedTuple):
    """One message that an official adapter or emitter published."""

    name: str
    channel: str
    payload: bytes
    value: Any
    """The decoded value of MessagePack; None for JSON, whose text is the value."""


def load(name: str) -> list[Captured]:
    """Return the captured messages of a file in `vectors`."""
    found = []
    for each in json.loads((VECTORS / f"{name}.json").read_text("utf-8"))["messages"]:
        if "base64" in each:
            payload, value = base64.b64decode(each["base64"]), restore(each["value"])
        else:
            payload, value = each["text"].encode(), None
        found.append(Captured(each["name"], each["channel"], payload, value))
    return found


def load_uid(name: str) -> str:
    """Return the uid of the sender in a file in `vectors`."""
    uid: str = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))["uid"]
    return uid


def restore(value: Any) -> Any:
    """Return a value with its bytes, dates and special numbers."""
    if isinstance(value, list):
        return [restore(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {"$bytes"}:
            return base64.b64decode(value["$bytes"])
        if set(value) == {"$date"}:
            return datetime.fromisoformat(value["$date"])
        if set(value) == {"$float"}:
            return float(value["$float"])
        return {key: restore(item) for key, item in value.items()}
    return value


class FakeLink:
    """The interface of RedisLink: records published messages, and delivers those of tests."""

    def __init__(self, servers: int = 2) -> None:
        self.connected = True
        self.since = 0.0
        self.error = ""
        self.queued_bytes = self.published = self.dropped = 0
        self.sent: list[tuple[str, bytes]] = []
        self.servers: int | None = servers
        self.handlers: dict[tuple[str, str], Callable[[bytes, bytes], None]] = {}

    def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def publish(self, command: bytes, channel: bytes, payload: bytes) -> None:
        self.sent.append((channel.decode(), payload))

    def query(self, on_reply: Callable[[Any], None], *args: bytes) -> None:
        on_reply(None if self.servers is None else [args[-1], self.servers])

    def subscribe(
        self, command: bytes, channels: Iterable[bytes], handler: Callable[[bytes, bytes], None]
    ) -> None:
        for channel in channels:
            self.handlers[command.decode(), channel.decode()] = handler

    def unsubscribe(self, command: bytes, channels: Iterable[bytes]) -> None:
        for channel in channels:
            del self.handlers[command.decode(), channel.decode()]

    def deliver(self, channel: str, payload: bytes) -> None:
        """Deliver a message to the handlers of its channel."""
        for (command, name), handler in list(self.handlers.items()):
            is_match = name == channel
            if command == "PSUBSCRIBE":
                is_match = channel.startswith(re.sub(r"\\(.)", r"\1", name[:-1]))
            if is_match:
                handler(channel.encode(), payload)


def use_fake_link(factory: RedisFactory, uid: str, *, servers: int = 2) -> FakeLink:
    """Replace the link and the uid of a factory that has no adapters yet."""
    link = FakeLink(servers)
    replaced: Any = factory
    replaced.link = replaced.broker = link
    replaced.make_uid = lambda: uid
    return link

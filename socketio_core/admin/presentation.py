"""Sockets and event arguments as the admin UI shows them: bounded, without known secrets.

Clients choose most of these values, so that each has a limit. `watcher` and `instrument` send them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final, final

import msgspec

from socketio_core.remote_socket import ADMIN_KEY, read_admin_entry

MAX_ARGUMENTS: Final = 32 * 1024
"""The size of the arguments of an event, in characters and bytes, that are shown unchanged."""
MAX_DATA: Final = 16 * 1024
MAX_TEXT: Final = 512
"""The length of a header, a value of the query and the URL."""
MAX_ENTRIES: Final = 100
MAX_DEPTH: Final = 8
MAX_ATTACHMENTS: Final = 10  # more are a parse error of the official client
HIDDEN: Final = "(hidden)"

# Names of headers and of values of the query that may be credentials.
_SECRET: Final = re.compile(r"auth|cookie|token|secret|passw|credential|session|jwt|key", re.I)
_CUT: Final = "..."
_Bytes: Final = (bytes, bytearray, memoryview)


def client_id(sid: str) -> str:
    """Return the ID of a session for the UI: it identifies the sid, which is a secret.

    Node shows the first 12 characters of the sid.
    """
    return hashlib.sha256(sid.encode()).hexdigest()[:12]


def admin_entry(socket: Any) -> dict[str, str]:
    """Return what other servers with an admin UI need of a socket: Node's `data._admin`."""
    session = socket.session
    return {"clientId": client_id(session.sid), "transport": session.transport.name}


def fetched_data(socket: Any) -> Any:
    """Return the data of a socket for other servers: with the entry of the admin UI."""
    data = socket.data
    if not isinstance(data, dict):
        data = _as_mapping(data)
        if data is None:  # an array, or a value that Node's UI cannot extend either
            return socket.data
    return {**data, ADMIN_KEY: admin_entry(socket)}


def describe_local(socket: Any, namespace: str) -> dict[str, Any]:
    """Return a socket of this server as the UI expects it."""
    return _describe(
        socket.id, namespace, admin_entry(socket), socket.data, socket.handshake, socket.rooms
    )


def describe_remote(state: Any, namespace: str) -> dict[str, Any]:
    """Return a socket of another server, a `RemoteState`, as the UI expects it."""
    data, entry = read_admin_entry(state.data)
    return _describe(state.id, namespace, entry, data, _Fields(state.handshake), state.rooms)


def _describe(
    socket_id: str,
    namespace: str,
    entry: Mapping[str, Any],
    data: Any,
    handshake: Any,
    rooms: Iterable[str],
) -> dict[str, Any]:
    query = _texts(handshake.query)
    url = str(handshake.url)
    if HIDDEN in query.values():
        url = f"{url.partition('?')[0]}?{HIDDEN}"
    return {
        "id": socket_id,
        **{key: _cut(entry[key]) for key in ("clientId", "transport") if key in entry},
        "nsp": namespace,
        "data": present(data),
        "handshake": {
            "address": _cut(handshake.address),
            "headers": _texts(handshake.headers),
            "query": query,
            "issued": handshake.issued,
            "secure": handshake.secure,
            "time": _cut(handshake.time),
            "url": _cut(url),
            "xdomain": handshake.xdomain,
        },
        "rooms": list(rooms)[:MAX_ENTRIES],
    }


@final
class _Fields:
    """The handshake of a socket of another server; an absent field is an empty text."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        value = self._values.get(name, "")
        if name in {"headers", "query"}:
            return value if isinstance(value, dict) else {}
        if name == "issued":
            return value if isinstance(value, int) else 0
        return value is True if name in {"secure", "xdomain"} else value


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return headers or a query; the values of names that may be secrets are hidden."""
    shown = {}
    for name, value in list(values.items())[:MAX_ENTRIES]:
        name = _cut(name)
        is_secret = _SECRET.search(name) is not None and not name.startswith("sec-websocket-")
        shown[name] = HIDDEN if is_secret else _cut(value)
    return shown


def _cut(value: Any, limit: int = MAX_TEXT) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= limit else text[:limit] + _CUT


# -- event arguments


def show_arguments(args: list[Any]) -> list[Any]:
    """Return an event, `[name, *arguments]`, for the UI: unchanged if it is small."""
    return args if _is_small(args) else [_cut(args[0]), *present(args[1:])]


def _is_small(value: Any) -> bool:
    """Return whether a value has at most `MAX_ARGUMENTS` characters and bytes."""
    left = MAX_ARGUMENTS
    attachments = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        left -= 8
        if isinstance(item, str):
            left -= len(item)
        elif isinstance(item, _Bytes):
            left -= len(item)
            attachments += 1
        elif isinstance(item, Mapping):
            if len(item) > left:
                return False
            waiting.extend(item.values())
            left -= sum(len(key) for key in item if isinstance(key, str))
        elif isinstance(item, list | tuple | set | frozenset):
            if len(item) > left:
                return False
            waiting.extend(item)
        if left < 0 or attachments > MAX_ATTACHMENTS:
            return False
    return True


# -- values of the application


def present(value: Any, limit: int = MAX_DATA) -> Any:
    """Return a copy of any value that can be sent, of about `limit` characters at most.

    Binary data becomes its size; an object of an unknown class becomes the name of the class.
    """
    return _Presenter(limit).show(value, 0)


@final
class _Presenter:
    def __init__(self, limit: int) -> None:
        self._left = limit

    def show(self, value: Any, depth: int) -> Any:
        self._left -= 8
        if self._left < 0 or depth > MAX_DEPTH:
            return _CUT
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, Enum):
            return self.show(value.value, depth)
        if isinstance(value, int):
            return value if abs(value) < 2**53 else _cut(hex(value))
        if isinstance(value, str):
            text = _cut(value, max(0, self._left))
            self._left -= len(text)
            return text
        if isinstance(value, _Bytes):
            return f"({len(value)} bytes)"
        if isinstance(value, datetime):
            return value.isoformat()
        return self._show_container(value, depth)

    def _show_container(self, value: Any, depth: int) -> Any:
        entries: Any = value if isinstance(value, Mapping) else _as_mapping(value)
        if entries is not None:
            shown = {}
            for key in list(entries)[:MAX_ENTRIES]:
                shown[self.show(str(key), depth)] = self.show(entries[key], depth + 1)
                if self._left < 0:
                    break
            return shown
        if isinstance(value, list | tuple | set | frozenset):
            items = list(value)[:MAX_ENTRIES]
            more = [f"({len(value) - MAX_ENTRIES} more)"] if len(value) > MAX_ENTRIES else []
            return [self.show(each, depth + 1) for each in items] + more
        return f"<{type(value).__name__}>"


def _as_mapping(value: Any) -> dict[str, Any] | None:
    """Return the fields of a dataclass or a Struct; None for other values."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name, None) for each in dataclasses.fields(value)}
    return None

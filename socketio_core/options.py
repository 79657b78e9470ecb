"""The options of a Socket.IO server, in addition to those of its engine.

Each option has its unit, default and check here. Durations are in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engineio_core.field_docs import document_fields
from engineio_core.option_names import OTHER_OPTIONS as ENGINE_OPTIONS
from engineio_core.option_names import check_keywords
from engineio_core.options import check_at_least, check_bool, check_instance, check_seconds
from socketio_core.adapters.interface import AdapterFactory
from socketio_core.codec.json_codec import JsonParser
from socketio_core.codec.packet import Parser
from socketio_core.errors import AckError, PayloadValidationError
from socketio_core.handshake import Handshake
from socketio_core.misuse import LONGEST_DURATION, check_callback, check_duration, check_parser


@document_fields
@check_keywords()
@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Connection state recovery: a client that reconnects in time gets its session back.

    The session consists of the socket id, rooms, `socket.data` and the events missed meanwhile.
    """

    max_disconnection_duration: float = 120.0
    """Seconds within which a client must reconnect, a day at most."""

    skip_middlewares: bool = True
    """Whether the middlewares of `use` do not run for a recovered socket; see `still_valid`."""

    max_sessions: int = 10_000
    """The number of sessions that a namespace keeps; the oldest is dropped first."""

    max_packets: int = 10_000
    """The number of events that a namespace keeps; the oldest is dropped first."""

    max_bytes: int = 32 * 1024 * 1024
    """The size of the events that a namespace keeps; the oldest is dropped first. A client whose
    missed events exceed `max_outbox_size` gets a new session."""

    still_valid: Callable[[dict[str, Any]], bool] | None = None
    """A plain function that receives the `socket.data` of the session to be restored. If the
    result is false, for example because the user was blocked, the client gets a new session."""

    offered_to: Callable[[Handshake], bool] | None = None
    """A plain function that decides by the handshake whether a client gets recovery; None: all
    clients do. A client without recovery receives no offsets: each offset is an additional last
    argument of an event, which only the official JavaScript client removes."""

    def __post_init__(self) -> None:
        name = "max_disconnection_duration"
        check_seconds(name, self.max_disconnection_duration)
        check_duration(name, self.max_disconnection_duration, LONGEST_DURATION)
        check_bool("skip_middlewares", self.skip_middlewares)
        if self.still_valid is not None:
            check_callback(
                "still_valid", self.still_valid, ("data",),
                sync_remedy="decide by values in socket.data, or set skip_middlewares=False and "
                "decide in a middleware",
            )  # fmt: skip
        if self.offered_to is not None:
            check_callback(
                "offered_to", self.offered_to, ("handshake",),
                sync_remedy="decide by the headers, the query or the auth data of the handshake",
            )  # fmt: skip
        for name in ("max_sessions", "max_packets", "max_bytes"):
            check_at_least(name, getattr(self, name), 1)


# Options of other servers whose name or form differs here, with the replacement.
OTHER_OPTIONS: Final[Mapping[str, str]] = {
    **ENGINE_OPTIONS,
    # socket.io on Node
    "connection_state_recovery": "use recovery=Recovery(...)",
    # python-socketio
    "always_connect": "remove it, middlewares (io.use) run before a client is connected",
    "async_handlers": "remove it; if it was False, use serialize_handlers=True",
    "client_manager": "use adapter=RedisClassic(url), or another adapter for several servers",
    "json": "use parser=JsonParser(...)",
    "logger": 'remove it and configure logging.getLogger("socketio_core")',
    "namespaces": "remove it and register handlers with io.of(name)",
    "socketio_path": "use path",
    "serializer": "use parser=JsonParser() or parser=MsgpackParser()",
}


def default_error_ack(error: BaseException) -> dict[str, Any]:
    """Return the ack of a failed event: `{"success": False, "error": text, "code": code}`.

    The ack of an AckError includes its `data`, that of invalid arguments their `fields`. The text
    of any other exception is not sent.
    """
    if isinstance(error, AckError):
        extra = error.data if isinstance(error.data, dict) else {}
        if error.data is not None and not extra:
            extra = {"data": error.data}
        return {"success": False, "error": error.message, "code": error.code, **extra}
    if isinstance(error, PayloadValidationError):
        return {
            "success": False,
            "error": error.message,
            "code": "VALIDATION_ERROR",
            "fields": error.fields,
        }
    return {"success": False, "error": "internal error", "code": "HANDLER_ERROR"}


@document_fields
@check_keywords(OTHER_OPTIONS)
@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Options of a Socket.IO server, in addition to `EngineOptions`. Durations are in seconds."""

    connect_timeout: float = 45.0
    """Seconds within which a client must join a namespace, else its connection is closed."""

    serve_client: bool = True
    """Whether the server serves the bundles of the official client below `path`."""

    parser: Parser = field(default_factory=JsonParser)
    """The codec of packets; clients must use the same one."""

    recovery: Recovery | None = None
    """Connection state recovery; None turns it off."""

    adapter: AdapterFactory | None = None
    """The connection to the other servers of a cluster, such as `RedisSharded(url)`; None: a single
    server. Each server needs an object of its own."""

    cleanup_empty_child_namespaces: bool = False
    """Whether a namespace made by `of(pattern)` is removed when its last socket leaves."""

    serialize_handlers: bool = False
    """Whether an event waits until the handler of the previous event of its socket has ended.

    If the client leaves, the handlers of all its received events run first, then "disconnect"."""

    handler_timeout: float | None = None
    """Seconds after which a handler is canceled, a day at most; None disables the limit."""

    max_pending_handlers: int = 256
    """The number of suspended handlers per connection; above it the server stops reading."""

    max_namespaces: int = 64
    """The number of namespaces that one connection may join."""

    max_child_namespaces: int = 10_000
    """The number of namespaces that one `of(pattern)` makes for clients."""

    refused_timeout: float = 10.0
    """Seconds that a refused client may stay connected without joining a namespace."""

    error_ack: Callable[[BaseException], Any] = default_error_ack
    """A plain function that returns the ack of a failed event."""

    def __post_init__(self) -> None:
        check_instance("recovery", self.recovery, Recovery)
        check_parser(self.parser)
        if self.adapter is not None:
            check_adapter(self.adapter)
        check_callback(
            "error_ack", self.error_ack, ("error",),
            sync_remedy="the ack is sent at once, so compute it without await",
        )  # fmt: skip
        for name, longest in _DURATIONS.items():
            if name != "handler_timeout" or self.handler_timeout is not None:
                check_seconds(name, getattr(self, name))
                check_duration(name, getattr(self, name), longest)
        for name in ("serve_client", "cleanup_empty_child_namespaces", "serialize_handlers"):
            check_bool(name, getattr(self, name))
        for name in ("max_pending_handlers", "max_namespaces", "max_child_namespaces"):
            check_at_least(name, getattr(self, name), 1)


def check_adapter(adapter: Any) -> None:
    """Raise TypeError for an object without the methods of an `AdapterFactory`."""
    if isinstance(adapter, type) or not all(
        callable(getattr(adapter, name, None)) for name in ("create", "start", "close", "status")
    ):
        raise TypeError(
            f"adapter must be an object such as RedisSharded(url), got {adapter!r}: create one "
            "for each server"
        )


_DURATIONS: Final = {
    "connect_timeout": 3600.0,
    "refused_timeout": 3600.0,
    "handler_timeout": LONGEST_DURATION,
}

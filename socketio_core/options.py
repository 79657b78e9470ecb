"""The options of a Socket.IO server, beside those of its engine.

Knows: which values make sense.  Does not know: who obeys them. Durations are in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engineio_core import options as engine_options
from engineio_core.options import check_at_least, check_instance, check_seconds
from socketio_core.codec.json_codec import JsonParser
from socketio_core.codec.packet import Parser
from socketio_core.errors import AckError, PayloadValidationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Connection state recovery: what a client that comes back within a time is given again.

    `max_disconnection_duration` in seconds; `skip_middlewares` for a recovered socket (see
    `still_valid`); `max_sessions`, `max_packets` and `max_bytes` bound what a namespace keeps,
    the oldest goes first; `still_valid(data)` is asked with the `socket.data` of the session that
    is about to be restored: False (say, a revoked principal) makes it a new one.
    """

    max_disconnection_duration: float = 120.0
    skip_middlewares: bool = True
    max_sessions: int = 10_000
    max_packets: int = 10_000
    max_bytes: int = 32 * 1024 * 1024
    still_valid: Callable[[dict[str, Any]], bool] | None = None

    def __post_init__(self) -> None:
        check_seconds("max_disconnection_duration", self.max_disconnection_duration)
        for name in ("max_sessions", "max_packets", "max_bytes"):
            check_at_least(name, getattr(self, name), 1)


# Options of other servers whose name or form differs here, with the replacement.
OTHER_OPTIONS: Final[Mapping[str, str]] = {
    **engine_options.OTHER_OPTIONS,
    # socket.io on Node
    "connection_state_recovery": "use recovery=Recovery(...)",
    # python-socketio
    "always_connect": "remove it, middlewares (io.use) run before a client is connected",
    "client_manager": "remove it, one server process serves all clients",
    "json": "use parser=JsonParser(...)",
    "logger": 'remove it and configure logging.getLogger("socketio_core")',
    "namespaces": "remove it and register handlers with io.of(name)",
    "serializer": "use parser=JsonParser() or parser=MsgpackParser()",
}


def default_error_ack(error: BaseException) -> dict[str, Any]:
    """Return what a client is acked when its event failed.

    `{"success": False, "error": text, "code": code}`, with the `data` of an AckError, or the
    `fields` of a payload that does not fit. No other exception tells the client its text.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Every option of a Socket.IO server; those of `EngineOptions` are given beside them.

    Durations are seconds.

    From Node's server: `connect_timeout` (a client that has joined no namespace by then is
    closed), `serve_client` (the official client's bundles, below the path), `parser`,
    `recovery` (off by default), `cleanup_empty_child_namespaces`.

    Of ours: `serialize_handlers` (one handler at a time for each socket), `handler_timeout` (a
    handler that runs longer is cancelled; None: never), `max_pending_handlers` (of one
    connection; above it nothing more is read from it), `max_namespaces` (of one connection),
    `max_child_namespaces` (of one parent; above it no more are made for clients),
    `refused_timeout` (how long a client may stay that was refused and is in no namespace),
    `error_ack` (what a failed event is acked with).
    """

    connect_timeout: float = 45.0
    serve_client: bool = True
    parser: Parser = field(default_factory=JsonParser)
    recovery: Recovery | None = None
    cleanup_empty_child_namespaces: bool = False

    serialize_handlers: bool = False
    handler_timeout: float | None = None
    max_pending_handlers: int = 256
    max_namespaces: int = 64
    max_child_namespaces: int = 10_000
    refused_timeout: float = 10.0
    error_ack: Callable[[BaseException], Any] = default_error_ack

    def __post_init__(self) -> None:
        check_instance("recovery", self.recovery, Recovery)
        if isinstance(self.parser, type) or not hasattr(self.parser, "decoder"):
            raise TypeError(f"parser is an object like MsgpackParser(), not {self.parser!r}")
        check_seconds("connect_timeout", self.connect_timeout)
        check_seconds("refused_timeout", self.refused_timeout)
        if self.handler_timeout is not None:
            check_seconds("handler_timeout", self.handler_timeout)
        for name in ("max_pending_handlers", "max_namespaces", "max_child_namespaces"):
            check_at_least(name, getattr(self, name), 1)

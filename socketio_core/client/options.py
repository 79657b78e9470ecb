"""The options of a Socket.IO client, in addition to those of its connection.

Each option has its unit, default and check here. Durations are in seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeAlias

from engineio_core.callbacks import require_function_or_coroutine_function
from engineio_core.client.options import OTHER_CLIENT_OPTIONS, EngineClientOptions
from engineio_core.field_docs import document_fields
from engineio_core.option_names import check_keywords, check_option_names
from engineio_core.options import check_at_least, check_bool, check_seconds
from socketio_core.codec.json_codec import JsonParser
from socketio_core.codec.packet import Parser
from socketio_core.misuse import check_parser

Auth: TypeAlias = (
    Mapping[str, Any]
    | Callable[[], Mapping[str, Any] | None]
    | Callable[[], Awaitable[Mapping[str, Any] | None]]
    | None
)

#: Options of other clients whose name or form differs here, with the replacement.
OTHER_OPTIONS: Final[Mapping[str, str]] = {
    **OTHER_CLIENT_OPTIONS,
    # socket.io-client on Node
    "auto_connect": "remove it, connect() or start() connects",
    "multiplex": "remove it and call of(name) for other namespaces",
    # python-socketio
    "request_timeout": "use timeout, or request_timeout for one POST",
    "serializer": "use parser=JsonParser() or parser=MsgpackParser()",
    "socketio_path": "use path",
    "namespaces": "remove it and call of(name)",
    "headers": "use extra_headers",
    "wait_timeout": "pass timeout=... to connect()",
    "retry": "pass it to connect()",
}


@document_fields
@check_keywords(OTHER_OPTIONS)
@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """Options of a Socket.IO client."""

    auth: Auth = None
    """The data of the CONNECT packet of each namespace: a dict, or a function that the client calls
    at each connection, which may be async."""

    reconnection: bool = True
    """Whether to connect again after a lost connection."""

    reconnection_attempts: int | None = None
    """Number of attempts; None: no limit."""

    reconnection_delay: float = 1.0
    """Delay before the first attempt; it doubles with each attempt."""

    reconnection_delay_max: float = 5.0
    """Longest delay between two attempts."""

    randomization_factor: float = 0.5
    """Random part of each delay, from 0 to 1: 0.5 makes it up to 50 % longer or shorter."""

    ack_timeout: float | None = None
    """Time in which acks must arrive, unless the call sets another one; None: no limit."""

    retries: int = 0
    """The number of repetitions of an event whose ack does not arrive within `ack_timeout`. Above
    0, events are sent one after the other, each after the ack of the previous one; the server may
    receive an event several times, and its handler must acknowledge it."""

    parser: Parser = field(default_factory=JsonParser)
    """Codec of packets; the server must use the same one."""

    strip_offset: bool = False
    """Whether handlers do not receive the offset that a server with recovery appends to events.
    Set it only if the server appends an offset to each event, as `SocketServer` does; the official
    server sends volatile events without one."""

    max_pending_handlers: int = 1000
    """Number of handlers that may run or wait at the same time. At this number, the client reads no
    further events until half of them have ended."""

    handler_timeout: float | None = None
    """Time after which a running async handler is canceled; None: no limit."""

    def __post_init__(self) -> None:
        for name in ("reconnection", "strip_offset"):
            check_bool(name, getattr(self, name))
        for name in ("reconnection_delay", "reconnection_delay_max"):
            check_seconds(name, getattr(self, name))
        for name in ("ack_timeout", "handler_timeout"):
            if getattr(self, name) is not None:
                check_seconds(name, getattr(self, name))
        check_at_least("retries", self.retries, 0)
        check_at_least("max_pending_handlers", self.max_pending_handlers, 1)
        if self.reconnection_attempts is not None:
            check_at_least("reconnection_attempts", self.reconnection_attempts, 0)
        factor: Any = self.randomization_factor
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 <= factor <= 1:
            raise ValueError(f"randomization_factor must be from 0 to 1, got {factor!r}")
        if self.retries and self.ack_timeout is None:
            raise ValueError(
                f"retries needs a time to wait for each ack, got retries={self.retries} without "
                "ack_timeout: write ack_timeout=10"
            )
        check_parser(self.parser)
        check_auth(self.auth)


def check_auth(auth: Any) -> None:
    """Raise TypeError unless `auth` is None, a dict or a function."""
    if auth is None or isinstance(auth, Mapping):
        return
    if not callable(auth):
        raise TypeError(f"auth must be a dict or a function that returns one, got {auth!r}")
    require_function_or_coroutine_function("auth", auth)


_ENGINE: Final = frozenset(each.name for each in fields(EngineClientOptions))
_SOCKET: Final = frozenset(each.name for each in fields(ClientOptions))


def split_options(options: Mapping[str, Any]) -> tuple[ClientOptions, EngineClientOptions]:
    """Return both option objects for the keywords of a client. Raises TypeError or ValueError."""
    check_option_names(options, _ENGINE | _SOCKET, OTHER_OPTIONS)
    engine = {name: value for name, value in options.items() if name in _ENGINE}
    rest = {name: value for name, value in options.items() if name in _SOCKET}
    return ClientOptions(**rest), EngineClientOptions(**{"path": "/socket.io", **engine})

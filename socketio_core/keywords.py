"""The keywords of `SocketServer` for type checkers: the fields of both option classes.

A test compares them with the option classes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypedDict

from engineio_core.options import (
    AllowRequest,
    Cookie,
    Cors,
    GenerateId,
    HttpCompression,
    PerMessageDeflate,
)
from socketio_core.adapters.interface import AdapterFactory
from socketio_core.codec.packet import Parser
from socketio_core.options import Recovery


class Keywords(TypedDict, total=False):
    """The keywords of `SocketServer`: see `ServerOptions` and `EngineOptions`."""

    connect_timeout: float
    serve_client: bool
    parser: Parser
    recovery: Recovery | None
    adapter: AdapterFactory | None
    cleanup_empty_child_namespaces: bool
    serialize_handlers: bool
    handler_timeout: float | None
    max_pending_handlers: int
    max_namespaces: int
    max_child_namespaces: int
    refused_timeout: float
    error_ack: Callable[[BaseException], Any]

    path: str
    add_trailing_slash: bool
    transports: Collection[str]
    ping_interval: float
    ping_timeout: float
    upgrade_timeout: float
    max_http_buffer_size: int
    allow_upgrades: bool
    http_compression: HttpCompression | None
    per_message_deflate: PerMessageDeflate | None
    cookie: Cookie | None
    cors: Cors | None
    allow_request: AllowRequest | None
    initial_packet: str | bytes | None
    allow_eio3: bool
    jsonp: bool
    generate_id: GenerateId | None
    max_outbox_size: int
    max_total_outbox_size: int
    max_total_unfinished_size: int
    slow_consumer_timeout: float
    close_timeout: float
    handshake_timeout: float
    header_timeout: float
    body_timeout: float
    keep_alive_timeout: float
    max_header_size: int
    max_sessions: int
    max_sessions_per_address: int | None
    max_buffered_size_per_address: int
    max_handlers_per_address: int
    max_mounted_websockets: int
    trusted_proxies: Collection[str]

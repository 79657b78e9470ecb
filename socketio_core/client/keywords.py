"""The keywords of a client for type checkers: the fields of both option classes.

A test compares them with the option classes.
"""

from __future__ import annotations

import ssl
from collections.abc import Collection, Mapping
from typing import TypedDict

from engineio_core.client.options import ClientTls
from socketio_core.client.options import Auth
from socketio_core.codec.packet import Parser


class ClientKeywords(TypedDict, total=False):
    """The keywords of `AsyncClient`: see `ClientOptions` and `EngineClientOptions`."""

    auth: Auth
    reconnection: bool
    reconnection_attempts: int | None
    reconnection_delay: float
    reconnection_delay_max: float
    randomization_factor: float
    ack_timeout: float | None
    retries: int
    parser: Parser
    strip_offset: bool
    max_pending_handlers: int
    handler_timeout: float | None

    path: str
    transports: Collection[str]
    upgrade: bool
    remember_upgrade: bool
    try_all_transports: bool
    query: Mapping[str, str]
    extra_headers: Mapping[str, str]
    cookies: bool
    tls: ClientTls | ssl.SSLContext | None
    proxy: str | None
    trust_env: bool
    timeout: float
    request_timeout: float
    upgrade_timeout: float
    close_timeout: float
    max_message_size: int
    max_buffer_size: int
    per_message_deflate: bool

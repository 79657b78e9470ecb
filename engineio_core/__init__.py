"""Engine.IO, protocol 4, for asyncio: sessions over long-polling and WebSocket.

    from engineio_core import Engine, EngineOptions, Session

`__all__` is the public API.
"""

from engineio_core.admission import ConnectionRefusal
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import (
    CloseReason,
    EngineError,
    HandshakeRefusedError,
    ProtocolError,
    SessionClosedError,
)
from engineio_core.http.listener import Listener, Tls
from engineio_core.http.message import HttpRequest, HttpResponse
from engineio_core.logs.limiter import install as _limit_lines
from engineio_core.options import Cookie, Cors, EngineOptions, HttpCompression, PerMessageDeflate
from engineio_core.server import Engine
from engineio_core.session import Session
from engineio_core.session_state import SessionState

__all__ = [
    "CloseReason",
    "ConnectionRefusal",
    "Cookie",
    "Cors",
    "EncodedPacket",
    "Engine",
    "EngineError",
    "EngineOptions",
    "HandshakeRefusedError",
    "HttpCompression",
    "HttpRequest",
    "HttpResponse",
    "Listener",
    "PerMessageDeflate",
    "ProtocolError",
    "Session",
    "SessionClosedError",
    "SessionState",
    "Tls",
]

_limit_lines("engineio_core")

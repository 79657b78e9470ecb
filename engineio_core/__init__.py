"""Engine.IO, protocol 4, for asyncio: sessions over long-polling and WebSocket.

    from engineio_core import Engine, EngineOptions, Session

`__all__` is the public API.
"""

from .admission import ConnectionRefusal
from .encoded_packet import EncodedPacket
from .engine import Engine
from .errors import (
    CloseReason,
    EngineError,
    HandshakeRefused,
    ProtocolError,
    SessionClosed,
)
from .http_message import HttpRequest, HttpResponse
from .listener import Listener, Tls
from .options import Cookie, Cors, EngineOptions, HttpCompression, PerMessageDeflate
from .session import Session
from .session_state import SessionState

__all__ = [
    "CloseReason",
    "ConnectionRefusal",
    "Cookie",
    "Cors",
    "EncodedPacket",
    "Engine",
    "EngineError",
    "EngineOptions",
    "HandshakeRefused",
    "HttpCompression",
    "HttpRequest",
    "HttpResponse",
    "Listener",
    "PerMessageDeflate",
    "ProtocolError",
    "Session",
    "SessionClosed",
    "SessionState",
    "Tls",
]

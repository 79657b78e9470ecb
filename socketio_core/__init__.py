"""Socket.IO, protocol 5, for asyncio: events, namespaces, rooms, acks.

    from socketio_core import SocketServer, Socket

`__all__` is the public API.
"""

from engineio_core.http.listener import Tls
from engineio_core.options import Cookie, Cors, HttpCompression, PerMessageDeflate
from socketio_core.acknowledgement import BroadcastAnswers
from socketio_core.broadcast import Broadcast
from socketio_core.codec.json_codec import JsonParser
from socketio_core.codec.msgpack_codec import MsgpackParser
from socketio_core.errors import (
    AckError,
    AckTimeoutError,
    ConnectError,
    DisconnectedError,
    PacketError,
    PayloadValidationError,
    SocketError,
)
from socketio_core.handlers.registry import event
from socketio_core.handshake import Handshake
from socketio_core.namespace import Namespace, ParentNamespace
from socketio_core.options import Recovery, ServerOptions
from socketio_core.server import SocketServer
from socketio_core.socket import Socket

__all__ = [
    "AckError",
    "AckTimeoutError",
    "Broadcast",
    "BroadcastAnswers",
    "ConnectError",
    "Cookie",
    "Cors",
    "DisconnectedError",
    "Handshake",
    "HttpCompression",
    "JsonParser",
    "MsgpackParser",
    "Namespace",
    "PacketError",
    "ParentNamespace",
    "PayloadValidationError",
    "PerMessageDeflate",
    "Recovery",
    "ServerOptions",
    "Socket",
    "SocketError",
    "SocketServer",
    "Tls",
    "event",
]

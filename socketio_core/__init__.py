"""Socket.IO, protocol 5, for asyncio: events, namespaces, rooms, acks.

    from socketio_core import SocketServer, Socket

`__all__` is the public API.
"""

from engineio_core.listener import Tls
from engineio_core.options import Cookie, Cors, HttpCompression, PerMessageDeflate

from .acknowledgement import BroadcastAnswers
from .broadcast import Broadcast
from .errors import (
    AckError,
    AckTimeout,
    ConnectRefused,
    PacketError,
    PayloadInvalid,
    PeerDisconnected,
    SocketError,
)
from .handshake import Handshake
from .msgpack_packet import MsgpackParser
from .namespace import Namespace, ParentNamespace
from .options import Recovery, ServerOptions
from .packet import JsonParser
from .registry import event
from .server import SocketServer
from .socket_ import Socket

__all__ = [
    "AckError",
    "AckTimeout",
    "Broadcast",
    "BroadcastAnswers",
    "ConnectRefused",
    "Cookie",
    "Cors",
    "Handshake",
    "HttpCompression",
    "JsonParser",
    "MsgpackParser",
    "Namespace",
    "PacketError",
    "ParentNamespace",
    "PayloadInvalid",
    "PeerDisconnected",
    "PerMessageDeflate",
    "Recovery",
    "ServerOptions",
    "Socket",
    "SocketError",
    "SocketServer",
    "Tls",
    "event",
]

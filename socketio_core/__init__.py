"""Socket.IO (protocol revision 5) for asyncio: events, namespaces, rooms, acks.

    from socketio_core import Socket, SocketServer

`__all__` is the public API; `socketio_core.testing` has a client for tests.
"""

from engineio_core.admission import ConnectionRefusal
from engineio_core.clock import Clock
from engineio_core.http.listener import Listener, Tls
from engineio_core.http.message import HttpRequest, HttpResponse
from engineio_core.logs.limiter import install as _limit_lines
from engineio_core.options import Cookie, Cors, HttpCompression, PerMessageDeflate
from engineio_core.session import Session
from socketio_core.acknowledgement import BroadcastAnswers
from socketio_core.adapters.cluster.in_process import InProcessCluster
from socketio_core.adapters.interface import AdapterStatus, RoomEvent, ServerResults
from socketio_core.adapters.postgres.adapter import Postgres
from socketio_core.adapters.redis.classic import RedisClassic
from socketio_core.adapters.redis.sharded import RedisSharded
from socketio_core.adapters.streams.adapter import RedisStreams
from socketio_core.admin.credentials import BasicAuth
from socketio_core.admin.instrument import instrument
from socketio_core.broadcast import Broadcast
from socketio_core.codec.json_codec import JsonParser
from socketio_core.codec.msgpack_codec import MsgpackParser
from socketio_core.disconnect_reason import DisconnectReason
from socketio_core.emitter import BlockingEmitter, Emitter
from socketio_core.errors import (
    AckError,
    AckTimeoutError,
    ConnectError,
    DisconnectedError,
    PacketError,
    PayloadValidationError,
    SocketError,
)
from socketio_core.handlers.ack import NO_ACK, Ack
from socketio_core.handlers.registry import event
from socketio_core.handshake import Handshake
from socketio_core.namespace import Namespace, ParentNamespace
from socketio_core.options import Recovery, ServerOptions
from socketio_core.playground.app import playground
from socketio_core.remote_socket import RemoteSocket
from socketio_core.schema.markers import DocumentedAs
from socketio_core.server import SocketServer
from socketio_core.server_events import ServerEvent, server_event
from socketio_core.socket import Socket
from socketio_core.socket_operator import SocketOperator

__all__ = [
    "NO_ACK",
    "Ack",
    "AckError",
    "AckTimeoutError",
    "AdapterStatus",
    "BasicAuth",
    "BlockingEmitter",
    "Broadcast",
    "BroadcastAnswers",
    "Clock",
    "ConnectError",
    "ConnectionRefusal",
    "Cookie",
    "Cors",
    "DisconnectReason",
    "DisconnectedError",
    "DocumentedAs",
    "Emitter",
    "Handshake",
    "HttpCompression",
    "HttpRequest",
    "HttpResponse",
    "InProcessCluster",
    "JsonParser",
    "Listener",
    "MsgpackParser",
    "Namespace",
    "PacketError",
    "ParentNamespace",
    "PayloadValidationError",
    "PerMessageDeflate",
    "Postgres",
    "Recovery",
    "RedisClassic",
    "RedisSharded",
    "RedisStreams",
    "RemoteSocket",
    "RoomEvent",
    "ServerEvent",
    "ServerOptions",
    "ServerResults",
    "Session",
    "Socket",
    "SocketError",
    "SocketOperator",
    "SocketServer",
    "Tls",
    "event",
    "instrument",
    "playground",
    "server_event",
]

_limit_lines("socketio_core")

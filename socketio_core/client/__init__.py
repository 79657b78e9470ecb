"""The client of Socket.IO: `AsyncClient` for asyncio, and the blocking `Client`.

    from socketio_core.client import AsyncClient

`__all__` is the public API.
"""

from engineio_core.client.errors import TransportError
from engineio_core.client.options import ClientTls, EngineClientOptions
from socketio_core.client.async_client import AsyncClient
from socketio_core.client.blocking import BlockingOperator, BlockingSocket, Client
from socketio_core.client.errors import (
    BufferFullError,
    ClientDisconnectReason,
    ConnectionFailedError,
)
from socketio_core.client.manager import Manager
from socketio_core.client.operator import ClientOperator
from socketio_core.client.options import ClientOptions
from socketio_core.client.socket import ClientSocket
from socketio_core.client.stream import EventStream

__all__ = [
    "AsyncClient",
    "BlockingOperator",
    "BlockingSocket",
    "BufferFullError",
    "Client",
    "ClientDisconnectReason",
    "ClientOperator",
    "ClientOptions",
    "ClientSocket",
    "ClientTls",
    "ConnectionFailedError",
    "EngineClientOptions",
    "EventStream",
    "Manager",
    "TransportError",
]

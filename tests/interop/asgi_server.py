"""The server of `test_socket_clients` as an ASGI application, for hosts that import a module."""

from __future__ import annotations

from socketio_core import JsonParser
from tests.interop.test_socket_clients import make_server

app = make_server(JsonParser()).asgi_app()

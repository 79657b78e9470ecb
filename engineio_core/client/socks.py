"""Connects through SOCKS proxies with the optional package python-socks."""

from __future__ import annotations

import importlib
import socket
from typing import Any, Final, NamedTuple

from engineio_core.client.errors import TransportError

_MISSING: Final = (
    "SOCKS proxies need the Python package python-socks: "
    "pip install 'hextrackr-server[socks]', or python-socks>=2.7.1"
)
# For each scheme: the name of python_socks.ProxyType, and whether the proxy resolves host names.
# The meanings are those of curl 8 and of websockets 15.
_SCHEMES: Final = {
    "socks5": ("SOCKS5", False),
    "socks5h": ("SOCKS5", True),
    "socks4": ("SOCKS4", False),
    "socks4a": ("SOCKS4", True),
}


class SocksProxy(NamedTuple):
    """A SOCKS proxy; `scheme` selects the version and the side that resolves host names."""

    scheme: str
    host: str
    port: int
    username: str | None
    password: str


def require_socks() -> Any:
    """Return the module python_socks. Raises ModuleNotFoundError, with the remedy, without it."""
    try:
        importlib.import_module("python_socks.async_.asyncio")
        return importlib.import_module("python_socks")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(_MISSING, name=error.name) from None


async def open_socket(proxy: SocksProxy, host: str, port: int, timeout: float) -> socket.socket:
    """Return a non-blocking socket that the proxy has connected to a host and port.

    Raises OSError without a connection to the proxy, TransportError if the proxy refuses.
    """
    library = require_socks()
    kind, is_remote = _SCHEMES[proxy.scheme]
    connector = library.async_.asyncio.Proxy(
        getattr(library.ProxyType, kind),
        proxy.host,
        proxy.port,
        proxy.username,
        proxy.password,
        rdns=is_remote,
    )
    try:
        opened: socket.socket = await connector.connect(host, port, timeout=timeout)
    except library.ProxyError as error:
        raise TransportError(f"the SOCKS proxy refused the connection: {error}") from error
    except ValueError as error:  # a name, user or password that SOCKS cannot encode
        raise TransportError(f"the SOCKS request cannot be encoded: {error}") from error
    return opened

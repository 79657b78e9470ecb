"""Finds the proxy of an address: in the options, or in the environment.

`network` opens the tunnels of HTTP proxies, `socks` connects through SOCKS proxies.
"""

from __future__ import annotations

import base64
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from engineio_core.client.address import Address
from engineio_core.client.options import EngineClientOptions, check_proxy
from engineio_core.client.socks import SocksProxy, require_socks

HTTP_PORT: Final = 80
SOCKS_PORT: Final = 1080  # RFC 1928, section 3


class HttpProxy(NamedTuple):
    """An HTTP proxy; `authorization` is the value of the Proxy-Authorization header or None."""

    host: str
    port: int
    authorization: str | None


def find_proxy(address: Address, options: EngineClientOptions) -> HttpProxy | SocksProxy | None:
    """Return the proxy of an address: of the options, or of the environment.

    Raises ValueError for an invalid URL, ModuleNotFoundError for SOCKS without python-socks.
    """
    url = options.proxy
    if url is None and options.trust_env and not proxy_bypass(f"{address.host}:{address.port}"):
        proxies = getproxies()
        url = proxies.get("https" if address.is_secure else "http") or proxies.get("all")
        if url and "://" not in url:
            url = f"http://{url}"
        check_proxy("the proxy of the environment", url)
    if not url:
        return None
    parts = urlsplit(url)
    host = str(parts.hostname)
    username = None if parts.username is None else unquote(parts.username)
    password = unquote(parts.password or "")
    if parts.scheme != "http":
        require_socks()
        return SocksProxy(parts.scheme, host, parts.port or SOCKS_PORT, username, password)
    authorization = None
    if username is not None:
        pair = f"{username}:{password}".encode()
        authorization = "Basic " + base64.b64encode(pair).decode()
    return HttpProxy(host, parts.port or HTTP_PORT, authorization)

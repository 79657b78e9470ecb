"""How a client came: what a handler may ask about it.

Knows: the first request of the connection.  Does not know: sockets, namespaces.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engineio_core.http.message import HttpRequest


class Handshake:
    """What is known of how a client connected.

    `auth` is what it said when it joined the namespace: to be verified, never to be believed.
    """

    __slots__ = ("_request", "auth", "issued")

    def __init__(self, request: HttpRequest, auth: dict[str, Any]) -> None:
        self._request = request
        self.auth = auth
        self.issued = int(time.time() * 1000)
        """Milliseconds since 1970."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the first request: lower-case names, duplicates joined."""
        return self._request.headers

    @property
    def query(self) -> dict[str, str]:
        """The query of the first request, with Engine.IO's own parameters."""
        return self._request.query

    @property
    def address(self) -> str:
        """The client's address, seen through the trusted proxies."""
        return self._request.remote_address

    @property
    def secure(self) -> bool:
        """Whether the client came over TLS."""
        return self._request.secure

    @property
    def xdomain(self) -> bool:
        """Whether the first request had an Origin."""
        return "origin" in self._request.headers

    @property
    def url(self) -> str:
        """The target of the first request."""
        return self._request.url

    @property
    def time(self) -> str:
        """When the client joined, as text."""
        return time.ctime(self.issued / 1000)

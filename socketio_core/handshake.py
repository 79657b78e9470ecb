"""The request and auth data with which a client connected."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engineio_core.http.message import HttpRequest


class Handshake:
    """The first request of a connection, and the auth data of one namespace.

    The client chooses `auth`: verify it before use.
    """

    __slots__ = ("_request", "auth", "issued")

    def __init__(self, request: HttpRequest, auth: dict[str, Any]) -> None:
        self._request = request
        self.auth = auth
        self.issued = int(time.time() * 1000)
        """The time at which the client joined, in milliseconds since 1970."""

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
        """The client's address; trusted proxies are taken into account."""
        return self._request.remote_address

    @property
    def secure(self) -> bool:
        """Whether the client connected over TLS."""
        return self._request.secure

    @property
    def xdomain(self) -> bool:
        """Whether the first request had an Origin header."""
        return "origin" in self._request.headers

    @property
    def url(self) -> str:
        """The target of the first request."""
        return self._request.url

    @property
    def time(self) -> str:
        """The local time at which the client joined, as text."""
        return time.ctime(self.issued / 1000)

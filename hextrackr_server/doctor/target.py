"""Requests and WebSockets to the examined deployment; every operation has a deadline."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlencode, urlsplit

from websockets.exceptions import InvalidStatus, InvalidURI
from websockets.sync.client import ClientConnection, connect

from hextrackr_server.errors import HexTrackrError

REQUEST_SECONDS: Final = 10.0
MAXIMUM_BODY: Final = 4 << 20
_COMPRESSIONS: Final = frozenset({"gzip", "x-gzip", "deflate"})
#: zlib expects the header of gzip or of zlib.
_ANY_HEADER: Final = zlib.MAX_WBITS | 32
_USER_AGENT: Final = "hextrackr-server doctor"


class TargetError(HexTrackrError):
    """A URL or an authority's file that cannot be used."""


@dataclass(frozen=True)
class Answer:
    """A response: the status, all headers in their order, the body and the duration."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    seconds: float

    def values(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key.lower() == name]

    def value(self, name: str) -> str:
        """Return the first value of a header, or an empty string."""
        return next(iter(self.values(name)), "")

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> dict[str, Any]:
        """Return the object in the body, or an empty one if the body is not a JSON object."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class Target:
    """The examined URL: the address of a deployment, with the path in front of its routes."""

    def __init__(
        self,
        url: str,
        engine_path: str = "/socket.io/",
        ca: Path | None = None,
        *,
        seconds: float = REQUEST_SECONDS,
    ) -> None:
        """Check the URL.

        `ca` is a PEM file with further trusted certificates, `seconds` the limit of a request.
        """
        parts = urlsplit(url)
        try:
            self.port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise TargetError(f"the URL {url!r} has an invalid port: {error}") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise TargetError(f"the URL must be like https://hextrackr.example, got {url!r}")
        self.host = parts.hostname
        self.origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        engine_path = f"/{engine_path.strip('/')}"
        self.prefix = parts.path.rstrip("/").removesuffix(engine_path)
        self.url = self.origin + self.prefix
        self.engine_path = f"{self.prefix}{engine_path}/"
        self._login = _basic(parts.username, parts.password)
        self._tls = _context(ca) if parts.scheme == "https" else None
        self._seconds = seconds
        self.is_verified = True
        """False after `ignore_certificate`: the server may be another one."""

    @property
    def is_encrypted(self) -> bool:
        """Whether the URL begins with https."""
        return self._tls is not None

    @property
    def has_login(self) -> bool:
        """Whether the URL contains a user name."""
        return bool(self._login)

    def accepts_tls(self) -> bool:
        """Return whether the port answers a TLS handshake."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            self.host, self.port, timeout=self._seconds, context=context
        )
        try:
            connection.connect()
        except OSError:
            return False
        finally:
            connection.close()
        return True

    def ignore_certificate(self) -> None:
        """Accept any certificate from now on, so that other checks can run."""
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        self.is_verified = False

    def certificate(self) -> Mapping[str, Any]:
        """Return the verified certificate. Raises OSError, also for a certificate without trust."""
        connection = self._connection(self._seconds)
        try:
            connection.connect()
            return getattr(connection.sock, "getpeercert", dict)() or {}
        finally:
            connection.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        seconds: float | None = None,
    ) -> Answer:
        """Send one request on a connection of its own.

        Raises OSError or http.client.HTTPException if no response arrives.
        """
        connection = self._connection(self._seconds if seconds is None else seconds)
        began = time.monotonic()
        try:
            connection.request(method, path, body, self._head | dict(headers or {}))
            response = connection.getresponse()
            return _answer(response, began)
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Get a path below the prefix of the URL."""
        return self.request("GET", self.prefix + path, headers=headers)

    def announce(self, path: str, size: int, seconds: float) -> Answer | None:
        """Send the head of a POST of `size` bytes, but no body; return the response to the head.

        The result is None if no response arrives in time: the body is awaited.
        """
        connection = self._connection(seconds)
        began = time.monotonic()
        try:
            connection.putrequest("POST", path)
            body = {"Content-Type": "text/plain;charset=UTF-8", "Content-Length": str(size)}
            for name, value in (self._head | body).items():
                connection.putheader(name, value)
            connection.endheaders()
            return _answer(connection.getresponse(), began)
        except TimeoutError:
            return None
        finally:
            connection.close()

    def engine_url(self, transport: str, sid: str = "") -> str:
        """Return the path and query of an Engine.IO request."""
        query = {"EIO": "4", "transport": transport} | ({"sid": sid} if sid else {})
        return f"{self.engine_path}?{urlencode(query)}"

    @contextlib.contextmanager
    def websocket(
        self, sid: str = "", headers: Mapping[str, str] | None = None, origin: str | None = None
    ) -> Iterator[ClientConnection]:
        """Open a WebSocket to Engine.IO; a redirect is a refusal, as for browsers.

        Raises OSError or websockets' InvalidHandshake.
        """
        scheme = "wss" if self.is_encrypted else "ws"
        url = f"{scheme}://{self.origin.partition('://')[2]}{self.engine_url('websocket', sid)}"
        with contextlib.ExitStack() as stack:
            # websockets follows no redirect on a socket that it has not opened.
            opened = socket.create_connection((self.host, self.port), self._seconds)
            stack.callback(opened.close)
            try:
                connection = stack.enter_context(
                    connect(
                        url,
                        sock=opened,
                        ssl=self._tls,
                        origin=origin,  # type: ignore[arg-type]  # a NewType of str
                        additional_headers=self._login | dict(headers or {}),
                        user_agent_header=_USER_AGENT,
                        compression=None,
                        proxy=None,
                        open_timeout=self._seconds,
                        close_timeout=1.0,
                        ping_interval=None,
                    )
                )
            except (ValueError, InvalidURI) as error:
                refused = error.__cause__ or error.__context__
                if isinstance(refused, InvalidStatus):
                    raise refused from None
                raise
            yield connection

    def probe(self, data: bytes) -> bytes:
        """Send bytes on a connection of their own and return the first bytes of the reply."""
        connection = self._connection(self._seconds)
        try:
            connection.connect()
            connection.sock.sendall(data)
            return bytes(connection.sock.recv(64))
        except OSError:
            return b""
        finally:
            connection.close()

    @property
    def _head(self) -> dict[str, str]:
        return {"User-Agent": _USER_AGENT, **self._login}

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(
                self.host, self.port, timeout=seconds, context=self._tls
            )
        return http.client.HTTPConnection(self.host, self.port, timeout=seconds)


def _answer(response: http.client.HTTPResponse, began: float) -> Answer:
    content = response.read(MAXIMUM_BODY)
    body = decoded(content, response.headers.get("Content-Encoding", ""))
    return Answer(response.status, tuple(response.getheaders()), body, time.monotonic() - began)


def decoded(content: bytes, encoding: str) -> bytes:
    """Return a body without compression: some proxies compress without a request for it."""
    if encoding.strip().lower() not in _COMPRESSIONS:
        return content
    try:
        return zlib.decompressobj(_ANY_HEADER).decompress(content, MAXIMUM_BODY)
    except zlib.error:
        return content


def _basic(user: str | None, password: str | None) -> dict[str, str]:
    """Return the header for the login in a URL (RFC 7617); empty without a user name."""
    if not user:
        return {}
    login = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(login).decode()}"}


def _context(ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise TargetError(
                f"--ca must name a PEM file with certificates, got {ca}: {error}"
            ) from error
    return context

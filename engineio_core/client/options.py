"""The options of an Engine.IO client: type, unit, default, check and description of each."""

from __future__ import annotations

import os
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from engineio_core.field_docs import document_fields
from engineio_core.http.certificate_files import load_authorities, load_certificate
from engineio_core.http.grammar import is_token
from engineio_core.option_names import check_keywords
from engineio_core.options import TRANSPORTS, check_at_least, check_bool, check_seconds

_PROXY_SCHEMES: Final = ("http", "socks5", "socks5h", "socks4", "socks4a")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

#: Options of other clients whose name or form differs here, with the replacement.
OTHER_CLIENT_OPTIONS: Final[Mapping[str, str]] = {
    # engine.io-client on Node
    "force_new": "remove it, each client has its own connection",
    "agent": "use proxy=... or tls=ClientTls(...)",
    "reject_unauthorized": "use tls=ClientTls(verify=False)",
    "ca": "use tls=ClientTls(ca=...)",
    "cert": "use tls=ClientTls(certificate=...)",
    "key": "use tls=ClientTls(certificate=..., key=...)",
    "pfx": "use tls=ClientTls(certificate=..., key=...) with PEM files",
    "timestamp_requests": "remove it, servers forbid caching",
    "timestamp_param": "remove it, servers forbid caching",
    "auto_unref": "remove it and call close()",
    "hostname": "write the host into the URL",
    "secure": "write https:// into the URL",
    "port": "write the port into the URL",
    # python-engineio and HTTP clients
    "ssl": "use tls=ClientTls(...), or tls=context for an SSLContext",
    "ssl_context": "use tls=context",
    "verify": "use tls=ClientTls(verify=False), or tls=ClientTls(ca=...)",
    "ssl_verify": "use tls=ClientTls(verify=False)",
    "http_session": "use extra_headers, tls and proxy",
    "handle_sigint": "remove it, the client handles no signals",
    "websocket_extra_options": "use extra_headers, tls and proxy",
    "logger": 'remove it and configure logging.getLogger("socketio_core")',
    "engineio_logger": 'remove it and configure logging.getLogger("engineio_core")',
    "json": "use parser=...",
}


@document_fields
@check_keywords()
@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """The TLS settings of a client: authorities for the server, and a certificate of its own.

    Raises ValueError if a file is not readable.
    """

    ca: str | Path | None = None
    """PEM file with the certificates of further trusted authorities."""

    verify: bool = True
    """Whether to verify the certificate and the host name; False only for tests."""

    certificate: str | Path | None = None
    """PEM file with the certificate chain of the client."""

    key: str | Path | None = None
    """PEM file with the private key; None if the certificate file contains the key."""

    password: str | None = None
    """Password of an encrypted private key."""

    server_name: str | None = None
    """Name in the server's certificate, if it differs from the host in the URL."""

    def __post_init__(self) -> None:
        check_bool("verify", self.verify)
        for name in ("ca", "certificate", "key"):
            path = getattr(self, name)
            if path is not None and not os.access(path, os.R_OK):
                raise ValueError(f"the TLS {name} must be a readable PEM file, got {str(path)!r}")
        if self.key is not None and self.certificate is None:
            raise ValueError("a TLS key needs its certificate: write ClientTls(certificate=...)")

    def make_context(self) -> ssl.SSLContext:
        """Return an SSL context for clients. Raises SSLError or OSError for an invalid file."""
        context = ssl.create_default_context(cafile=None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ca is not None:
            load_authorities(context, self.ca)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate is not None:
            load_certificate(context, self.certificate, self.key, self.password)
        return context


@document_fields
@check_keywords(OTHER_CLIENT_OPTIONS)
@dataclass(frozen=True, slots=True, kw_only=True)
class EngineClientOptions:
    """Options of the connection of a client. Times are seconds, sizes are bytes."""

    path: str = "/engine.io"
    """Path of the server's endpoint; a trailing slash is added."""

    transports: Collection[str] = TRANSPORTS
    """Transports in the order in which the client uses them: "polling", "websocket"."""

    upgrade: bool = True
    """Whether a polling session changes to WebSocket if the server offers it."""

    remember_upgrade: bool = False
    """Whether a reconnection starts with WebSocket if an earlier connection has used it."""

    try_all_transports: bool = False
    """Whether to try the next transport if the first one cannot connect."""

    query: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Additional parameters of the URL."""

    extra_headers: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Additional headers of all requests."""

    cookies: bool = True
    """Whether to send the cookies that the server sets, for example for sticky sessions."""

    tls: ClientTls | ssl.SSLContext | None = None
    """Verification of https and wss; None trusts the authorities of the system."""

    proxy: str | None = None
    """URL of a proxy, such as `http://user:password@proxy.example:3128`.

    With the extra `socks`, also `socks5://` and `socks4://`; the proxy resolves host names with
    `socks5h://` and `socks4a://`.
    """

    trust_env: bool = True
    """Whether to read HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY without a `proxy`."""

    timeout: float = 20.0
    """Time to establish a connection, including the handshake."""

    request_timeout: float = 20.0
    """Time for one POST of polling."""

    upgrade_timeout: float = 10.0
    """Time for the upgrade to WebSocket; the session continues with polling after it."""

    close_timeout: float = 5.0
    """Time to send the queued packets, and to end the connection, of a client that closes."""

    max_message_size: int = 64 * 1024 * 1024
    """Maximum size of a received message or polling response, and of early events together.

    Early events are those that a server sends before it accepts the socket (recovery).
    """

    max_buffer_size: int = 16 * 1024 * 1024
    """Maximum size of all unsent packets; sending above it raises BufferFullError."""

    per_message_deflate: bool = False
    """Whether to offer compression over WebSocket."""

    def __post_init__(self) -> None:
        path: Any = self.path
        if not isinstance(path, str) or not path.startswith("/"):
            raise ValueError(f'path must start with "/", as "/socket.io" does, got {self.path!r}')
        _check_transports(self.transports)
        for name in ("upgrade", "remember_upgrade", "try_all_transports", "cookies", "trust_env",
                     "per_message_deflate"):  # fmt: skip
            check_bool(name, getattr(self, name))
        for name in ("timeout", "request_timeout", "upgrade_timeout", "close_timeout"):
            check_seconds(name, getattr(self, name))
        for name in ("max_message_size", "max_buffer_size"):
            check_at_least(name, getattr(self, name), 1)
        _check_mapping("query", self.query)
        _check_mapping("extra_headers", self.extra_headers)
        for name, value in self.extra_headers.items():
            if not is_token(name) or not value.isascii() or not value.isprintable():
                raise ValueError(
                    "extra_headers must contain valid names, and values of printable ASCII "
                    f"characters, got {name!r}: {value!r}"
                )
        tls: Any = self.tls
        if tls is not None and not isinstance(tls, ClientTls | ssl.SSLContext):
            raise TypeError(
                f"tls must be a ClientTls, an SSLContext or None, got {self.tls!r}: "
                "write tls=ClientTls(ca=...)"
            )
        check_proxy("proxy", self.proxy)


def check_proxy(name: str, proxy: Any) -> None:
    """Raise ValueError unless a proxy is None or the URL of an HTTP or SOCKS proxy."""
    if proxy is None:
        return
    try:
        parts = urlsplit(proxy) if isinstance(proxy, str) else None
        is_valid = parts is not None and parts.scheme in _PROXY_SCHEMES and bool(parts.hostname)
        _ = parts and parts.port
    except ValueError:  # invalid port or address
        is_valid = False
    if not is_valid:
        raise ValueError(
            f'{name} must be a URL such as "http://proxy.example:3128" or '
            f'"socks5h://proxy.example:1080" (schemes: {", ".join(_PROXY_SCHEMES)}), got {proxy!r}'
        )


def _check_transports(transports: Any) -> None:
    if isinstance(transports, str) or not isinstance(transports, Collection):
        raise ValueError(
            f"transports must be a list with polling, websocket or both, got {transports!r}"
        )
    if not transports:
        raise ValueError("transports must contain polling, websocket or both, got none")
    for each in transports:
        if each not in TRANSPORTS:
            raise ValueError(f"transports must be polling or websocket, got {each!r}")


def _check_mapping(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict of strings, got {value!r}")
    for key, item in value.items():
        if not isinstance(key, str) or not isinstance(item, str):
            raise TypeError(f"{name} must be a dict of strings, got {key!r}: {item!r}")

"""The options of an Engine.IO server: type, unit, default, check and description of each.

A wrong name or value raises TypeError or ValueError at construction. The modules that use an option
do not check it again.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from engineio_core.callbacks import (
    require_function_or_coroutine_function,
    require_parameters,
    require_plain_function,
)
from engineio_core.field_docs import document_fields
from engineio_core.http.grammar import is_cookie_attribute, is_target, is_token
from engineio_core.http.message import HttpRequest
from engineio_core.option_names import OTHER_OPTIONS, check_keywords

Origin: TypeAlias = "str | re.Pattern[str]"
OriginCheck: TypeAlias = Callable[[str], bool]
AllowRequest: TypeAlias = Callable[
    [HttpRequest], "bool | str | Awaitable[bool | str | None] | None"
]
GenerateId: TypeAlias = Callable[[HttpRequest], "str | Awaitable[str]"]

TRANSPORTS: Final = ("polling", "websocket")
SERVER_TRANSPORTS: Final = (*TRANSPORTS, "webtransport")
LONGEST_SECONDS: Final = 3600.0
MAX_SECONDS: Final = 1e9
# Bytes per second; an upload that is slower is late regardless of its progress.
MIN_BODY_RATE: Final = 1000

# As browsers write an origin (RFC 6454, section 6.2): lower case, ASCII, without a path. Pages of
# files have the origin "file://".
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[!$-.0->\[\]_a-z~]+|file://|null")
_DEFAULT_PORT = re.compile(r"http://.*:80|https://.*:443")


def check_seconds(name: str, value: Any) -> None:
    """Raise ValueError unless an option is a positive number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < MAX_SECONDS:
        raise ValueError(f"{name} must be a positive number of seconds, got {value!r}")


def check_at_least(name: str, value: Any, minimum: int) -> None:
    """Raise ValueError unless an option is an integer that is not below `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")


def check_instance(name: str, value: Any, kind: type) -> None:
    """Raise TypeError unless an option is None or an instance of `kind`."""
    if value is not None and not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOH" else "a"
        raise TypeError(
            f"{name} must be {article} {kind.__name__} instance or None, got {value!r}: "
            f"write {name}={'None' if value is False else kind.__name__ + '(...)'}"
        )


def check_bool(name: str, value: Any) -> None:
    """Raise TypeError unless an option is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def _check_range(name: str, value: Any, minimum: int, maximum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise ValueError(f"{name} must be an integer from {minimum} to {maximum}, got {value!r}")


def _check_tokens(name: str, value: Any, example: str) -> None:
    """Raise unless an option is a collection of tokens (RFC 9110, section 5.6.2)."""
    if isinstance(value, str) or not isinstance(value, Collection):
        raise TypeError(f"{name} must be a list of names such as {example!r}, got {value!r}")
    for each in value:
        if not isinstance(each, str) or not is_token(each):
            raise ValueError(f"{name} must contain names such as {example!r}, got {each!r}")


def _check_networks(name: str, value: Any) -> None:
    rule = f'{name} must be a list of networks such as "10.0.0.0/8", and "unix"'
    if isinstance(value, str) or not isinstance(value, Collection):
        raise ValueError(f"{rule}, got {value!r}")
    for network in value:
        if not isinstance(network, str):
            raise ValueError(f"{rule}, got {network!r}")
        try:
            if network != "unix":
                ipaddress.ip_network(network)
        except ValueError as error:
            raise ValueError(f"{rule}, got {network!r}: {error}") from None


@document_fields
@check_keywords()
@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """Rules for pages of other origins (CORS).

    Pages of the server's own host are always allowed.
    """

    origins: Origin | Collection[Origin] | OriginCheck = "*"
    """Allowed origins: `"*"`, one origin, a compiled pattern, a collection of these, or a plain
    function `(origin) -> bool`. `"*"` together with `credentials` raises ValueError, because any
    site could then act for a logged-in user."""

    methods: Collection[str] = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE")
    """HTTP methods that a preflight response allows."""

    allowed_headers: Collection[str] | None = None
    """Request headers that a preflight response allows; None repeats the requested ones."""

    exposed_headers: Collection[str] = ()
    """Response headers that a page may read."""

    credentials: bool = False
    """Whether requests may carry cookies and client certificates."""

    max_age: int | None = None
    """Seconds for which a browser may cache a preflight response."""

    options_success_status: int = 204
    """Status of a preflight response."""

    def __post_init__(self) -> None:
        if callable(self.origins):
            require_plain_function("Cors(origins=...)", self.origins)
            require_parameters("Cors(origins=...)", self.origins, ("origin",))
        for origin in _list_origins(self.origins):
            if not isinstance(origin, str | re.Pattern) or (
                isinstance(origin, re.Pattern) and (not isinstance(origin.pattern, str))
            ):
                raise TypeError(
                    f"origins must be strings, compiled patterns or a function, got {origin!r}"
                )
            if isinstance(origin, str) and origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"an origin must have the form scheme://host[:port], got {origin!r}: "
                    "write it in lower case, without a path, and other alphabets in punycode"
                )
            if isinstance(origin, str) and origin != "*" and "*" in origin:
                raise ValueError(
                    f"an origin must not contain a wildcard, got {origin!r}: "
                    "use a compiled pattern, which must match the whole origin"
                )
            if isinstance(origin, str) and _DEFAULT_PORT.fullmatch(origin):
                raise ValueError(
                    f"an origin must not contain the default port, which browsers omit, got "
                    f"{origin!r}: write {origin.rpartition(':')[0]!r}"
                )
        check_bool("credentials", self.credentials)
        if self.credentials and "*" in _list_origins(self.origins):
            raise ValueError(
                'origins must not be "*" with credentials=True, because any site could then act '
                "for a logged-in user: list the allowed origins"
            )
        _check_tokens("methods", self.methods, "GET")
        if self.allowed_headers is not None:
            _check_tokens("allowed_headers", self.allowed_headers, "X-Token")
        _check_tokens("exposed_headers", self.exposed_headers, "X-Token")
        if self.credentials and "*" in (*(self.allowed_headers or ()), *self.exposed_headers):
            # With credentials, "*" is the name of a header (Fetch standard, section 3.3.3).
            raise ValueError(
                'headers must not be "*" with credentials=True: list them, or leave '
                "allowed_headers out to allow the requested ones"
            )
        if self.max_age is not None:
            check_at_least("max_age", self.max_age, 0)
        _check_range("options_success_status", self.options_success_status, 200, 299)


def _list_origins(origins: Any) -> list[Any]:
    """Return the origins as a list; an empty one for a function."""
    if callable(origins):
        return []
    if isinstance(origins, str | re.Pattern) or not isinstance(origins, Collection):
        return [origins]
    return list(origins)


@document_fields
@check_keywords()
@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCompression:
    """Compression of polling responses with gzip or deflate."""

    threshold: int = 1024
    """Size in bytes from which a response is compressed."""

    level: int = 6
    """zlib level, from 0 (none) to 9 (smallest)."""

    def __post_init__(self) -> None:
        check_at_least("threshold", self.threshold, 0)
        _check_range("level", self.level, 0, 9)


@document_fields
@check_keywords()
@dataclass(frozen=True, slots=True, kw_only=True)
class PerMessageDeflate:
    """Compression of WebSocket messages (RFC 7692).

    It costs up to about 300 KiB of memory per connection without the `no_context_takeover` options.
    """

    threshold: int = 1024
    """Size in bytes from which a message is compressed."""

    server_no_context_takeover: bool = False
    """Whether the server compresses each message separately: less memory, larger messages."""

    client_no_context_takeover: bool = False
    """Whether clients compress each message separately."""

    def __post_init__(self) -> None:
        check_at_least("threshold", self.threshold, 0)
        check_bool("server_no_context_takeover", self.server_no_context_takeover)
        check_bool("client_no_context_takeover", self.client_no_context_takeover)


@document_fields
@check_keywords()
@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """A cookie with the sid, which the handshake response sets.

    A load balancer can use it to route a client to the same server. It grants no access.
    """

    name: str = "io"
    """Name of the cookie."""

    path: str | None = "/"
    """Path attribute; None omits it."""

    http_only: bool = True
    """Whether scripts of a page cannot read the cookie."""

    same_site: Literal["strict", "lax", "none"] | None = "lax"
    """SameSite attribute; None omits it."""

    secure: bool = False
    """Whether browsers send the cookie over TLS only."""

    domain: str | None = None
    """Domain attribute; None omits it."""

    max_age: int | None = None
    """Lifetime in seconds; None ends it with the browser session."""

    def __post_init__(self) -> None:
        cookie_name: Any = self.name
        if not isinstance(cookie_name, str) or not is_token(cookie_name):
            raise ValueError(f"a cookie name must be a token such as 'io', got {self.name!r}")
        for name in ("path", "domain"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and is_cookie_attribute(value)):
                raise ValueError(
                    f'the {name} of a cookie must be printable ASCII without ";", got {value!r}'
                )
        if self.same_site not in {"strict", "lax", "none", None}:
            raise ValueError(
                f'same_site must be "strict", "lax", "none" or None, got {self.same_site!r}'
            )
        check_bool("http_only", self.http_only)
        check_bool("secure", self.secure)
        if self.same_site == "none" and not self.secure:
            raise ValueError(
                'same_site="none" requires secure=True, because browsers reject the cookie'
            )
        if self.max_age is not None:
            check_at_least("max_age", self.max_age, 0)


@document_fields
@check_keywords(OTHER_OPTIONS)
@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """The options of an engine. Durations are in seconds, sizes in bytes."""

    path: str = "/engine.io"
    """URL path of the engine; all paths below it belong to the engine."""

    add_trailing_slash: bool = True
    """Whether the engine serves `path/` and the paths below it, in addition to `path`."""

    transports: Collection[str] = TRANSPORTS
    """Enabled transports: "polling", "websocket" and "webtransport" (see `listen_webtransport`)."""

    ping_interval: float = 25.0
    """Seconds between two pings; sent to the client in the handshake."""

    ping_timeout: float = 20.0
    """Seconds within which a client must answer a ping; sent to the client in the handshake."""

    upgrade_timeout: float = 10.0
    """Seconds within which a probing WebSocket must complete the upgrade, and within which a
    WebTransport session must send its first packet."""

    max_http_buffer_size: int = 1_000_000
    """Maximum size of a POST body, of a WebSocket message, and of a polling response with several
    packets; sent to the client as maxPayload."""

    allow_upgrades: bool = True
    """Whether a session can change from polling to WebSocket."""

    http_compression: HttpCompression | None = HttpCompression()
    """Compression of polling responses; None disables it."""

    per_message_deflate: PerMessageDeflate | None = None
    """Compression of WebSocket messages; None disables it."""

    cookie: Cookie | None = None
    """Cookie that the handshake response sets; None sets no cookie."""

    cors: Cors | None = None
    """Rules for pages of other origins; None sends no CORS headers, so that browsers refuse
    requests of such pages, but not their WebSockets."""

    allow_request: AllowRequest | None = None
    """Check of each handshake, a plain function or a coroutine function: True or None admits the
    client, False or a text (the message to the client) refuses it, and so does an exception."""

    initial_packet: str | bytes | None = None
    """Message that the server sends together with the handshake."""

    allow_eio3: bool = False
    """Whether clients of revision 3 of the protocol may connect: socket.io-client 1 and 2, and
    other clients of that time."""

    jsonp: bool = False
    """Whether a handshake with the query parameter `j` opens a JSONP session: polling by script
    elements, for browsers without CORS. Pages of any origin can then read the session."""

    generate_id: GenerateId | None = None
    """Function that returns the sid of a new session, plain or a coroutine function. A sid must be
    unique, secret, and consist of `[A-Za-z0-9_-]`."""

    max_outbox_size: int = 128 * 1024 * 1024
    """Maximum size of the packets queued for one client; above it the session closes with reason
    "slow consumer". `await socket.drain()` between large batches keeps the queue short."""

    max_total_outbox_size: int = 512 * 1024 * 1024
    """Maximum size of the packets queued for all clients together; above it, a session that adds to
    a queue of more than 256 KiB closes with reason "slow consumer"."""

    max_total_unfinished_size: int = 256 * 1024 * 1024
    """Maximum size of the unfinished messages above 64 KiB of all clients together; clients that
    have joined no namespace may use a quarter of it. Above it, further messages are refused: with
    close code 1013, or with status 413."""

    slow_consumer_timeout: float = 30.0
    """Seconds without progress after which a client with more than 1 MiB of queued packets is
    closed with reason "slow consumer". A client that takes packets, however slowly, stays."""

    close_timeout: float = 30.0
    """Seconds for an orderly close."""

    handshake_timeout: float = 10.0
    """Seconds for all middlewares, `allow_request` and `generate_id` together."""

    header_timeout: float = 10.0
    """Seconds for the head of a request, and for a TLS handshake."""

    body_timeout: float = 30.0
    """Seconds for the body of a POST."""

    keep_alive_timeout: float = 65.0
    """Seconds after which an idle HTTP connection is closed."""

    max_header_size: int = 16 * 1024
    """Maximum size of a request head."""

    max_sessions: int = 100_000
    """Maximum number of sessions; further handshakes receive 503."""

    max_sessions_per_address: int | None = None
    """Maximum number of sessions of one address; further handshakes receive 429. All clients behind
    a proxy that is not in `trusted_proxies` share its address, and a /64 network of IPv6 counts as
    one address. None: as many as `max_sessions`."""

    max_buffered_size_per_address: int = 256 * 1024 * 1024
    """Maximum size of the unfinished messages above 64 KiB and the queued packets of all clients of
    one address. Above it, messages are refused as above `max_total_unfinished_size`, and sessions
    are closed as above `max_total_outbox_size`."""

    max_handlers_per_address: int = 10_000
    """Maximum number of suspended handlers of all clients of one address; above it, the server
    reads from a connection only while none of its handlers is suspended."""

    max_mounted_websockets: int = 10_000
    """Maximum number of WebSockets of a mounted application; further handshakes receive 503."""

    trusted_proxies: Collection[str] = ()
    """Networks in CIDR notation, or "unix", whose X-Forwarded-* and Forwarded headers are
    trusted."""

    def __post_init__(self) -> None:
        _check_transports(self.transports)
        path: Any = self.path
        if not isinstance(path, str) or not path.startswith("/") or not is_target(path):
            raise ValueError(
                f'path must start with "/" and contain only visible ASCII, got {path!r}'
            )
        if "?" in path or "#" in path:
            raise ValueError(
                f'path must not contain "?" or "#", got {path!r}: clients send the query themselves'
            )
        for name in ("add_trailing_slash", "allow_upgrades", "allow_eio3", "jsonp"):
            check_bool(name, getattr(self, name))
        for name in _DURATIONS:
            seconds = getattr(self, name)
            check_seconds(name, seconds)
            if seconds > LONGEST_SECONDS:
                # The options of the Node server are in milliseconds.
                raise ValueError(
                    f"{name} must be at most {LONGEST_SECONDS:g} seconds, got {seconds!r}: "
                    f"did you mean {seconds / 1000:g}?"
                )
        for name in (
            "max_http_buffer_size", "max_outbox_size", "max_total_outbox_size",
            "max_total_unfinished_size", "max_header_size", "max_sessions",
            "max_mounted_websockets", "max_buffered_size_per_address", "max_handlers_per_address",
        ):  # fmt: skip
            check_at_least(name, getattr(self, name), 1)
        if self.max_sessions_per_address is not None:
            check_at_least("max_sessions_per_address", self.max_sessions_per_address, 1)
        for name, kind in _OBJECTS.items():
            check_instance(name, getattr(self, name), kind)
        for name in ("allow_request", "generate_id"):
            if (function := getattr(self, name)) is not None:
                require_function_or_coroutine_function(name, function)
                require_parameters(name, function, ("request",))
        if self.initial_packet is not None and not isinstance(self.initial_packet, str | bytes):
            raise TypeError(
                f"initial_packet must be a string, bytes or None, got {self.initial_packet!r}"
            )
        _check_networks("trusted_proxies", self.trusted_proxies)


_DURATIONS: Final = (
    "ping_interval",
    "ping_timeout",
    "upgrade_timeout",
    "close_timeout",
    "handshake_timeout",
    "header_timeout",
    "body_timeout",
    "keep_alive_timeout",
    "slow_consumer_timeout",
)
_OBJECTS: Final[dict[str, type]] = {
    "http_compression": HttpCompression,
    "per_message_deflate": PerMessageDeflate,
    "cookie": Cookie,
    "cors": Cors,
}


def _check_transports(value: Any) -> None:
    if (
        isinstance(value, str)
        or not isinstance(value, Collection)
        or not value
        or any(each not in SERVER_TRANSPORTS for each in value)
    ):
        raise ValueError(
            f'transports must be a list of "polling", "websocket" and "webtransport", got {value!r}'
        )

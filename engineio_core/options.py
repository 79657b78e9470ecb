"""The options of an Engine.IO server: every one with its unit, its default and its check.

Knows: which values make sense together.  Does not know: who obeys them.
An unknown or impossible option raises at construction, never later.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from engineio_core.http.message import HttpRequest

Options = TypeVar("Options")
Origin: TypeAlias = "str | re.Pattern[str]"
OriginCheck: TypeAlias = Callable[[str], bool]
AllowRequest: TypeAlias = (
    "Callable[[HttpRequest], bool | str | Awaitable[bool | str | None] | None]"
)
GenerateId: TypeAlias = "Callable[[HttpRequest], str | Awaitable[str]]"

TRANSPORTS: Final = ("polling", "websocket")
LONGEST_BEAT: Final = 3600.0

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_COOKIE_ATTRIBUTE = re.compile(r"[\x20-\x3A\x3C-\x7E]*")  # RFC 6265: no controls, no ";"


def positive(name: str, value: Any) -> None:
    """Raise ValueError for an option that is no number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ValueError(f"{name} is a number of seconds above 0, not {value!r}")


def at_least(name: str, value: Any, least: int) -> None:
    """Raise ValueError for an option that is no whole number, or too small a one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is a whole number of at least {least}, not {value!r}")


def _within(name: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} is a whole number from {least} to {most}, not {value!r}")


def one_of(name: str, value: Any, kind: type) -> None:
    """Raise TypeError if an option that is an object of its own, or None, is anything else."""
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} is a {kind.__name__}(...) or None, not {value!r}")


def _networks(name: str, value: Any) -> None:
    if isinstance(value, str):
        raise ValueError(f"{name} is a collection of networks, not {value!r}")
    for network in value:
        try:
            if network != "unix":
                ipaddress.ip_network(network)
        except ValueError as error:
            raise ValueError(
                f'{name} has networks like "10.0.0.0/8", and "unix": {error}'
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """Which other origins may talk to this server.

    `origins`: `"*"`, one origin, a compiled pattern, a collection of both, or a function
    `(origin) -> bool`. The origin of the page's own host is always allowed.
    `max_age` is in seconds. Refused at construction: `"*"` together with `credentials`, for a
    browser would let any site act in the name of whoever is logged in.
    """

    origins: Origin | Collection[Origin] | OriginCheck = "*"
    methods: Collection[str] = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE")
    allowed_headers: Collection[str] | None = None
    exposed_headers: Collection[str] = ()
    credentials: bool = False
    max_age: int | None = None
    options_success_status: int = 204

    def __post_init__(self) -> None:
        anyone = self.origins == "*" or (
            isinstance(self.origins, Collection) and "*" in self.origins
        )
        if anyone and self.credentials:
            raise ValueError(
                'Cors(origins="*", credentials=True) would let any site act for a logged-in user: '
                "name the origins"
            )
        for origin in _plain_origins(self.origins):
            if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s]+|null", origin):
                raise ValueError(
                    f"{origin!r} is not an origin: write scheme://host[:port], without a path"
                )


def _plain_origins(origins: Origin | Collection[Origin] | OriginCheck) -> list[str]:
    if isinstance(origins, str):
        return [origins]
    if isinstance(origins, re.Pattern) or callable(origins):
        return []
    return [origin for origin in origins if isinstance(origin, str)]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCompression:
    """Poll responses of at least `threshold` bytes are sent as gzip or deflate."""

    threshold: int = 1024
    level: int = 6

    def __post_init__(self) -> None:
        at_least("threshold", self.threshold, 0)
        _within("level", self.level, 0, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerMessageDeflate:
    """WebSocket messages of at least `threshold` bytes are compressed (RFC 7692).

    Costs memory (up to about 300 KiB a connection without the `no_context_takeover` options).
    """

    threshold: int = 1024
    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False

    def __post_init__(self) -> None:
        at_least("threshold", self.threshold, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """A cookie with the sid, set by the answer to a handshake; `max_age` is in seconds.

    It helps a load balancer to keep a client on one server; it grants nothing.
    """

    name: str = "io"
    path: str | None = "/"
    http_only: bool = True
    same_site: Literal["strict", "lax", "none"] | None = "lax"
    secure: bool = False
    domain: str | None = None
    max_age: int | None = None

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.name):
            raise ValueError(f"{self.name!r} can't be the name of a cookie")
        for attribute in (self.path or "", self.domain or ""):
            if not _COOKIE_ATTRIBUTE.fullmatch(attribute):
                raise ValueError(f"{attribute!r} can't be an attribute of a cookie")
        if self.same_site not in {"strict", "lax", "none", None}:
            raise ValueError('same_site is "strict", "lax", "none" or None')


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Every option of an engine. Durations are seconds (float), sizes are bytes.

    From Node's server: `path` and `add_trailing_slash` (where the engine answers; everything
    below the path is its own), `transports`, `ping_interval` and `ping_timeout` (told to the
    client), `upgrade_timeout` (how long a probe may take), `max_http_buffer_size` (a POST body
    and a WebSocket message at the most; told to the client as maxPayload), `allow_upgrades`,
    `http_compression`, `per_message_deflate`, `cookie`, `cors`, `allow_request` (True or None
    lets a handshake pass; False or a text refuses it), `initial_packet` (a message sent along
    with the handshake), `allow_eio3` (protocol 3 does not exist here: True is refused),
    `generate_id` (a sid of one's own: unique, secret, `[A-Za-z0-9_-]`).

    Of ours: `max_outbox_size` (what may wait for one client; above it the session closes with
    reason "slow consumer"), `close_timeout` (how long an orderly close may take),
    `handshake_timeout` (all middlewares and `allow_request` together), `header_timeout` (one
    request head), `body_timeout` (one POST body), `keep_alive_timeout` (an idle HTTP
    connection), `max_header_size`, `max_sessions` (more are answered 503), `trusted_proxies`
    (networks in CIDR notation, or "unix", whose X-Forwarded-* and Forwarded are believed).
    """

    path: str = "/engine.io"
    add_trailing_slash: bool = True
    transports: Collection[str] = TRANSPORTS
    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    upgrade_timeout: float = 10.0
    max_http_buffer_size: int = 1_000_000
    allow_upgrades: bool = True
    http_compression: HttpCompression | None = HttpCompression()
    per_message_deflate: PerMessageDeflate | None = None
    cookie: Cookie | None = None
    cors: Cors | None = None
    allow_request: AllowRequest | None = None
    initial_packet: str | bytes | None = None
    allow_eio3: bool = False
    generate_id: GenerateId | None = None

    max_outbox_size: int = 8 * 1024 * 1024
    close_timeout: float = 30.0
    handshake_timeout: float = 10.0
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    keep_alive_timeout: float = 65.0
    max_header_size: int = 16 * 1024
    max_sessions: int = 100_000
    trusted_proxies: Collection[str] = ()

    def __post_init__(self) -> None:
        unknown = set(self.transports) - set(TRANSPORTS)
        if isinstance(self.transports, str) or unknown or not self.transports:
            raise ValueError(
                f'transports is a collection of "polling" and "websocket", not {self.transports!r}'
            )
        if self.allow_eio3:
            raise ValueError("allow_eio3: protocol revision 3 is not implemented; leave it False")
        if not self.path.startswith("/"):
            raise ValueError(f'path begins with "/": {self.path!r}')
        for name in _DURATIONS:
            positive(name, getattr(self, name))
        for name in ("ping_interval", "ping_timeout"):
            if (seconds := getattr(self, name)) > LONGEST_BEAT:
                # Node's options are in milliseconds.
                most = f"{name} is in seconds, {LONGEST_BEAT:g} at most"
                raise ValueError(f"{most}: did you mean {seconds / 1000:g}?")
        for name in ("max_http_buffer_size", "max_outbox_size", "max_header_size", "max_sessions"):
            at_least(name, getattr(self, name), 1)
        for name, kind in _OBJECTS.items():
            one_of(name, getattr(self, name), kind)
        _networks("trusted_proxies", self.trusted_proxies)


_DURATIONS: Final = (
    "ping_interval",
    "ping_timeout",
    "upgrade_timeout",
    "close_timeout",
    "handshake_timeout",
    "header_timeout",
    "body_timeout",
    "keep_alive_timeout",
)
_OBJECTS: Final[dict[str, type]] = {
    "http_compression": HttpCompression,
    "per_message_deflate": PerMessageDeflate,
    "cookie": Cookie,
    "cors": Cors,
}


def build_options(kind: type[Options], given: Mapping[str, Any]) -> Options:
    """Make options of `kind`; an unknown name raises a TypeError that lists the known ones."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass by contract
    refuse_unknown(given, known)
    return kind(**given)


def refuse_unknown(given: Collection[str], known: Collection[str]) -> None:
    """Raise TypeError for names that no option has: it says what was meant, or which there are."""
    for name in given:
        if name not in known:
            # Node's are written in another way: pingInterval is ping_interval.
            spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
            near = get_close_matches(spelled, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
            raise TypeError(f"unknown option {name}: {hint}")

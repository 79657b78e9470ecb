"""Creation of the Socket.IO server from settings: CORS, recovery, affinity cookie, TLS."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from secrets import token_urlsafe
from typing import Any

from engineio_core import Cors, EngineOptions
from engineio_core.http.listener import Tls
from engineio_core.http.message import HttpRequest
from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import SettingsError
from hextrackr_server.sockets import origin_log
from hextrackr_server.sockets.recovery_clients import is_javascript_client
from socketio_core import Recovery, RedisClassic, RedisSharded, RedisStreams, SocketServer
from socketio_core.adapters.interface import AdapterFactory

PATH = "/socket.io"


def create_engine_options(settings: Settings) -> EngineOptions:
    """Return the options of the engine, which accepts the connections of all clients."""
    return EngineOptions(
        path=PATH,
        cors=_cors(settings),
        ping_interval=settings.ping_interval,
        ping_timeout=settings.ping_timeout,
        trusted_proxies=settings.trusted_proxies,
        max_sessions=settings.max_connections,
        max_buffered_size_per_address=settings.max_buffered_megabytes_per_address << 20,
        max_handlers_per_address=settings.max_handlers_per_address,
    )


def create_socket_server(
    settings: Settings,
    *,
    still_valid: Callable[[dict[str, Any]], bool],
    error_ack: Callable[[BaseException], Any],
) -> SocketServer:
    """Return the server; `still_valid` decides whether the state of a socket is recovered."""
    recovery = None
    if settings.recovery_seconds > 0:
        recovery = Recovery(
            max_disconnection_duration=settings.recovery_seconds,
            # Recovered clients re-authenticate; missed events stay private to the user.
            skip_middlewares=False,
            still_valid=still_valid,
            offered_to=is_javascript_client if settings.recovery_clients == "javascript" else None,
        )
    options = create_engine_options(settings)
    io = SocketServer(
        adapter=_create_adapter(settings),
        path=options.path,
        cors=options.cors,
        recovery=recovery,
        ping_interval=options.ping_interval,
        ping_timeout=options.ping_timeout,
        trusted_proxies=options.trusted_proxies,
        max_sessions=options.max_sessions,
        max_buffered_size_per_address=options.max_buffered_size_per_address,
        max_handlers_per_address=options.max_handlers_per_address,
        error_ack=error_ack,
    )
    assert options.cors is not None
    origin_log.register(io, options.cors)
    if settings.affinity_cookie is not None:
        _add_affinity_cookie(io, settings.affinity_cookie)
    return io


def _create_adapter(settings: Settings) -> AdapterFactory | None:
    """Return the connection to the other servers on REDIS_URL; SettingsError without the client."""
    if settings.redis_url is None:
        return None
    kinds: dict[str, Callable[[str], AdapterFactory]] = {
        "classic": RedisClassic,
        "sharded": RedisSharded,
        "streams": RedisStreams,
    }
    try:
        return kinds[settings.redis_adapter](settings.redis_url)
    except ImportError as error:
        raise SettingsError(
            f"REDIS_URL requires the client redis ({error}): install the extra 'redis', "
            "`pip install '.[redis]'` in a clone"
        ) from error
    except ValueError as error:
        raise SettingsError(f"REDIS_URL is not usable: {error}") from error


def _cors(settings: Settings) -> Cors:
    origins: list[str | re.Pattern[str]] = list(settings.cors_origins)
    if settings.cors_origin_pattern is not None:
        origins.append(re.compile(settings.cors_origin_pattern))
    return Cors(
        origins=origins,
        methods=("GET", "POST"),
        allowed_headers=("authorization", "content-type"),
        credentials=True,
    )


def load_tls(settings: Settings) -> Tls | None:
    """Return the certificate of the settings, or None; SettingsError if it is not usable."""
    if settings.ssl_cert_path is None:
        return None
    try:
        tls = Tls(certificate=settings.ssl_cert_path, key=settings.ssl_key_path)
        tls.make_context()
    except (ValueError, OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"SSL_CERT_PATH and SSL_KEY_PATH must name a certificate and its key: {error}"
        ) from error
    return tls


def _add_affinity_cookie(io: SocketServer, name: str) -> None:
    """Send each client a random cookie for a load balancer; the cookie grants no access."""

    def add_cookie(headers: dict[str, str], request: HttpRequest) -> None:
        if f"{name}=" not in request.headers.get("cookie", ""):
            secure = "; Secure" if request.secure else ""
            value = f"{name}={token_urlsafe(12)}; Path=/; HttpOnly; SameSite=Lax{secure}"
            headers["Set-Cookie"] = value

    io.engine.on("initial_headers", add_cookie)

"""The settings of one server: typed, frozen, checked once.

Knows: the names of the environment variables, the flags that override them, what is acceptable.
Does not know: the parts that are configured with them.

    JWT_SECRET        the secret that signs tokens, 32 bytes or more
    JWT_SECRET_FILE   a file that holds it, instead
    HOST, PORT        where to listen                       (--host, --port)
    DATABASE          path of the SQLite file               (--database)
    CORS_ORIGIN       origins that may connect from a browser, separated by commas
    LOG_FORMAT        human or json                         (--log-format)
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hextrackr_server.errors import SettingsError

MINIMUM_SECRET_BYTES = 32
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
DEFAULT_DATABASE = "data/hextrackr.db"
LOG_FORMATS = ("human", "json")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that may differ between two servers; the secret stays out of its repr."""

    host: str
    port: int
    database: Path
    jwt_secret: bytes = field(repr=False)
    cors_origins: tuple[str, ...]
    log_format: str
    dev: bool


def load(environment: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Settings:
    """Settings from the environment, overridden by the flags that are not None.

    Raises SettingsError, with one line for the terminal, where a server must not start.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    dev = bool(given.get("dev", False))
    host = str(given.get("host") or environment.get("HOST") or DEFAULT_HOST)
    if dev and not is_loopback(host):
        raise SettingsError(
            f"--dev serves the loopback interface only: use --host 127.0.0.1, not {host}"
        )
    return Settings(
        host=host,
        port=_port(given.get("port", environment.get("PORT") or DEFAULT_PORT)),
        database=Path(given.get("database") or environment.get("DATABASE") or DEFAULT_DATABASE),
        jwt_secret=secrets.token_bytes(MINIMUM_SECRET_BYTES) if dev else load_secret(environment),
        cors_origins=_origins(environment.get("CORS_ORIGIN", "")),
        log_format=_log_format(given.get("log_format") or environment.get("LOG_FORMAT") or "human"),
        dev=dev,
    )


def load_secret(environment: Mapping[str, str]) -> bytes:
    """The configured signing secret, or a SettingsError that says how to configure one."""
    direct, path = environment.get("JWT_SECRET"), environment.get("JWT_SECRET_FILE")
    if direct and path:
        raise SettingsError("JWT_SECRET and JWT_SECRET_FILE are both set: unset one of them")
    if not direct and not path:
        raise SettingsError(
            f"no secret: set JWT_SECRET or JWT_SECRET_FILE, {MINIMUM_SECRET_BYTES} bytes or more, "
            "for example from `openssl rand -hex 32`, or try --dev"
        )
    secret = direct.encode() if direct else _read_secret(Path(path or ""))
    if len(secret) < MINIMUM_SECRET_BYTES:
        raise SettingsError(
            f"the secret has {len(secret)} bytes: use {MINIMUM_SECRET_BYTES} or more, "
            "for example from `openssl rand -hex 32`"
        )
    return secret


def is_loopback(host: str) -> bool:
    """Whether a host can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_secret(path: Path) -> bytes:
    try:
        # An editor ends the file with a newline that nobody means as a part of the secret.
        return path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"JWT_SECRET_FILE {path} cannot be read: {reason}") from error


def _port(value: str | int) -> int:
    try:
        port = int(value)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise SettingsError(f"PORT must be a number from 0 to 65535, not {value!r}")
    return port


def _log_format(value: str) -> str:
    if value not in LOG_FORMATS:
        raise SettingsError(f"LOG_FORMAT must be one of {', '.join(LOG_FORMATS)}, not {value!r}")
    return value


def _origins(value: str) -> tuple[str, ...]:
    origins = tuple(origin for part in value.split(",") if (origin := part.strip().rstrip("/")))
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query:
            # "*" too: with credentials it would let every site act for its visitors.
            raise SettingsError(
                f"CORS_ORIGIN must list origins such as https://app.example, not {origin!r}"
            )
    return origins

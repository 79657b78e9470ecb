"""Settings of one server: names, defaults, and the rules that combine several of them.

A setting is a field of `Settings`. Its value comes from a flag, from HEXTRACKR_<NAME>, from the
variable that its line names, or from the field's name in a TOML file, in this order. A secret can
be in a file, which the name of the variable with _FILE names. `config.sources` finds the values,
`config.parsers` validates them.
"""

# ruff: noqa: RUF009 - `option` is a field
from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from hextrackr_server.config import parsers
from hextrackr_server.config.parsers import MINIMUM_SECRET_BYTES, is_loopback
from hextrackr_server.config.producers import IngestToken, parse_ingest_tokens
from hextrackr_server.config.sources import Sources
from hextrackr_server.daily_time import DailyTime
from hextrackr_server.errors import SettingsError

__all__ = ["LOG_FORMATS", "Settings", "describe", "is_loopback", "load", "load_secret"]

LOG_FORMATS = ("human", "json")
PRESENCE_SCOPES = ("everyone", "watchers")
ALGORITHMS = ("HS256", "RS256", "EdDSA")
DAY = 24 * 3600.0
CISA_URL = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"
CISA_HOSTS = ("www.cisa.gov", "cisa.gov")


def option(kind: parsers.Parser, default: Any, *names: str, secret: bool = False) -> Any:
    """Return a field for a setting; `names` are variables in addition to HEXTRACKR_<FIELD>."""
    metadata = {"kind": kind, "names": names, "secret": secret}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a server; the repr contains no secrets."""

    # network and storage
    host: str = option(parsers.parse_text, "127.0.0.1", "HOST")
    port: int = option(parsers.integer_between(0, 65535), 8080, "PORT")
    database: Path = option(parsers.parse_path, Path("data/hextrackr.db"), "DATABASE")
    # URL of a PostgreSQL database, used instead of the file; uploads stay next to the file
    database_url: str | None = option(parsers.parse_text, None, "DATABASE_URL", secret=True)
    # folder from which administrators import files by path
    import_inbox: Path | None = option(parsers.parse_path, None)
    ssl_key_path: Path | None = option(parsers.parse_path, None, "SSL_KEY_PATH")
    ssl_cert_path: Path | None = option(parsers.parse_path, None, "SSL_CERT_PATH")
    trusted_proxies: tuple[str, ...] = option(parsers.parse_networks, (), "TRUSTED_PROXIES")
    redis_url: str | None = option(parsers.parse_redis_url, None, "REDIS_URL", secret=True)
    # the format of the messages in Redis: the adapter that the Node servers of the cluster use
    redis_adapter: str = option(parsers.choice_of("classic", "sharded", "streams"), "classic")
    # processes that hold the connections of clients, next to the one that runs the application;
    # 1: one process for everything
    workers: int = option(parsers.integer_between(1, 64), 1)
    # the address at which other servers with the same PostgreSQL database reach this one
    cluster_address: str | None = option(parsers.parse_address, None)
    node_env: str = option(
        parsers.choice_of("production", "development", "test"), "production", "NODE_ENV"
    )
    dev: bool = option(parsers.parse_switch, False)
    # the page /playground, which --dev serves as well
    playground: bool = option(parsers.parse_switch, False)

    # browsers
    cors_origins: tuple[str, ...] = option(parsers.parse_origins, (), "CORS_ORIGIN")
    cors_origin_pattern: str | None = option(parsers.parse_pattern, None, "CORS_ORIGIN_PATTERN")

    # tokens
    jwt_secret: bytes = option(parsers.parse_secret, b"", "JWT_SECRET", secret=True)
    jwt_public_key: bytes = option(parsers.parse_public_key, b"", "JWT_PUBLIC_KEY", secret=True)
    jwt_algorithms: tuple[str, ...] = option(
        parsers.choices_of(*ALGORITHMS), ("HS256",), "JWT_ALGORITHMS"
    )
    jwt_issuer: str | None = option(parsers.parse_text, None, "JWT_ISSUER")
    jwt_audience: str | None = option(parsers.parse_text, None, "JWT_AUDIENCE")
    jwt_leeway: float = option(parsers.seconds_between(0, 300), 0.0, "JWT_LEEWAY")
    jwt_user_claims: tuple[str, ...] = option(
        parsers.parse_names, ("sub", "userId"), "JWT_USER_CLAIMS"
    )
    jwt_max_age: float = option(parsers.seconds_between(0, 3660 * DAY), 0.0, "JWT_MAX_AGE")
    # further names of roles, in tokens and sessions: name=role
    role_names: tuple[str, ...] = option(parsers.parse_role_names, ())

    # cookies of express-session
    session_secrets: tuple[bytes, ...] = option(
        parsers.parse_secrets, (), "SESSION_SECRET", secret=True
    )
    session_cookie: str = option(parsers.parse_cookie_name, "hextrackr.sid", "SESSION_COOKIE")
    sessions_database: Path = option(
        parsers.parse_path, Path("data/sessions.db"), "SESSIONS_DATABASE"
    )
    # a store in PostgreSQL or Redis, used instead of the file
    sessions_url: str | None = option(parsers.parse_store_url, None, "SESSIONS_URL", secret=True)
    # its table, or the prefix of its keys in Redis
    sessions_table: str | None = option(parsers.parse_text, None)
    # where a session contains its user: the first path with a value counts
    session_user: tuple[str, ...] = option(
        parsers.parse_names, ("userId", "passport.user", "passport.user.id")
    )
    session_username: tuple[str, ...] = option(
        parsers.parse_names, ("username", "passport.user.username")
    )
    session_role: tuple[str, ...] = option(parsers.parse_names, ("role", "passport.user.role"))

    # connections
    recheck_interval: float = option(parsers.seconds_between(1, DAY), 60.0)
    strict_http_auth: bool = option(parsers.parse_switch, False)
    recovery_seconds: float = option(parsers.seconds_between(0, 3600), 120.0)
    # the clients that get recovery, and with it an offset at the end of each event
    recovery_clients: str = option(parsers.choice_of("javascript", "all"), "javascript")
    max_connections: int = option(parsers.integer_between(1, 1_000_000), 10_000)
    max_connections_per_user: int = option(parsers.integer_between(1, 100_000), 64)
    max_connections_per_address: int = option(parsers.integer_between(1, 1_000_000), 1024)
    # unfinished messages and queued packets, and running handlers
    max_buffered_megabytes_per_user: int = option(parsers.integer_between(1, 100_000), 64)
    max_buffered_megabytes_per_address: int = option(parsers.integer_between(1, 100_000), 256)
    max_handlers_per_user: int = option(parsers.integer_between(1, 1_000_000), 1000)
    max_handlers_per_address: int = option(parsers.integer_between(1, 1_000_000), 10_000)
    max_rooms: int = option(parsers.integer_between(4, 10_000), 64)

    # rate limits
    connects_per_minute: int = option(parsers.integer_between(1, 1_000_000), 600)
    events_per_minute: int = option(parsers.integer_between(1, 1_000_000), 600)
    events_per_minute_of_address: int = option(parsers.integer_between(1, 10_000_000), 6000)
    refusals_before_disconnect: int = option(parsers.integer_between(1, 100_000), 100)

    # changed findings per import or KEV synchronization that clients receive
    import_megabytes: int = option(parsers.integer_between(1, 100_000), 100)
    changes_per_import: int = option(parsers.integer_between(0, 10_000), 500)

    # retention: numbers and ages of rows that the hub keeps; 0: all
    snapshots_kept: int = option(parsers.integer_between(1, 1000), 3)
    snapshots_kept_days: int = option(parsers.integer_between(0, 36_600), 0)
    history_kept_days: int = option(parsers.integer_between(0, 36_600), 0)
    imports_kept: int = option(parsers.integer_between(0, 10_000_000), 0)
    imports_kept_days: int = option(parsers.integer_between(0, 36_600), 0)
    # uploads that wait for their import, per user
    uploads_kept: int = option(parsers.integer_between(1, 1000), 10)
    uploads_kept_seconds: float = option(parsers.seconds_between(60, 7 * DAY), 3600.0)

    # editing; presence_scope selects the receivers of editing events: all logged-in users, or users
    # who watch the resource
    presence_scope: str = option(parsers.choice_of(*PRESENCE_SCOPES), "everyone")
    editing_idle_seconds: float = option(parsers.seconds_between(10, DAY), 1800.0)
    editing_grace_seconds: float = option(parsers.seconds_between(0, 120), 10.0)

    # notifications to one user: sent once, or stored and repeated until the user acknowledges them
    notification_acks: bool = option(parsers.parse_switch, False)
    notification_timeout: float = option(parsers.seconds_between(0.1, 300), 10.0)
    notification_attempts: int = option(parsers.integer_between(1, 20), 3)
    notifications_kept: int = option(parsers.integer_between(1, 10_000), 100)
    notifications_kept_seconds: float = option(parsers.seconds_between(60, 366 * DAY), 7 * DAY)

    # known exploited vulnerabilities: kev_file replaces kev_url; with both kev_interval (0: off)
    # and kev_time, the earlier one of the two applies
    kev_url: str = option(parsers.parse_text, CISA_URL)
    kev_hosts: tuple[str, ...] = option(parsers.parse_list, CISA_HOSTS)
    kev_file: Path | None = option(parsers.parse_path, None)
    kev_interval: float = option(parsers.seconds_between(0, 30 * DAY), 0.0)
    kev_time: DailyTime | None = option(parsers.parse_time_of_day, None)

    # transport and shutdown
    ping_interval: float = option(parsers.seconds_between(1, 60), 25.0)
    ping_timeout: float = option(parsers.seconds_between(1, 120), 20.0)
    affinity_cookie: str | None = option(parsers.parse_cookie_name, None)
    shutdown_disconnect: bool = option(parsers.parse_switch, True)
    # seconds over which clients are disconnected; without it 0.02 per client, at most 5
    shutdown_drain: float | None = option(parsers.seconds_between(0, 300), None)

    # operators and producers
    log_format: str = option(parsers.choice_of(*LOG_FORMATS), "human", "LOG_FORMAT")
    log_level: str = option(
        parsers.choice_of("debug", "info", "warning", "error"), "info", "LOG_LEVEL"
    )
    # lines of one kind per minute before further ones are only counted; 0: no limit
    log_lines_per_kind: int = option(parsers.integer_between(0, 1_000_000), 60)
    event_log: Path | None = option(parsers.parse_path, None)
    # one of so many events of each name is written
    event_log_every: int = option(parsers.integer_between(1, 1_000_000), 1)
    metrics_token: bytes = option(parsers.parse_secret, b"", secret=True)
    # traces with OpenTelemetry; the standard variables OTEL_* configure the exporter
    tracing: bool = option(parsers.parse_switch, False)
    ingest_tokens: tuple[IngestToken, ...] = option(parse_ingest_tokens, (), secret=True)
    ingest_signed_only: bool = option(parsers.parse_switch, False)


def load(environment: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings from flags that are not None, the environment and the settings file.

    Raises SettingsError, with one line for the terminal, if the server cannot start with them.
    """
    settings, _ = _read_all(environment, flags)
    return _checked(settings)


def describe(environment: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> list[str]:
    """Return a line per setting with its value and its source; secrets are not shown.

    Combinations that `load` rejects are shown unchanged.
    """
    settings, origins = _read_all(environment, flags)
    with contextlib.suppress(SettingsError):
        settings = _checked(settings)
    width = max(len(each.name) for each in fields(Settings))
    return [
        f"{each.name:<{width}} {_shown(each, getattr(settings, each.name)):<32} "
        f"({origins.get(each.name, 'default')})"
        for each in fields(Settings)
    ]


def overview() -> list[str]:
    """Return a line per setting with its variables, default and choices, for `--help`."""
    lines = []
    for each in fields(Settings):
        names = ", ".join((f"HEXTRACKR_{each.name.upper()}", *each.metadata["names"]))
        words = parsers.choices(each.metadata["kind"])
        known = f"one of {', '.join(words)}; " if words else ""
        lines.append(f"{names}: {known}default {_shown(each, each.default)}")
    return lines


def notes(environment: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> list[str]:
    """Return a line per variable of HexTrackr that the hub ignores."""
    return [
        f"{name} is ignored: {meaning}; it is not a setting of the hub"
        for name, meaning in Sources(environment, flags or {}, known()).ignored().items()
    ]


def load_secret(environment: Mapping[str, str]) -> bytes:
    """Return the signing secret; SettingsError, with the remedy, if it is not set."""
    secret: bytes = _read(Sources(environment, {}, known()), "jwt_secret") or b""
    if not secret:
        raise _no_secret()
    return secret


def load_some(
    environment: Mapping[str, str], flags: Mapping[str, Any], *names: str
) -> dict[str, Any]:
    """Return some of the settings, for commands that need no others."""
    sources = Sources(environment, flags, known())
    defaults = Settings.__dataclass_fields__
    values = {name: _read(sources, name) for name in names}
    return {
        name: defaults[name].default if value is None else value for name, value in values.items()
    }


def known() -> dict[str, tuple[str, ...]]:
    """Return the variables of each setting in addition to HEXTRACKR_<FIELD>."""
    return {each.name: each.metadata["names"] for each in fields(Settings)}


def _read_all(
    environment: Mapping[str, str], flags: Mapping[str, Any] | None
) -> tuple[Settings, dict[str, str]]:
    sources = Sources(environment, flags or {}, known())
    values = {each.name: _read(sources, each.name) for each in fields(Settings)}
    found = {name: value for name, value in values.items() if value is not None}
    return Settings(**found), sources.origins


def _read(sources: Sources, name: str) -> Any:
    """Return the value of a setting, or None if it is not set."""
    metadata = Settings.__dataclass_fields__[name].metadata
    found = sources.find(name, is_secret=metadata["secret"])
    return None if found is None else metadata["kind"](found.name, found.value)


def _checked(settings: Settings) -> Settings:
    """Return the settings; SettingsError for an invalid combination."""
    if settings.dev:
        if not is_loopback(settings.host):
            raise SettingsError(
                f"--dev requires a loopback address: use --host 127.0.0.1, got {settings.host}"
            )
        # Development tokens are valid for this process only, independent of the configured secret.
        fresh = secrets.token_bytes(MINIMUM_SECRET_BYTES)
        settings = replace(settings, jwt_secret=fresh, node_env="development")
    if not (settings.jwt_secret or settings.jwt_public_key or settings.session_secrets):
        raise _no_secret()
    if settings.jwt_public_key and set(settings.jwt_algorithms) == {"HS256"}:
        raise SettingsError("JWT_PUBLIC_KEY requires RS256 or EdDSA in JWT_ALGORITHMS")
    if {"RS256", "EdDSA"} & set(settings.jwt_algorithms) and not settings.jwt_public_key:
        raise SettingsError(
            "RS256 or EdDSA in JWT_ALGORITHMS requires a key: set JWT_PUBLIC_KEY_FILE"
        )
    if (settings.ssl_key_path is None) != (settings.ssl_cert_path is None):
        raise SettingsError(
            "SSL_KEY_PATH and SSL_CERT_PATH must be set together: set both, or none"
        )
    if settings.cluster_address is not None:
        _check_cluster(settings)
    return settings


def _check_cluster(settings: Settings) -> None:
    if settings.database_url is None:
        raise SettingsError(
            "HEXTRACKR_CLUSTER_ADDRESS requires a PostgreSQL database that all servers share: "
            "set DATABASE_URL"
        )
    if settings.dev or not (settings.jwt_secret or settings.session_secrets):
        raise SettingsError(
            "HEXTRACKR_CLUSTER_ADDRESS requires a secret that all servers share: set JWT_SECRET "
            "or SESSION_SECRET"
        )


def _no_secret() -> SettingsError:
    return SettingsError(
        f"a secret is required: set JWT_SECRET or JWT_SECRET_FILE to at least "
        f"{MINIMUM_SECRET_BYTES} bytes (for example from `openssl rand -hex 32`), or use --dev"
    )


def _shown(which: Field[Any], value: Any) -> str:
    if value in (None, b"", ()):
        return "-"
    if which.metadata["secret"]:
        return "(secret, set)"
    return ", ".join(value) if isinstance(value, tuple) else str(value)

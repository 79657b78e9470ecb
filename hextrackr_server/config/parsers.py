"""Parsers of setting values: from text, or from a value of a TOML file.

A parser is a function `(name, value) -> result` that raises SettingsError. The error text never
contains a secret. `config.sources` finds the values, `config.settings` lists the settings.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from hextrackr_server.config.roles import ROLES
from hextrackr_server.daily_time import DailyTime
from hextrackr_server.errors import SettingsError

MINIMUM_SECRET_BYTES = 32

Parser: TypeAlias = Callable[[str, Any], Any]

_CHOICES: dict[Parser, tuple[str, ...]] = {}
_WORDS = {
    "1": True, "true": True, "yes": True, "on": True,
    "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip


def parse_text(name: str, value: Any) -> str:
    """Return a text without control characters."""
    if not isinstance(value, str) or not value.isprintable():
        raise SettingsError(f"{name} must be a text on one line")
    return value


def parse_cookie_name(name: str, value: Any) -> str:
    """Return the name of a cookie."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value):
        raise SettingsError(f"{name} must be 1 to 64 letters, digits or . _ -, got {value!r}")
    return value


def parse_path(name: str, value: Any) -> Path:
    """Return the path of a file or directory."""
    return Path(parse_text(name, value))


def parse_switch(name: str, value: Any) -> bool:
    """Return a boolean for true, yes, on, 1 or false, no, off, 0."""
    if isinstance(value, bool):
        return value
    found = _WORDS.get(str(value).strip().lower())
    if found is None:
        raise SettingsError(f"{name} must be true or false, got {value!r}")
    return found


def integer_between(least: int, most: int) -> Parser:
    """Return a parser of integers from `least` to `most`."""

    def parse(name: str, value: Any) -> int:
        try:
            number = int(value) if isinstance(value, str | int) else least - 1
        except ValueError:
            number = least - 1
        if isinstance(value, bool) or not least <= number <= most:
            raise SettingsError(f"{name} must be a number from {least} to {most}, got {value!r}")
        return number

    return parse


def seconds_between(least: float, most: float) -> Parser:
    """Return a parser of durations from `least` to `most` seconds."""

    def parse(name: str, value: Any) -> float:
        try:
            number = float(value) if isinstance(value, str | int | float) else math.nan
        except ValueError:
            number = math.nan
        if isinstance(value, bool) or not least <= number <= most:
            raise SettingsError(
                f"{name} must be a number of seconds from {least:g} to {most:g}, got {value!r}"
            )
        return number

    return parse


def parse_time_of_day(name: str, value: Any) -> DailyTime:
    """Return a time of day in a time zone."""
    try:
        return DailyTime.parse(parse_text(name, value))
    except ValueError as error:
        raise SettingsError(
            f"{name} must be a time with a time zone such as 06:30 Europe/Berlin: {error}"
        ) from error


def choices(parser: Parser) -> tuple[str, ...]:
    """Return the words that a parser of `choice_of` or `choices_of` accepts, else nothing."""
    return _CHOICES.get(parser, ())


def choice_of(*choices: str) -> Parser:
    """Return a parser that accepts one of the given words."""

    def parse(name: str, value: Any) -> str:
        if value not in choices:
            raise SettingsError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
        return str(value)

    _CHOICES[parse] = choices
    return parse


def choices_of(*choices: str) -> Parser:
    """Return a parser that accepts a list of one or more of the given words."""

    def parse(name: str, value: Any) -> tuple[str, ...]:
        words = parse_list(name, value)
        if not words or not set(words) <= set(choices):
            raise SettingsError(f"{name} must list some of {', '.join(choices)}, got {value!r}")
        return words

    _CHOICES[parse] = choices
    return parse


def parse_list(name: str, value: Any) -> tuple[str, ...]:
    """Return the texts of a list, or of a text with commas between them."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise SettingsError(f"{name} must be a list of texts")
    return tuple(part.strip() for part in parts if part.strip())


def parse_names(name: str, value: Any) -> tuple[str, ...]:
    """Return one or more names."""
    found = parse_list(name, value)
    if not found:
        raise SettingsError(f"{name} must list at least one name, got {value!r}")
    return found


def parse_role_names(name: str, value: Any) -> tuple[str, ...]:
    """Return further names of roles as texts `name=role`; the name `*` stands for all others."""
    found = parse_list(name, value)
    for text in found:
        other, _, role = text.rpartition("=")
        if not other or role not in ROLES:
            raise SettingsError(
                f"{name} must list name=role with a role of {', '.join(ROLES)}, got {text!r}"
            )
    return found


def parse_origins(name: str, value: Any) -> tuple[str, ...]:
    """Return origins of web pages.

    Reject "*": with credentials, any site could then act in the name of its visitors.
    """
    found = tuple(origin.rstrip("/") for origin in parse_list(name, value))
    for origin in found:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query:
            raise SettingsError(
                f"{name} must list origins such as https://app.example, got {origin!r}"
            )
    return found


def parse_pattern(name: str, value: Any) -> str:
    """Return a regular expression, as text."""
    try:
        re.compile(parse_text(name, value))
    except re.error as error:
        raise SettingsError(f"{name} must be a regular expression: {error}") from error
    return str(value)


def parse_networks(name: str, value: Any) -> tuple[str, ...]:
    """Return networks in CIDR notation; `unix` stands for Unix sockets."""
    found = parse_list(name, value)
    for network in found:
        try:
            if network != "unix":
                ipaddress.ip_network(network)
        except ValueError as error:
            raise SettingsError(
                f"{name} must list networks such as 10.0.0.0/8, got {network!r}"
            ) from error
    return found


def parse_address(name: str, value: Any) -> str:
    """Return an address with a port, such as 10.0.0.5:8090 or [fd00::5]:8090."""
    text = parse_text(name, value)
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise SettingsError(
            f"{name} must be an address and a port, such as 10.0.0.5:8090, got {text!r}"
        )
    return text


def parse_redis_url(name: str, value: Any) -> str:
    """Return the URL of a Redis server; errors do not repeat it, as it may contain a password."""
    parts = urlsplit(parse_text(name, value))
    known = {"redis", "rediss", "valkey", "valkeys", "unix"}
    if parts.scheme not in known or not (parts.hostname or parts.path):
        raise SettingsError(f"{name} must be a URL such as redis://127.0.0.1:6379/0")
    return str(value)


def parse_store_url(name: str, value: Any) -> str:
    """Return the URL of a session store in PostgreSQL or Redis; errors do not repeat it."""
    parts = urlsplit(parse_text(name, value))
    known = {"postgres", "postgresql", "redis", "rediss", "unix"}
    if parts.scheme not in known or not (parts.hostname or parts.path):
        raise SettingsError(
            f"{name} must be a URL such as postgresql://user@host/name or redis://host:6379/0"
        )
    return str(value)


def parse_secret(name: str, value: Any) -> bytes:
    """Return a secret of at least 32 bytes."""
    secret = parse_text(name, value).encode()
    if len(secret) < MINIMUM_SECRET_BYTES:
        raise SettingsError(
            f"the secret {name} must have at least {MINIMUM_SECRET_BYTES} bytes, "
            f"got {len(secret)}: use for example the output of `openssl rand -hex 32`"
        )
    return secret


def parse_secrets(name: str, value: Any) -> tuple[bytes, ...]:
    """Return secrets separated by commas: the first one signs, each one verifies."""
    return tuple(parse_secret(name, each) for each in parse_list(name, value))


def parse_public_key(name: str, value: Any) -> bytes:
    """Return a public key in PEM format."""
    if not isinstance(value, str) or "-----BEGIN PUBLIC KEY-----" not in value:
        raise SettingsError(f"{name} must be a public key in PEM format (BEGIN PUBLIC KEY)")
    return value.encode()


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

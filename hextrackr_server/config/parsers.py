"""How the value of one setting is read: from text, or from a value of a TOML file.

Knows: numbers, durations, times of day, switches, lists, origins, secrets, networks; how to say
what is wrong.
Does not know: which settings there are, where a value came from.
Each kind is a function `(name, given) -> value` that raises SettingsError; what is secret is
never repeated in its text.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from hextrackr_server.daily_time import DailyTime
from hextrackr_server.errors import SettingsError

MINIMUM_SECRET_BYTES = 32

Kind: TypeAlias = Callable[[str, Any], Any]

_WORDS = {
    "1": True, "true": True, "yes": True, "on": True,
    "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip


def text(name: str, given: Any) -> str:
    """Any text without control characters."""
    if not isinstance(given, str) or not given.isprintable():
        raise SettingsError(f"{name} must be a text on one line")
    return given


def cookie_name(name: str, given: Any) -> str:
    """What a cookie may be called."""
    if not isinstance(given, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given):
        raise SettingsError(f"{name} must be 1 to 64 letters, digits or . _ -, not {given!r}")
    return given


def path(name: str, given: Any) -> Path:
    """The path of a file or directory."""
    return Path(text(name, given))


def switch(name: str, given: Any) -> bool:
    """True or false, in the words that people use."""
    if isinstance(given, bool):
        return given
    value = _WORDS.get(str(given).strip().lower())
    if value is None:
        raise SettingsError(f"{name} must be true or false, not {given!r}")
    return value


def whole(least: int, most: int) -> Kind:
    """A whole number within bounds."""

    def parse(name: str, given: Any) -> int:
        try:
            number = int(given) if isinstance(given, str | int) else least - 1
        except ValueError:
            number = least - 1
        if isinstance(given, bool) or not least <= number <= most:
            raise SettingsError(f"{name} must be a number from {least} to {most}, not {given!r}")
        return number

    return parse


def seconds(least: float, most: float) -> Kind:
    """A duration, in seconds."""

    def parse(name: str, given: Any) -> float:
        try:
            number = float(given) if isinstance(given, str | int | float) else math.nan
        except ValueError:
            number = math.nan
        if isinstance(given, bool) or not least <= number <= most:
            raise SettingsError(
                f"{name} must be a number of seconds from {least:g} to {most:g}, not {given!r}"
            )
        return number

    return parse


def time_of_day(name: str, given: Any) -> DailyTime:
    """A time of day in a zone."""
    try:
        return DailyTime.parse(text(name, given))
    except ValueError as error:
        raise SettingsError(
            f"{name} must be a time with a zone such as 06:30 Europe/Berlin: {error}"
        ) from error


def one_of(*choices: str) -> Kind:
    """One of a few words."""

    def parse(name: str, given: Any) -> str:
        if given not in choices:
            raise SettingsError(f"{name} must be one of {', '.join(choices)}, not {given!r}")
        return str(given)

    return parse


def some_of(*choices: str) -> Kind:
    """One or more of a few words."""

    def parse(name: str, given: Any) -> tuple[str, ...]:
        words = listed(name, given)
        if not words or not set(words) <= set(choices):
            raise SettingsError(f"{name} must list some of {', '.join(choices)}, not {given!r}")
        return words

    return parse


def listed(name: str, given: Any) -> tuple[str, ...]:
    """Texts separated by commas, or a list of texts."""
    parts = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise SettingsError(f"{name} must be a list of texts")
    return tuple(part.strip() for part in parts if part.strip())


def origins(name: str, given: Any) -> tuple[str, ...]:
    """Origins of web pages; "*" is none: with credentials every site could act for its visitors."""
    found = tuple(origin.rstrip("/") for origin in listed(name, given))
    for origin in found:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query:
            raise SettingsError(
                f"{name} must list origins such as https://app.example, not {origin!r}"
            )
    return found


def pattern(name: str, given: Any) -> str:
    """A regular expression."""
    try:
        re.compile(text(name, given))
    except re.error as error:
        raise SettingsError(f"{name} is no regular expression: {error}") from error
    return str(given)


def networks(name: str, given: Any) -> tuple[str, ...]:
    """Networks in CIDR notation, or `unix`."""
    found = listed(name, given)
    for network in found:
        try:
            if network != "unix":
                ipaddress.ip_network(network)
        except ValueError as error:
            raise SettingsError(
                f"{name} must list networks such as 10.0.0.0/8, not {network!r}"
            ) from error
    return found


def redis_url(name: str, given: Any) -> str:
    """The address of a Redis server, which may hold a password."""
    parts = urlsplit(text(name, given))
    if parts.scheme not in {"redis", "rediss", "unix"} or not (parts.hostname or parts.path):
        raise SettingsError(f"{name} must be an address such as redis://127.0.0.1:6379/0")
    return str(given)


def secret(name: str, given: Any) -> bytes:
    """A secret of 32 bytes or more."""
    value = text(name, given).encode()
    if len(value) < MINIMUM_SECRET_BYTES:
        raise SettingsError(
            f"the secret {name} has {len(value)} bytes: use {MINIMUM_SECRET_BYTES} or more, "
            "for example from `openssl rand -hex 32`"
        )
    return value


def secrets(name: str, given: Any) -> tuple[bytes, ...]:
    """Secrets separated by commas: the first signs, all verify."""
    return tuple(secret(name, each) for each in listed(name, given))


def public_key(name: str, given: Any) -> bytes:
    """A public key in PEM."""
    if not isinstance(given, str) or "-----BEGIN PUBLIC KEY-----" not in given:
        raise SettingsError(f"{name} must be a public key in PEM (BEGIN PUBLIC KEY)")
    return given.encode()


def is_loopback(host: str) -> bool:
    """Whether a host can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""Producers of the ingest API as settings name them; `security.producer_tokens` checks them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from hextrackr_server.config.parsers import parse_list, parse_secret
from hextrackr_server.errors import SettingsError

SCOPES = ("progress", "notify", "broadcast", "admin")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")


class IngestToken(NamedTuple):
    """A producer: its name for the log, its scopes, its secret."""

    name: str
    scopes: frozenset[str]
    secret: bytes


def parse_ingest_tokens(name: str, value: Any) -> tuple[IngestToken, ...]:
    """Return the producers of a list such as `express:progress+notify:<secret>`."""
    tokens = tuple(_parse_token(name, each) for each in parse_list(name, value))
    if len({token.name for token in tokens}) < len(tokens):
        raise SettingsError(f"{name} must name each producer once: remove the duplicate")
    return tokens


def _parse_token(setting: str, text: str) -> IngestToken:
    name, _, rest = text.partition(":")
    words, _, key = rest.partition(":")
    scopes = frozenset(words.split("+"))
    if not _NAME.fullmatch(name) or not scopes <= set(SCOPES):
        raise SettingsError(
            f"{setting} must list name:scopes:secret, with scopes joined by + "
            f"(available: {'+'.join(SCOPES)})"
        )
    return IngestToken(name, scopes, parse_secret(f"{setting} of {name}", key))

"""The values of all secret settings, for their removal from log lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from hextrackr_server.config.producers import IngestToken
from hextrackr_server.config.settings import Settings

#: Marked as secret so that a file can contain the value, which is public.
_PUBLIC = frozenset({"jwt_public_key"})


def secret_values(settings: Settings) -> set[str]:
    """Return the secrets in the settings; of a URL, the URL and its password."""
    return {
        value
        for each in fields(settings)
        if each.metadata["secret"] and each.name not in _PUBLIC
        for value in _texts(getattr(settings, each.name))
        if value
    }


def _texts(value: Any) -> Iterator[str]:
    match value:
        case bytes():
            yield value.decode(errors="replace")
        case str():
            yield value
            yield urlsplit(value).password or ""
        case IngestToken():
            yield value.secret.decode(errors="replace")
        case tuple():
            for each in value:
                yield from _texts(each)

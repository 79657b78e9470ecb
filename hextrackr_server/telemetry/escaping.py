"""Texts of clients on one line of a log or terminal, without control characters."""

from __future__ import annotations

import re
from typing import Final

MAXIMUM_LENGTH: Final = 2000

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def escape(text: str, limit: int = MAXIMUM_LENGTH) -> str:
    """Return a text on one line, cut to a limit, without terminal control characters."""
    return _UNSAFE.sub(_escaped, cut(text, limit))


def cut(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters; three dots follow a longer one."""
    return text[:limit] + "..." if len(text) > limit else text


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character) or f"\\u{ord(character):04x}"

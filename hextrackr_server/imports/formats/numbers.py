"""Scores and ports from the cells of scanners; a value out of range is refused, never clamped."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 256

_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,3})?")
# A spreadsheet of many locales writes 7,5; 1,184 is a thousands separator and not a score. Behind
# a zero, as in 0,9438, the comma cannot be one.
_DECIMAL_COMMA: Final = re.compile(
    r"([+-]?(?:\d{1,3}(?=,\d{1,2}(?!\d))|0)),(\d{1,20})(?=\s*(?:[(\[]|$))"
)
_PORT: Final = re.compile(r"(\d{1,5})(?:\.0|-\d{1,5})?")
# 443/tcp, tcp/443, TCP 443, 443 (https)
_PORT_AND_WORD: Final = re.compile(
    r"(?:(\d{1,5})\s*[/:\s(]\s*([a-z]{1,16})\)?|([a-z]{1,16})\s*[/:\s(]\s*(\d{1,5})\)?)",
    re.IGNORECASE,
)
_LONGEST_PORT: Final = 64
_PROTOCOLS: Final = frozenset({"tcp", "udp", "icmp", "sctp"})


def read_number(text: str) -> float | None:
    """Return the number at the beginning of a cell, such as 8.1 of `8.1 (AV:N/AC:H/...)`.

    None if the cell does not begin with a number.
    """
    text = text[:LONGEST].lstrip("'")
    if match := _DECIMAL_COMMA.match(text):
        return float(f"{match[1]}.{match[2]}")
    match = _NUMBER.match(text)
    if match is None:
        return None
    rest = text[match.end() :]
    behind = rest.lstrip()
    # A letter belongs to the number unless a blank separates them: `9.8 Critical`, not `9a`.
    is_whole = not behind or behind[0] in "(/[" or (rest[0].isspace() and behind[0].isalpha())
    return float(match[0]) if is_whole else None


def read_score(text: str, highest: float) -> float | str:
    """Return a score from 0 to `highest`, or the reason why the cell is not one."""
    value = read_number(text)
    if value is None:
        return "not a number"
    if not 0 <= value <= highest:
        return f"not within 0 to {highest:g}"
    return value


def split_port(text: str) -> tuple[int | None, str]:
    """Return the port and the protocol of `443/tcp`, `TCP 443`, `443 (https)` and the like."""
    # The expression takes quadratic time on blanks.
    text = text.strip()[:_LONGEST_PORT]
    match = _PORT_AND_WORD.fullmatch(text)
    if match is None:
        return read_port(text), ""
    word = (match[2] or match[3]).lower()
    return read_port(match[1] or match[4]), word if word in _PROTOCOLS else ""


def read_port(text: str) -> int | None:
    """Return a port number; None for 0, `general` and anything else."""
    match = _PORT.fullmatch(text.strip())
    port = int(match[1]) if match else 0
    return port if 0 < port < 65536 else None

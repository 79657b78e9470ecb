"""Content encoding: negotiation by Accept-Encoding, and compression with gzip or deflate."""

from __future__ import annotations

import gzip
import zlib
from typing import Final, Literal

Encoding = Literal["gzip", "deflate"]
_SUPPORTED: Final[tuple[Encoding, ...]] = ("gzip", "deflate")


def negotiate_encoding(accepted: str) -> Encoding | None:
    """Return the supported encoding with the highest weight; the first of equal weights."""
    best: Encoding | None = None
    best_weight = 0.0
    for item in accepted[:256].split(","):
        name, _, parameter = item.strip().partition(";")
        weight = _weight(parameter)
        for encoding in _SUPPORTED:
            if name.strip().lower() in {encoding, "*"} and weight > best_weight:
                best, best_weight = encoding, weight
    return best


def _weight(parameter: str) -> float:
    key, _, value = parameter.strip().partition("=")
    if key.strip().lower() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0


def compress(body: bytes, encoding: Encoding, level: int) -> bytes:
    """Return the compressed body; "deflate" is the zlib format (RFC 9110, section 8.4.1.2)."""
    return gzip.compress(body, level, mtime=0) if encoding == "gzip" else zlib.compress(body, level)

"""Content encoding: negotiation by Accept-Encoding, and compression.

Brotli needs the package `brotli`, which is optional.
"""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Sequence
from typing import Any, Final, Literal

Encoding = Literal["br", "gzip", "deflate"]
_SUPPORTED: Final[tuple[Encoding, ...]] = ("gzip", "deflate")
_WITH_BROTLI: Final[tuple[Encoding, ...]] = ("br", "gzip", "deflate")


def find_brotli() -> Any:
    """Return the package `brotli`; None if it is not installed."""
    try:
        return importlib.import_module("brotli")
    except ImportError:
        return None


def file_encodings() -> tuple[Encoding, ...]:
    """Return the encodings of files, which are compressed once; the best one comes first."""
    return _SUPPORTED if find_brotli() is None else _WITH_BROTLI


def negotiate_encoding(
    accepted: str, supported: Sequence[Encoding] = _SUPPORTED
) -> Encoding | None:
    """Return the supported encoding with the highest weight: of equal ones brotli or the first."""
    best: Encoding | None = None
    best_weight = 0.0
    for item in accepted[:256].split(","):
        name, _, parameter = item.strip().partition(";")
        weight = _weight(parameter)
        for encoding in supported:
            if name.strip().lower() not in {encoding, "*"} or weight == 0:
                continue
            if weight > best_weight or (weight == best_weight and encoding == "br"):
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
    if encoding == "br":
        compressed: bytes = find_brotli().compress(body, quality=level)
        return compressed
    return gzip.compress(body, level, mtime=0) if encoding == "gzip" else zlib.compress(body, level)

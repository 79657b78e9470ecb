"""Which encoding a client takes, and the body in it.

Knows: Accept-Encoding, gzip and deflate.  Does not know: what is compressed, nor for whom.
"""

from __future__ import annotations

import gzip
import zlib
from typing import Final, Literal

Encoding = Literal["gzip", "deflate"]
_SUPPORTED: Final[tuple[Encoding, ...]] = ("gzip", "deflate")


def negotiate_encoding(accepted: str) -> Encoding | None:
    """Choose by the client's weights; of equal weights the client's first."""
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
    """Return the body in that encoding; "deflate" is the zlib format, as RFC 9110 says."""
    return gzip.compress(body, level, mtime=0) if encoding == "gzip" else zlib.compress(body, level)

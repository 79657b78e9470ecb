"""Content encoding: negotiation by Accept-Encoding, and compression, at once or in turns.

Brotli needs the package `brotli`, which is optional.
"""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, final

from engineio_core.clock import Clock
from engineio_core.read_turn import ReadTurn

Encoding = Literal["br", "gzip", "deflate"]
_SUPPORTED: Final[tuple[Encoding, ...]] = ("gzip", "deflate")
#: Bytes that are compressed between two checks of the turn, in up to a millisecond.
PIECE: Final = 16 * 1024
#: Bodies that are begun and not complete: a compressor occupies up to 0.3 MB (zlib, zconf.h).
MAX_BEGUN: Final = 8
# The window of zlib with the header of the format, which is that of zlib or that of gzip (zlib
# manual, deflateInit2).
_WINDOW_BITS: Final = {"deflate": 15, "gzip": 31}
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


@final
class CompressionQueue:
    """Compresses the bodies of all clients in turns, one piece of each body after the other.

    A body of 1 MB takes up to 50 ms; without turns, the responses of several clients in one
    iteration of the event loop would delay all others by their sum.
    """

    __slots__ = ("_bodies", "_is_proceeding", "_turn")

    def __init__(self, clock: Clock) -> None:
        self._bodies: deque[_Body] = deque()
        self._is_proceeding = False
        self._turn = ReadTurn(clock, self._proceed)

    def add(
        self, body: bytes, encoding: Encoding, level: int, done: Callable[[bytes], object]
    ) -> None:
        """Call `done` with the compressed body: now if the turn suffices, or in a later one."""
        self._bodies.append(_Body(body, encoding, level, done))
        # A pipelined poll is read while `done` sends the response to the one before.
        if not self._is_proceeding:
            self._proceed()

    def _proceed(self) -> None:
        bodies = self._bodies
        self._is_proceeding = True
        try:
            while bodies and not self._turn.is_over():
                body = bodies.popleft()
                compressed = body.compress_piece()
                if compressed is None:
                    bodies.insert(MAX_BEGUN - 1, body)
                else:
                    body.done(compressed)
        finally:
            self._is_proceeding = False


@final
class _Body:
    """A body of which a part is compressed."""

    __slots__ = (
        "_body", "_compressor", "_encoding", "_level", "_parts", "_position", "done",
    )  # fmt: skip

    def __init__(
        self, body: bytes, encoding: Encoding, level: int, done: Callable[[bytes], object]
    ) -> None:
        self._body = memoryview(body)
        self._encoding = encoding
        self._level = level
        self._compressor: zlib._Compress | None = None  # since the first piece
        self._parts: list[bytes] = []
        self._position = 0
        self.done = done

    def compress_piece(self) -> bytes | None:
        """Compress the next piece; return the compressed body after the last one."""
        compressor = self._compressor
        if compressor is None:
            wbits = _WINDOW_BITS[self._encoding]
            compressor = self._compressor = zlib.compressobj(self._level, wbits=wbits)
        end = self._position + PIECE
        self._parts.append(compressor.compress(self._body[self._position : end]))
        self._position = end
        if end < len(self._body):
            return None
        self._parts.append(compressor.flush())
        return b"".join(self._parts)

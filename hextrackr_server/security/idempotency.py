"""Idempotency keys: a request that is sent twice is processed once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from hextrackr_server.errors import ErrorCode, ServiceError, invalid

KEEP_SECONDS = 600.0
MAXIMUM_KEYS = 10_000
MAXIMUM_KEY_LENGTH = 255


class _Kept(NamedTuple):
    """A processed request and its answer."""

    kept_at: float
    digest: bytes
    answer: dict[str, Any]


class IdempotencyKeys:
    """Answers of the last ten minutes by producer and key; the oldest ones are dropped first."""

    def __init__(self, now: Callable[[], float], maximum: int = MAXIMUM_KEYS) -> None:
        self._now = now
        self._maximum = maximum
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()

    def once(
        self, producer: str, key: str | None, request: bytes, do: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return the stored answer to a request, or call `do` and store its answer.

        Errors of `do` are not stored, so the request may be repeated. Raises ServiceError CONFLICT
        if the key was used for another request.
        """
        if key is None:
            return do()
        if not 0 < len(key) <= MAXIMUM_KEY_LENGTH:
            message = f"must have 1 to {MAXIMUM_KEY_LENGTH} characters"
            raise invalid("Invalid key", [("Idempotency-Key", message)])
        self._forget_old()
        digest = hashlib.sha256(request).digest()
        kept = self._kept.get((producer, key))
        if kept is not None:
            if kept.digest != digest:
                raise ServiceError(
                    ErrorCode.CONFLICT, "This key was used for another request: use a new key"
                )
            return kept.answer
        answer = do()
        self._kept[producer, key] = _Kept(self._now(), digest, answer)
        return answer

    def _forget_old(self) -> None:
        limit = self._now() - KEEP_SECONDS
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if oldest.kept_at > limit and len(self._kept) < self._maximum:
                return
            self._kept.popitem(last=False)

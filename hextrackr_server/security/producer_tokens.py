"""Authentication of producers by bearer tokens or signatures.

A signature header is `t=<ms>,v1=<hex HMAC-SHA256 of "<t>.<body>">`. `config.producers` reads the
tokens from settings.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from hextrackr_server.clock import Clock
from hextrackr_server.config.producers import IngestToken
from hextrackr_server.errors import ErrorCode, ServiceError

SIGNATURE_HEADER = "x-hextrackr-signature"
WINDOW_MS = 5 * 60 * 1000
MAXIMUM_REMEMBERED = 10_000

_SIGNATURE = re.compile(r"t=([0-9]{1,15}),v1=([0-9a-f]{64})")


class IngestAuthority:
    """Verifier of requests of producers; raises ServiceError UNAUTHORIZED or FORBIDDEN."""

    def __init__(
        self, tokens: Sequence[IngestToken], clock: Clock, *, signed_only: bool = False
    ) -> None:
        self._tokens = tuple(tokens)
        self._clock = clock
        self._signed_only = signed_only
        # Per producer: received signatures with their times, and the latest time that was dropped.
        self._seen: dict[str, OrderedDict[str, int]] = {each.name: OrderedDict() for each in tokens}
        self._forgotten = dict.fromkeys(self._seen, 0)

    def verify(self, headers: Mapping[str, str], body: bytes) -> IngestToken:
        """Return the producer of a request."""
        return self.from_head(headers) or self._signed(headers[SIGNATURE_HEADER], body)

    def from_head(self, headers: Mapping[str, str]) -> IngestToken | None:
        """Return the producer that the headers prove, or None if the request is signed.

        Raises ServiceError UNAUTHORIZED if the headers prove nothing. The caller then need not read
        the body; only a signature requires the body.
        """
        signature = headers.get(SIGNATURE_HEADER)
        if signature is not None and self._tokens:
            self._parts(signature)
            return None
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        if self._signed_only or scheme.lower() != "bearer" or not sent:
            raise _unauthorized()
        return self._find(lambda token: token.secret, sent.encode())

    def _parts(self, header: str) -> tuple[str, str]:
        """Return the time and the signature; UNAUTHORIZED if the time is outside the window."""
        match = _SIGNATURE.fullmatch(header)
        if match is None or abs(self._clock.epoch_ms() - int(match[1])) > WINDOW_MS:
            raise _unauthorized()
        return match[1], match[2]

    def _signed(self, header: str, body: bytes) -> IngestToken:
        moment, signature = self._parts(header)
        signed = moment.encode() + b"." + body
        token = self._find(lambda each: signature_of(each.secret, signed), signature.encode())
        self._refuse_replay(token.name, signature, int(moment))
        return token

    def _refuse_replay(self, producer: str, signature: str, moment: int) -> None:
        """Accept each signature once, so that a recorded request cannot be repeated."""
        seen, oldest = self._seen[producer], self._clock.epoch_ms() - WINDOW_MS
        while seen and (len(seen) >= MAXIMUM_REMEMBERED or next(iter(seen.values())) < oldest):
            _, forgotten = seen.popitem(last=False)
            # A dropped signature cannot be compared any more: reject all of its age or older.
            self._forgotten[producer] = max(forgotten, self._forgotten[producer])
        if signature in seen or moment <= self._forgotten[producer]:
            raise _unauthorized()
        seen[signature] = moment

    def _find(self, expected: Any, sent: bytes) -> IngestToken:
        found = None
        # Compare all tokens in constant time, so that the duration reveals nothing.
        for token in self._tokens:
            if hmac.compare_digest(expected(token), sent):
                found = token
        if found is None:
            raise _unauthorized()
        return found


def signature_of(key: bytes, signed: bytes) -> bytes:
    """Return the hexadecimal HMAC-SHA256 of a text."""
    return hmac.new(key, signed, hashlib.sha256).hexdigest().encode()


def require(token: IngestToken, scope: str) -> None:
    """Raise ServiceError FORBIDDEN if the producer does not have a scope."""
    if scope not in token.scopes:
        raise ServiceError(ErrorCode.FORBIDDEN, f"This request requires the scope {scope}")


def _unauthorized() -> ServiceError:
    return ServiceError(ErrorCode.UNAUTHORIZED, "A valid producer token is required")

"""Which producer a request comes from, and what it may do.

Knows: named tokens with scopes, signatures over a body.  Does not know: paths, events, HTTP.
A token proves itself as a bearer, or signs: `t=<ms>,v1=<hex HMAC-SHA256 of "<t>.<body>">`.
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
    """Knows the producers; raises ServiceError UNAUTHORIZED or FORBIDDEN."""

    def __init__(
        self, tokens: Sequence[IngestToken], clock: Clock, *, signed_only: bool = False
    ) -> None:
        self._tokens = tuple(tokens)
        self._clock = clock
        self._signed_only = signed_only
        # By producer: the signatures that came, each with its moment, and the latest forgotten one.
        self._seen: dict[str, OrderedDict[str, int]] = {each.name: OrderedDict() for each in tokens}
        self._forgotten = dict.fromkeys(self._seen, 0)

    def verify(self, headers: Mapping[str, str], body: bytes) -> IngestToken:
        """The producer of a request."""
        return self.from_head(headers) or self._signed(headers[SIGNATURE_HEADER], body)

    def from_head(self, headers: Mapping[str, str]) -> IngestToken | None:
        """The producer, if the head proves it; None where the body has to.

        The bodies of strangers need not be read then, but for those who pretend to sign.
        """
        signature = headers.get(SIGNATURE_HEADER)
        if signature is not None and self._tokens:
            self._parts(signature)
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if self._signed_only or scheme.lower() != "bearer" or not given:
            raise _unauthorized()
        return self._find(lambda token: token.secret, given.encode())

    def _parts(self, header: str) -> tuple[str, str]:
        """When a request was signed, and the signature; UNAUTHORIZED if that is not now."""
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
        """A signature is good once: whoever has heard it must not be able to say it again."""
        seen, oldest = self._seen[producer], self._clock.epoch_ms() - WINDOW_MS
        while seen and (len(seen) >= MAXIMUM_REMEMBERED or next(iter(seen.values())) < oldest):
            _, forgotten = seen.popitem(last=False)
            # It is not good again, and neither is anything that is as old.
            self._forgotten[producer] = max(forgotten, self._forgotten[producer])
        if signature in seen or moment <= self._forgotten[producer]:
            raise _unauthorized()
        seen[signature] = moment

    def _find(self, expected: Any, given: bytes) -> IngestToken:
        found = None
        # All are compared, each in constant time: how long it takes tells nothing.
        for token in self._tokens:
            if hmac.compare_digest(expected(token), given):
                found = token
        if found is None:
            raise _unauthorized()
        return found


def signature_of(key: bytes, signed: bytes) -> bytes:
    """The hexadecimal HMAC of what is signed."""
    return hmac.new(key, signed, hashlib.sha256).hexdigest().encode()


def require(token: IngestToken, scope: str) -> None:
    """Refuse a producer that has no such scope."""
    if scope not in token.scopes:
        raise ServiceError(ErrorCode.FORBIDDEN, f"This needs the scope {scope}")


def _unauthorized() -> ServiceError:
    return ServiceError(ErrorCode.UNAUTHORIZED, "A token of a producer is needed")

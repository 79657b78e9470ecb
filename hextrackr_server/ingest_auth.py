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
from typing import Any, NamedTuple

from hextrackr_server.clock import Clock
from hextrackr_server.errors import ErrorCode, ServiceError, SettingsError
from hextrackr_server.setting_kinds import listed, secret

SCOPES = ("progress", "notify", "broadcast", "admin")
SIGNATURE_HEADER = "x-hextrackr-signature"
WINDOW_MS = 5 * 60 * 1000
MAXIMUM_REMEMBERED = 10_000

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SIGNATURE = re.compile(r"t=([0-9]{1,15}),v1=([0-9a-f]{64})")


class IngestToken(NamedTuple):
    """A producer: its name for the log, what it may do, its secret."""

    name: str
    scopes: frozenset[str]
    secret: bytes


class IngestAuthority:
    """Knows the producers; raises ServiceError UNAUTHORIZED or FORBIDDEN."""

    def __init__(
        self, tokens: Sequence[IngestToken], clock: Clock, *, signed_only: bool = False
    ) -> None:
        self._tokens = tuple(tokens)
        self._clock = clock
        self._signed_only = signed_only
        self._seen: OrderedDict[str, int] = OrderedDict()

    def verify(self, headers: Mapping[str, str], body: bytes) -> IngestToken:
        """The producer of a request."""
        signature = headers.get(SIGNATURE_HEADER)
        if signature is not None:
            return self._signed(signature, body)
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if self._signed_only or scheme.lower() != "bearer" or not given:
            raise _unauthorized()
        return self._find(lambda token: token.secret, given.encode())

    def _signed(self, header: str, body: bytes) -> IngestToken:
        match = _SIGNATURE.fullmatch(header)
        now = self._clock.epoch_ms()
        if match is None or abs(now - int(match[1])) > WINDOW_MS:
            raise _unauthorized()
        signed = match[1].encode() + b"." + body
        token = self._find(lambda each: signature_of(each.secret, signed), match[2].encode())
        self._refuse_replay(match[2], now)
        return token

    def _refuse_replay(self, signature: str, now: int) -> None:
        """A signature is good once: whoever has heard it must not be able to say it again."""
        while self._seen and (
            next(iter(self._seen.values())) < now - 2 * WINDOW_MS
            or len(self._seen) >= MAXIMUM_REMEMBERED
        ):
            self._seen.popitem(last=False)
        if signature in self._seen:
            raise _unauthorized()
        self._seen[signature] = now

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


def parse_ingest_tokens(name: str, given: Any) -> tuple[IngestToken, ...]:
    """Producers as settings name them: `express:progress+notify:<secret>`, several of them."""
    tokens = tuple(_parse_token(name, each) for each in listed(name, given))
    if len({token.name for token in tokens}) < len(tokens):
        raise SettingsError(f"{name} names a producer twice")
    return tokens


def _parse_token(setting: str, text: str) -> IngestToken:
    name, _, rest = text.partition(":")
    words, _, key = rest.partition(":")
    scopes = frozenset(words.split("+"))
    if not _NAME.fullmatch(name) or not scopes <= set(SCOPES):
        raise SettingsError(
            f"{setting} must list name:scopes:secret, the scopes joined by + ({'+'.join(SCOPES)})"
        )
    return IngestToken(name, scopes, secret(f"{setting} of {name}", key))


def _unauthorized() -> ServiceError:
    return ServiceError(ErrorCode.UNAUTHORIZED, "A token of a producer is needed")

"""Removal of secrets from log lines: tokens, cookies, passwords and keys, wherever they appear.

Rules recognize secrets by their form (a JSON Web Token) or by the name in front of them
(`token=...`, `Authorization: ...`). The values of the settings that are secret are removed exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote, unquote

MASK: Final = "***"
#: Shorter values of settings are too common in texts to be removed.
SHORTEST_SECRET: Final = 8

_NAME: Final = (
    r"(?:passw(?:or)?d|passwd|pwd|passphrase|secret|token|jwt|api[_-]?key|private[_-]?key"
    r"|signature|credentials?|authorization|cookie)"
)
_HEADER: Final = r"(?:authorization|cookie|x-[a-z-]{0,40}(?:token|signature|key|secret))"
_QUOTED: Final = r"""b?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""

# Each pattern is linear: no repetition is in front of a name, so that a long text costs one pass.
_RULES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    # a private key in PEM
    (re.compile(r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-]*(?:-----END[A-Z -]*)?"), MASK),
    # https://user:password@host
    (re.compile(r"(://[^\s/?#:@]*):[^\s/?#]*@"), rf"\1:{MASK}@"),
    # "token": "x" of JSON and of the repr of a dict; (b'cookie', b'x') of headers
    (
        re.compile(
            rf"""((?:{_NAME}|\bsid)[\w-]{{0,20}}["']\s*[:,]\s*)(?:{_QUOTED}|[^\s,}})\]]+)""", re.I
        ),
        rf"\1{MASK}",
    ),
    # Authorization: Bearer x
    (
        re.compile(rf"({_HEADER}\s*:\s*)(?:{_QUOTED}|[^\r\n\"']+)", re.I),
        rf"\1{MASK}",
    ),
    # token=x of queries, forms, DSNs and log fields
    (
        re.compile(rf"((?:{_NAME}|\bauth|\bsid)=)(?:{_QUOTED}|[^\s&;,\"'<>)]+)", re.I),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(Bearer\s+)[A-Za-z0-9._~+/=-]{16,}", re.I), rf"\1{MASK}"),
    # a JSON Web Token, also a truncated one
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}"), MASK),
    # a signed cookie of express-session
    (re.compile(r"\bs(?::|%3A)[\w-]{8,}\.[\w+/%=-]{8,}", re.I), MASK),
)
#: Texts without any of these need no rule.
_HINT: Final = re.compile(
    r"passw|pwd|passphrase|secret|token|jwt|key|signature|credential|authorization|cookie|auth=|sid"
    r"|://|bearer|eyJ|\bs(?::|%3A)",
    re.I,
)
_SECRET_FIELD: Final = re.compile(rf"{_NAME}$|^sid$", re.I)


class Shown(str):
    """Text that is logged as it is, such as the tokens that `serve --dev` prints."""

    __slots__ = ()


class Redactor:
    """Removes secrets from texts; `secrets` are removed wherever they appear."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {
            form
            for secret in secrets
            for form in (secret, quote(secret, safe=""), unquote(secret), repr(secret)[1:-1])
            if len(form) >= SHORTEST_SECRET
        }
        # Longer values first: a value may contain another one.
        parts = sorted(map(re.escape, forms), key=len, reverse=True)
        self._exact = re.compile("|".join(parts)) if parts else None

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        if isinstance(text, Shown):
            return text
        if self._exact is not None:
            text = self._exact.sub(MASK, text)
        if _HINT.search(text):
            for pattern, replacement in _RULES:
                text = pattern.sub(replacement, text)
        return text

    def field(self, name: str, value: Any) -> Any:
        """Return the value of a field without secrets; a field that is named as a secret is one."""
        if isinstance(value, Shown):
            return value
        if _SECRET_FIELD.search(name) and isinstance(value, str | bytes):
            return MASK
        return self.value(value)

    def value(self, value: Any) -> Any:
        """Return a value, or a copy of a list or dictionary, without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {str(name): self.field(str(name), each) for name, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(each) for each in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.text(str(value))

"""Explains responses that a proxy sends in place of the server, and those of a full server."""

from __future__ import annotations

import re
import ssl
from typing import Final

from hextrackr_server.doctor.finding import Finding, Level, problem, quoted
from hextrackr_server.doctor.remedies import REMEDIES
from hextrackr_server.doctor.target import Answer, Target

GATEWAY_ERRORS: Final = frozenset({502, 503, 504})
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TOO_MANY: Final = 429
#: nginx answers 503 to requests above its limit of the request rate.
LIMITED: Final = frozenset({_TOO_MANY, 503})
#: The seconds of Retry-After in the engine's response to a handshake for which it has no room
#: (`max_sessions`, `max_sessions_per_address`, draining); the response has no body.
_ENGINE_RETRY: Final = "5"
_LOGIN: Final = frozenset({401, 407})
_HTML: Final = re.compile(r"\s*<(!doctype|html|head|body)", re.IGNORECASE)
#: The reasons of OpenSSL for a port that answers a TLS handshake with HTTP.
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})


def is_page(answer: Answer) -> bool:
    """Return whether the body is an HTML page, which the server never sends for Socket.IO."""
    return _HTML.match(answer.text) is not None


def is_full(answer: Answer) -> bool:
    """Return whether a server refuses a handshake because it is full, or because it drains."""
    return (
        answer.status in LIMITED
        and not answer.body
        and answer.value("retry-after").strip() == _ENGINE_RETRY
    )


def describe(answer: Answer) -> str:
    """Return the status of a response, its sender if the response has it, and the kind of body."""
    server = answer.value("server")
    return (
        f"status {answer.status}"
        + (f" from {quoted(server)[1:-1]}" if server else "")
        + (" and an HTML page" if is_page(answer) else "")
    )


def explain(target: Target, check: str, request: str, answer: Answer) -> Finding | None:
    """Return the problem of a response of a proxy or of a full server; None for another response.

    Other responses of a server have JSON as their body, and a server sends no redirect.
    """
    if is_full(answer):
        reason = "the server has as many sessions of this address as it allows"
        if answer.status != _TOO_MANY:
            reason = "the server has as many sessions as it allows, or it is shutting down"
        return _error(check, "full", f"status {answer.status} to {request}: {reason}")
    if answer.status in REDIRECTS:
        place = quoted(answer.value("location"))[1:-1]
        return _error(check, "redirect", f"{describe(answer)}: {request} is redirected to {place}")
    if answer.json():
        return None
    if answer.status in _LOGIN:
        refused = "refuses the login of the URL" if target.has_login else "requires a login"
        return _error(check, "login", f"{describe(answer)}: the proxy {refused} for {request}")
    if answer.status in LIMITED:
        reason = "a limit of the request rate"
        if answer.status != _TOO_MANY:
            reason += ", or the server has ended"
        return _error(check, "rate-limit", f"{describe(answer)} to {request}: {reason}")
    return None


def explain_scheme(target: Target, error: Exception | None = None) -> Finding | None:
    """Return a problem if the port expects HTTP instead of HTTPS, or the reverse.

    `error` is that of a TLS connection; without it, the target is tried with TLS.
    """
    if target.is_encrypted:
        if not isinstance(error, ssl.SSLError) or error.reason not in _NO_TLS:
            return None
        return _error("connection", "scheme", f"port {target.port} does not use TLS")
    if not target.accepts_tls():
        return None
    return _error("connection", "scheme", f"port {target.port} uses TLS")


def _error(check: str, code: str, message: str) -> Finding:
    return problem(REMEDIES, check, Level.ERROR, code, message)

"""Explains responses that a proxy sends in place of the server, and those of a full server.

Explains missing responses as well: of a port that expects another protocol.
"""

from __future__ import annotations

import http.client
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
#: The statuses of a proxy for a request that no server has received.
UNSERVED: Final = LIMITED | GATEWAY_ERRORS
#: The seconds of Retry-After in the engine's response to a handshake for which it has no room
#: (`max_sessions`, `max_sessions_per_address`, draining); the response has no body.
_ENGINE_RETRY: Final = "5"
#: The seconds of Retry-After in the responses of a gateway without a link to the application.
_GATEWAY_RETRY: Final = "1"
_GATEWAY_CODE: Final = "UNAVAILABLE"
_LOGIN: Final = frozenset({401, 407})
_FORBIDDEN: Final = 403
_REFUSALS: Final = _LOGIN | {_FORBIDDEN}
_PAGE: Final = re.compile(r"\ufeff?\s*<[!?a-z]", re.IGNORECASE)
#: The reasons of OpenSSL for a port that answers a TLS handshake with HTTP.
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
#: The reason of OpenSSL, and the text of nginx, for a missing certificate of the client.
_NO_CLIENT_CERTIFICATE: Final = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
_CLIENT_CERTIFICATE_TEXT: Final = "SSL certificate"
_CERTIFICATE_MISSING: Final = "the proxy requires a certificate of the client"
#: The beginning of a connection with HTTP/2: the preface and an empty SETTINGS frame (RFC 9113,
#: section 3.4), and the type of the frame with which each server answers.
_HTTP_2: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_SETTINGS: Final = 4
_PROXY_PROTOCOL: Final = b"PROXY TCP4 127.0.0.1 127.0.0.1 50000 80\r\n"


def is_page(answer: Answer) -> bool:
    """Return whether the body is an HTML page, which the server never sends for Socket.IO."""
    return _PAGE.match(answer.text) is not None


def replaces_server(answer: Answer) -> bool:
    """Return whether a proxy sent the response in place of the server.

    The server sends JSON with the statuses of a refusal, and neither redirects nor pages.
    """
    return (
        answer.status in UNSERVED
        or answer.status in REDIRECTS
        or is_page(answer)
        or (answer.status in _REFUSALS and not answer.json())
    )


def is_full(answer: Answer) -> bool:
    """Return whether a server refuses a handshake because it is full, or because it drains."""
    return (
        answer.status in LIMITED
        and not answer.body
        and answer.value("retry-after").strip() == _ENGINE_RETRY
    )


def is_starting(answer: Answer) -> bool:
    """Return whether a gateway of the hub answers, because its application does not run."""
    return (
        answer.status == 503
        and answer.value("retry-after").strip() == _GATEWAY_RETRY
        and (not answer.body or answer.json().get("code") == _GATEWAY_CODE)
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
    if is_starting(answer):
        message = f"status 503 to {request}: the gateways of the hub run, and its application not"
        return _error(check, "no-application", message)
    if answer.status in REDIRECTS:
        place = quoted(answer.value("location"))[1:-1]
        return _error(check, "redirect", f"{describe(answer)}: {request} is redirected to {place}")
    if answer.json():
        return None
    if answer.status in _LOGIN:
        refused = "refuses the login of the URL" if target.has_login else "requires a login"
        return _error(check, "login", f"{describe(answer)}: the proxy {refused} for {request}")
    if answer.status == _FORBIDDEN:
        message = f"{describe(answer)} to {request}: a rule of the proxy forbids it"
        return _error(check, "forbidden", message)
    if answer.status == 400 and is_page(answer) and _CLIENT_CERTIFICATE_TEXT in answer.text:
        return _error(check, "client-certificate", f"{describe(answer)}: {_CERTIFICATE_MISSING}")
    if answer.status in LIMITED:
        reason = "a limit of the request rate"
        if answer.status != _TOO_MANY:
            reason += ", or the server has ended"
        return _error(check, "rate-limit", f"{describe(answer)} to {request}: {reason}")
    if answer.status in GATEWAY_ERRORS:
        message = f"{describe(answer)} to {request}: the proxy does not reach the server"
        return _error(check, "gateway", message)
    return None


def explain_scheme(target: Target, error: Exception | None = None) -> Finding | None:
    """Return a problem if the port expects HTTP instead of HTTPS, the reverse, or a certificate.

    `error` is that of a TLS connection; without it, the target is tried with TLS.
    """
    if target.is_encrypted:
        if not isinstance(error, ssl.SSLError):
            return None
        if error.reason == _NO_CLIENT_CERTIFICATE:
            return _error("connection", "client-certificate", _CERTIFICATE_MISSING)
        if error.reason not in _NO_TLS:
            return None
        return _error("connection", "scheme", f"port {target.port} does not use TLS")
    if not target.accepts_tls():
        return None
    return _error("connection", "scheme", f"port {target.port} uses TLS")


def explain_silence(target: Target, error: Exception) -> Finding | None:
    """Return the problem of a port that closes connections with HTTP/1.1; None for another port."""
    if not isinstance(error, http.client.BadStatusLine | ConnectionResetError):
        return None
    if target.probe(_HTTP_2)[3:4] == bytes([_SETTINGS]):
        return _error("connection", "http-2", f"port {target.port} accepts HTTP/2 only")
    request = f"GET {target.prefix}/health HTTP/1.1\r\nHost: {target.host}\r\n\r\n".encode()
    reply = target.probe(_PROXY_PROTOCOL + request)
    # Another port takes the line of the protocol for an invalid request.
    if reply.startswith(b"HTTP/1.") and reply[9:12] != b"400":
        message = f"port {target.port} expects the PROXY protocol"
        return _error("connection", "proxy-protocol", message)
    return None


def _error(check: str, code: str, message: str) -> Finding:
    return problem(REMEDIES, check, Level.ERROR, code, message)

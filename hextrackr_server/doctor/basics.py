"""Checks that need no session: the address, the certificate, the version, the clock."""

from __future__ import annotations

import email.utils
import http.client
import ssl
import time
from collections.abc import Iterator
from typing import Final

from hextrackr_server import __version__
from hextrackr_server.doctor import intermediary
from hextrackr_server.doctor.finding import Finding, Level, problem, quoted
from hextrackr_server.doctor.remedies import REMEDIES
from hextrackr_server.doctor.target import Answer, Target

_DAY: Final = 86_400
_EXPIRY_DAYS: Final = 14
#: A difference between two clocks in seconds, from which it is a warning, or an error.
_SKEW_WARNING, _SKEW_ERROR = 5.0, 60.0


class UnusableError(Exception):
    """A deployment for which no other check makes sense; `finding` is the reason."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def check_certificate(target: Target, now: float) -> Finding | None:
    """Check the certificate; without trust in it, accept it for the other checks.

    Raises UnusableError if no connection is possible.
    """
    try:
        certificate = target.certificate()
    except ssl.SSLCertVerificationError as error:
        target.ignore_certificate()
        return _error("certificate", "certificate", f"no trust: {error.verify_message}")
    except (OSError, http.client.HTTPException) as error:
        _check_scheme(target, error)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnusableError(
            _error("connection", "unreachable", f"cannot connect to {target.origin}: {reason}")
        ) from error
    if not target.is_encrypted:
        return None
    days = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - now) / _DAY
    message = f"valid for {days:.0f} days"
    if days >= _EXPIRY_DAYS:
        return Finding("certificate", Level.OK, message)
    return problem(REMEDIES, "certificate", Level.WARNING, "certificate-expiry", message)


def check_service(target: Target) -> Iterator[Finding]:
    """Check which program answers, whether it is ready, and its clock.

    Raises UnusableError for a redirect, and for a proxy that does not reach the server.
    """
    began = time.time()
    answer = _get(target, "/health")
    _check_proxy(target, answer)
    version = answer.json().get("version")
    if answer.status == 200 and isinstance(version, str):
        yield Finding("version", Level.OK, _version_message(version))
        yield _check_ready(target)
    else:
        yield Finding(
            "version",
            Level.NOTE,
            f"GET /health returned status {answer.status}: this is not a HexTrackr hub, or the "
            "proxy does not forward the path; its own checks are left out",
            "not-a-hub",
        )
    yield _check_clock(answer, began + answer.seconds / 2)


def is_hub(findings: list[Finding]) -> bool:
    """Return whether `check_service` found a hub."""
    return any(each.check == "version" and each.level is Level.OK for each in findings)


def _get(target: Target, path: str) -> Answer:
    try:
        return target.get(path)
    except (OSError, http.client.HTTPException) as error:
        _check_scheme(target, error)
        finding = intermediary.explain_silence(target, error)
        if finding is not None:
            raise UnusableError(finding) from error
        reason = quoted(str(error) or type(error).__name__)[1:-1]
        message = f"no response to GET {path}: {reason}"
        raise UnusableError(_error("connection", "unreachable", message)) from error


def _check_scheme(target: Target, error: Exception | None = None) -> None:
    finding = intermediary.explain_scheme(target, error)
    if finding is not None:
        raise UnusableError(finding) from error


def _check_proxy(target: Target, answer: Answer) -> None:
    if answer.status in intermediary.GATEWAY_ERRORS and not answer.json():
        message = f"{intermediary.describe(answer)} instead of a response of the server"
        raise UnusableError(_error("proxy", "gateway", message))
    if answer.status == 400:
        _check_scheme(target)
        if not answer.body:
            message = "status 400 to GET /health: the server cannot read what the proxy sends"
            raise UnusableError(_error("proxy", "proxy-protocol", message))
    finding = intermediary.explain(target, "proxy", "GET /health", answer)
    if finding is not None and finding.code not in {"login", "forbidden"}:
        raise UnusableError(finding)


def _version_message(version: str) -> str:
    message = f"HexTrackr hub {quoted(version)[1:-1]}"
    return message if version == __version__ else f"{message}; this command has {__version__}"


def _check_ready(target: Target) -> Finding:
    answer = _get(target, "/ready")
    if answer.status == 200 and answer.json():
        return Finding("readiness", Level.OK, "the server accepts work")
    if answer.status < 500 and answer.status not in intermediary.LIMITED and not answer.json():
        message = f"status {answer.status} to GET /ready: the proxy does not forward the path"
        return Finding("readiness", Level.NOTE, message, "no-ready")
    finding = intermediary.explain(target, "readiness", "GET /ready", answer)
    if finding is not None:
        return finding
    state = answer.json().get("status")
    message = f"GET /ready returned status {answer.status}"
    if isinstance(state, str):
        message += f" ({quoted(state)[1:-1]})"
    return _error("readiness", "not-ready", message)


def _check_clock(answer: Answer, now: float) -> Finding:
    try:
        sent = email.utils.parsedate_to_datetime(answer.value("date")).timestamp()
    except ValueError:
        return Finding("clock", Level.SKIPPED, "the response has no Date header", "no-date")
    # The header has whole seconds.
    skew = sent + 0.5 - now
    if abs(skew) - answer.seconds / 2 < _SKEW_WARNING:
        return Finding("clock", Level.OK, "agrees with the clock of this machine")
    level = Level.ERROR if abs(skew) >= _SKEW_ERROR else Level.WARNING
    direction = "ahead of" if skew > 0 else "behind"
    message = (
        f"the clock of the server, or of its proxy, is {abs(skew):.0f} s {direction} the clock of "
        "this machine"
    )
    return problem(REMEDIES, "clock", level, "clock", message)


def _error(check: str, code: str, message: str) -> Finding:
    return problem(REMEDIES, check, Level.ERROR, code, message)

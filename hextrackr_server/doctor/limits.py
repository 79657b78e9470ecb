"""Checks of limits: the sizes of bodies, and the open files of the server.

The check of uploads sends the head of a request, but not its body: nginx refuses a body by its
announced length. Caddy counts the bytes, so that the check of messages sends its body.
"""

from __future__ import annotations

import re
from typing import Final

from hextrackr_server.doctor import intermediary
from hextrackr_server.doctor.finding import Finding, Level, problem
from hextrackr_server.doctor.polling import TEXT, PollingSession, examined, open_session, served
from hextrackr_server.doctor.remedies import REMEDIES
from hextrackr_server.doctor.target import Answer, Target
from hextrackr_server.doctor.transports import NoResponse

#: Seconds in which a proxy refuses the head of a request.
_REFUSAL_SECONDS: Final = 1.5
_TOO_LARGE: Final = 413
_FORBIDDEN: Final = 403
#: Other statuses for a body that is too large: of HAProxy, and of Caddy 2.6, which has counted the
#: bytes. They have other reasons as well.
_AMBIGUOUS: Final = frozenset({_FORBIDDEN, 502})
_TRIES: Final = 2
_MEGABYTE: Final = 1_000_000
#: The default of HEXTRACKR_IMPORT_MEGABYTES.
_UPLOAD_MEGABYTES: Final = 100
#: A larger message is announced only.
_MAXIMUM_SENT: Final = 2_000_000
#: A pong with data, which servers ignore.
_PONG: Final = b"3"
#: The statuses of a proxy that does not forward uploads, besides pages, redirects and logins.
_BLOCKED: Final = frozenset({404, 405})
_SIZES: Final = (64, 50, 32, 20, 16, 10, 8, 5, 2, 1)
_UPLOADS: Final = "/api/imports"
_MINIMUM_FILES: Final = 4096
_MOST_FILES: Final = 0.8
_SAMPLE: Final = re.compile(r"^process_(max|open)_fds (\d+(?:\.\d+)?(?:e\+?\d+)?)$", re.MULTILINE)


def check_message_size(target: Target) -> Finding:
    """Check that a post of the largest size passes."""
    session = open_session(target, keeps_cookies=True)
    size = session.maximum_payload
    if not _refuses_message(target, session, size):
        return Finding("message size", Level.OK, f"a post of {_sized(size)} passes")
    message = f"the proxy refuses a post of {_sized(size)}, which the server accepts"
    return problem(REMEDIES, "message size", Level.ERROR, "body-limit", message)


def check_upload_size(target: Target) -> Finding:
    """Check that the upload of an export passes."""
    url = target.prefix + _UPLOADS
    answer = _answer_to_upload(target, url)
    if answer is not None and _is_blocked(answer):
        message = f"{intermediary.describe(answer)}: the proxy does not forward POST {_UPLOADS}"
        return Finding("upload size", Level.NOTE, message, "no-upload")
    if not _is_too_large(target, url, _UPLOAD_MEGABYTES * _MEGABYTE):
        if answer is not None and _counts_bytes(answer):
            message = (
                "Caddy refuses an upload only after it has counted the bytes: compare max_size of "
                "request_body with the size of the exports"
            )
            return Finding("upload size", Level.NOTE, message, "unseen-limit")
        message = f"an upload of {_UPLOAD_MEGABYTES} MB passes"
        return Finding("upload size", Level.OK, message)
    passing = (each for each in _SIZES if not _is_too_large(target, url, each * _MEGABYTE))
    largest = next(passing, 0)
    below = f"; {largest} MB pass" if largest else "; 1 MB is refused, too"
    message = f"an upload of {_UPLOAD_MEGABYTES} MB is refused{below}"
    return problem(REMEDIES, "upload size", Level.ERROR, "body-limit", message)


def _is_blocked(answer: Answer) -> bool:
    return intermediary.replaces_server(answer) or (answer.status in _BLOCKED and not answer.json())


def _counts_bytes(answer: Answer) -> bool:
    return "caddy" in f"{answer.value('server')} {answer.value('via')}".lower()


def _refuses_message(target: Target, session: PollingSession, size: int) -> bool:
    """Return whether a proxy refuses a message of a size, and no small one.

    Raises HandshakeError for the response of a proxy without a relation to the size.
    """
    for _ in range(_TRIES):
        path = target.engine_url("polling", session.sid)
        answer = _send(target, path, session.headers, size) if size <= _MAXIMUM_SENT else None
        if answer is None:
            return _is_too_large(target, path, size)
        if answer.status == _TOO_LARGE:
            return True
        if answer.status not in _AMBIGUOUS:
            served(answer)
            return False
        session = open_session(target, keeps_cookies=True)
        served(session.post(_PONG.decode()))
    return True


def _send(target: Target, path: str, headers: dict[str, str], size: int) -> Answer | None:
    """Post a message of a size; return None if the connection ends without a response."""
    body = _PONG.ljust(size, b".")
    try:
        return target.request("POST", path, headers=TEXT | headers, body=body)
    except NoResponse:
        return None


def _is_too_large(target: Target, path: str, size: int) -> bool:
    try:
        answer = target.announce(path, size, _REFUSAL_SECONDS)
    except ConnectionRefusedError:
        raise  # The size has no part in it.
    except NoResponse:
        # Some proxies end the connection instead; others end it if a body of any size is late.
        return not _ends_without_body(target, path)
    if answer is None:
        return False
    status = examined(answer).status
    return status == _TOO_LARGE or (status == _FORBIDDEN and not answer.json())


def _ends_without_body(target: Target, path: str) -> bool:
    try:
        target.announce(path, 1, _REFUSAL_SECONDS)
    except NoResponse:
        return True
    return False


def _answer_to_upload(target: Target, path: str) -> Answer | None:
    """Return the response to an upload without a body, or None without a response."""
    try:
        answer = target.request("POST", path)
    except NoResponse:
        return None
    return examined(answer)


def _sized(size: int) -> str:
    return f"{size / _MEGABYTE:.3g} MB" if size >= _MEGABYTE // 10 else f"{size} bytes"


def check_descriptors(target: Target, metrics_token: str) -> Finding:
    """Check the limit of open files, which the metrics contain."""
    check = "open files"
    if not metrics_token:
        message = "needs --metrics-token, and a URL at which the metrics are not blocked"
        return Finding(check, Level.SKIPPED, message, "no-token")
    if not target.is_verified:
        message = "the token is not sent, because the certificate has no trust"
        return Finding(check, Level.SKIPPED, message, "no-trust")
    try:
        answer = target.get("/metrics", {"Authorization": f"Bearer {metrics_token}"})
    except NoResponse as error:
        return Finding(check, Level.SKIPPED, f"no metrics: {error}", "no-metrics")
    found = {name: float(value) for name, value in _SAMPLE.findall(answer.text)}
    if answer.status != 200 or len(found) < 2:
        message = f"GET /metrics returned status {answer.status} without the numbers"
        return Finding(check, Level.SKIPPED, message, "no-metrics")
    used, most = found["open"], found["max"]
    message = f"{used:.0f} of {most:.0f} in use"
    if most >= _MINIMUM_FILES and used <= most * _MOST_FILES:
        return Finding(check, Level.OK, message)
    return problem(REMEDIES, check, Level.WARNING, "descriptors", message)

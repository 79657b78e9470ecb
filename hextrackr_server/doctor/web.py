"""Checks for browsers: origins and cookies; checks of paths that are not for the public."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from websockets.exceptions import InvalidHandshake, InvalidStatus

from hextrackr_server.doctor.finding import Finding, Level, problem, quoted
from hextrackr_server.doctor.polling import HandshakeError, examined, served
from hextrackr_server.doctor.remedies import REMEDIES
from hextrackr_server.doctor.target import Answer, Target
from hextrackr_server.doctor.transports import NoResponse, answer_of, is_of_proxy

#: An origin without an owner: the domain is reserved by RFC 2606.
_FOREIGN: Final = "https://doctor.invalid"
_ALLOWED: Final = "access-control-allow-origin"
_CREDENTIALS: Final = "access-control-allow-credentials"
#: The statuses for an origin that is not allowed.
_REFUSED: Final = frozenset({400, 403})
_METRICS: Final = ("/metrics", "/socket-metrics")
_INGEST: Final = "/ingest/sessions"


def check_own_origin(target: Target) -> Finding:
    """Check that a page of the deployment itself may open a WebSocket."""
    refused = _refuses_origin(target, target.origin)
    if refused is None:
        return Finding("own origin", Level.SKIPPED, "no WebSocket is possible", "no-websocket")
    if not refused:
        return Finding("own origin", Level.OK, "pages of this address may connect")
    message = f"the server refuses a page of {target.origin}: it receives another Host header"
    return _error("own origin", "host", message)


def _refuses_origin(target: Target, origin: str) -> bool | None:
    """Return whether the server refuses a WebSocket of an origin; None if that is unknown.

    A server that refuses any WebSocket has not examined the origin. Raises HandshakeError for the
    response of a proxy, which has not examined the origin either.
    """
    try:
        with target.websocket():
            pass
    except (InvalidHandshake, *NoResponse):
        return None
    try:
        with target.websocket(origin=origin):
            return False
    except InvalidStatus as error:
        answer = answer_of(error)
        if is_of_proxy(answer):
            raise HandshakeError(answer) from error
        return True if answer.status in _REFUSED else None
    except (InvalidHandshake, *NoResponse):
        return None


def check_foreign_origin(target: Target) -> Finding:
    """Check that an unknown page may not use the cookies of users. Raises HandshakeError."""
    answer = _handshake(target, _FOREIGN)
    allowed = answer.values(_ALLOWED)
    takes_cookies = "true" in (each.lower() for each in answer.values(_CREDENTIALS))
    if _FOREIGN in allowed and takes_cookies:
        message = f"the page {_FOREIGN} may send requests with the cookies of users"
        return _error("other origins", "cors-open", message)
    if _FOREIGN in allowed or "*" in allowed:
        return Finding("other origins", Level.NOTE, "all pages may connect, without cookies")
    return Finding("other origins", Level.OK, "unknown pages may not connect")


def check_origin(target: Target, origin: str) -> Iterator[Finding]:
    """Check the CORS headers for pages of an origin. Raises HandshakeError."""
    check = "origin"
    answer = served(_handshake(target, origin))
    allowed = [each.strip() for value in answer.values(_ALLOWED) for each in value.split(",")]
    if len(allowed) > 1:
        message = f"{len(allowed)} values of Access-Control-Allow-Origin: {', '.join(allowed)}"
        yield _error(check, "cors-duplicate", message)
    elif not allowed:
        message = f"no Access-Control-Allow-Origin for {origin} (status {answer.status})"
        yield _error(check, "cors-missing", message)
    elif allowed[0] not in {origin, "*"}:
        message = f"Access-Control-Allow-Origin is {quoted(allowed[0])} for {origin}"
        yield _error(check, "cors-missing", message)
    else:
        yield Finding(check, Level.OK, f"pages of {origin} may connect")
        if answer.value(_CREDENTIALS).lower() != "true":
            message = "pages may not send cookies (no Access-Control-Allow-Credentials)"
            yield problem(REMEDIES, check, Level.WARNING, "cors-credentials", message)
        yield _preflight(target, origin)
    websocket = check_websocket_origin(target, origin)
    if websocket.level is Level.ERROR:
        yield websocket


def check_websocket_origin(target: Target, origin: str) -> Finding:
    """Check that pages of an origin may open a WebSocket."""
    refused = _refuses_origin(target, origin)
    if refused is None:
        return Finding("origin", Level.SKIPPED, "no WebSocket is possible", "no-websocket")
    if refused:
        message = f"the server refuses a WebSocket of {origin}"
        return _error("origin", "cors-missing", message)
    return Finding("origin", Level.OK, f"pages of {origin} may open a WebSocket")


def _handshake(target: Target, origin: str) -> Answer:
    """Return the response to a page of an origin. Raises HandshakeError, also of a full server."""
    return examined(target.request("GET", target.engine_url("polling"), headers={"Origin": origin}))


def _preflight(target: Target, origin: str) -> Finding:
    check = "preflight"
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = examined(target.request("OPTIONS", target.engine_url("polling"), headers=asked))
    if 200 <= answer.status < 300 and answer.values(_ALLOWED):
        return Finding(check, Level.OK, "answered")
    message = f"OPTIONS returned status {answer.status}" + (
        "" if answer.values(_ALLOWED) else " without CORS headers"
    )
    return _error(check, "cors-preflight", message)


def check_cookies(target: Target) -> Finding:
    """Check the attributes of the cookies that the handshake and the page set."""
    answers = [served(target.request("GET", target.engine_url("polling")))]
    answers.append(examined(target.get("/")))
    cookies = [each for answer in answers for each in answer.values("set-cookie")]
    problems = dict.fromkeys(each for cookie in cookies for each in _problems(cookie, target))
    if problems:
        return problem(REMEDIES, "cookies", Level.WARNING, "cookie", "; ".join(problems))
    names = sorted({each.partition("=")[0] for each in cookies})
    message = f"complete attributes: {', '.join(names)}" if names else "none are set"
    return Finding("cookies", Level.OK, message)


def _problems(cookie: str, target: Target) -> Iterator[str]:
    name, *attributes = (each.strip() for each in cookie.split(";"))
    given = {each.partition("=")[0].lower(): each.partition("=")[2] for each in attributes}
    name = quoted(name.partition("=")[0])
    if target.is_encrypted and "secure" not in given:
        yield f"the cookie {name} lacks Secure"
    if "httponly" not in given:
        yield f"the cookie {name} lacks HttpOnly"
    if given.get("samesite", "").lower() == "none" and "secure" not in given:
        yield f"browsers reject the cookie {name}: SameSite=None requires Secure"


def check_public_paths(target: Target) -> Iterator[Finding]:
    """Check that metrics need a token, and whether reports of producers are reachable."""
    public = [path for path in _METRICS if _is_metrics(examined(target.get(path)))]
    if public:
        message = f"anyone can read {' and '.join(public)}"
        yield _error("metrics", "public-metrics", message)
    else:
        yield Finding("metrics", Level.OK, "not public")
    answer = examined(target.request("POST", target.prefix + _INGEST))
    if answer.status in {400, 401} and answer.json():
        message = "the routes of producers (/ingest/) are reachable; they require their token"
        yield problem(REMEDIES, "producers", Level.NOTE, "public-ingest", message)


def _is_metrics(answer: Answer) -> bool:
    """Return whether a response contains metrics: an object, or lines that begin with `# HELP`."""
    return answer.status == 200 and (bool(answer.json()) or answer.text.startswith("# "))


def _error(check: str, code: str, message: str) -> Finding:
    return problem(REMEDIES, check, Level.ERROR, code, message)

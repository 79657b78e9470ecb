"""Checks of the transports: polling, several servers, WebSocket, upgrade."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from websockets.exceptions import InvalidMessage, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection

from hextrackr_server.doctor import intermediary
from hextrackr_server.doctor.finding import Finding, Level, problem, quoted
from hextrackr_server.doctor.polling import (
    PollingSession,
    handshake_data,
    open_session,
    packets_of,
    served,
)
from hextrackr_server.doctor.remedies import REMEDIES
from hextrackr_server.doctor.target import Answer, Target, decoded

#: A packet that is sent while a poll waits arrives at once.
_DELAY_SECONDS: Final = 1.0
_DELAY_TRIES: Final = 3
_SETTLE_SECONDS: Final = 0.3
#: Sessions of the check for several servers; each sends a different number of requests, so that no
#: regular distribution serves all sessions by chance.
_SESSIONS: Final = 8
_REQUESTS: Final = (1, 2, 3)
_CONNECT: Final = "40"
_PING: Final = "2"
#: A ping and a no-op, which no check awaits.
_IGNORED: Final = frozenset({_PING, "6"})
_UNKNOWN_TRANSPORT: Final = 0
_UNKNOWN_SESSION: Final = 1
#: A refused WebSocket receives the text only.
_UNKNOWN_TEXT: Final = "Session ID unknown"
_NO_TRANSPORT_TEXT: Final = "Transport unknown"
_BAD_REQUEST: Final = 3
_FORBIDDEN: Final = 403
#: The statuses of a page to which a proxy forwards a WebSocket.
_ELSEWHERE: Final = frozenset({200, 404})
#: The statuses of a server that requires a login for the handshake, and their body is JSON.
_LOGIN: Final = frozenset({401, 403})

#: The exceptions of a request without a response.
NoResponse = (OSError, http.client.HTTPException)


def explain_handshake(target: Target, answer: Answer) -> Finding:
    """Return the finding for a response that is not a handshake."""
    request = f"GET {target.engine_path}"
    finding = intermediary.explain(target, "polling", request, answer)
    if finding is not None:
        return finding
    refusal = answer.json().get("message")
    if answer.json().get("code") == _UNKNOWN_TRANSPORT:
        if check_websocket(target).level is Level.OK:
            message = "the server offers WebSocket only: the checks of polling are left out"
            return Finding("polling", Level.NOTE, message, "no-polling")
        message = (
            f"the request arrived without its query: the server answers {quoted(str(refusal))}"
        )
        return _error("polling", "query", message)
    if isinstance(refusal, str):
        return _error("polling", "refused", f"the server refuses the handshake: {quoted(refusal)}")
    if answer.status in _LOGIN and answer.json():
        message = (
            f"status {answer.status}: the server requires a login for the handshake; the checks of "
            "the transports are left out"
        )
        return Finding("polling", Level.SKIPPED, message, "server-login")
    message = f"{request} returned {intermediary.describe(answer)} instead of a handshake"
    return _error("polling", "path", message)


def check_polling(target: Target) -> Iterator[Finding]:
    """Check the handshake, caches, and the delay of a packet. Raises HandshakeError."""
    session, other = open_session(target), open_session(target)
    other.close()
    if session.sid == other.sid:
        message = "two handshakes have the same session ID: a cache answers"
        yield _error("polling", "cache", message)
        return
    delayed = _check_delay(target, session)
    if delayed is not None:
        yield delayed
        return
    seconds = session.handshake.seconds
    yield Finding("polling", Level.OK, f"handshake in {seconds * 1000:.0f} ms, poll and post")
    if session.handshake.value("cache-control").lower().find("no-store") < 0:
        yield Finding(
            "polling",
            Level.NOTE,
            "the response of the handshake has no `Cache-Control: no-store`",
            "cacheable",
        )


def _check_delay(target: Target, session: PollingSession) -> Finding | None:
    """Check that a packet arrives at once; close the session.

    A proxy that buffers delays every packet, a busy machine only some of them.
    """
    delay = _measure_delay(target, session)
    session.close()
    for _ in range(_DELAY_TRIES - 1):
        if isinstance(delay, float) and delay >= _DELAY_SECONDS:
            session = open_session(target)
            delay = _measure_delay(target, session)
            session.close()
    if isinstance(delay, float) and delay >= _DELAY_SECONDS:
        message = f"the answer to a packet took {delay:.1f} s while a poll was waiting"
        return _error("polling", "delayed", message)
    return None if isinstance(delay, float) else delay


def _measure_delay(target: Target, session: PollingSession) -> float | Finding:
    """Send a packet while a poll waits; return how many seconds its answer takes, or a problem.

    A session that is lost has no delay: the check for several servers reports it.
    """
    arrived: list[tuple[float, Answer | Exception]] = []

    def poll() -> None:
        try:
            answer: Answer | Exception = session.poll()
        except NoResponse as error:
            answer = error
        arrived.append((time.monotonic(), answer))

    waiting = threading.Thread(target=poll, daemon=True)
    waiting.start()
    waiting.join(_SETTLE_SECONDS)
    sent = time.monotonic()
    posted = session.post(_CONNECT)
    if not _is_success(posted) and not _is_unknown(posted):
        # The poll waits for the answer to the packet, until the next ping.
        return _explain_post(target, posted)
    waiting.join()
    at, answer = arrived[0]
    if isinstance(answer, Answer) and posted.status == 200 and packets_of(answer) == [_PING]:
        poll()  # The ping was first; the next one follows its pong only.
        at, answer = arrived[1]
    if isinstance(answer, TimeoutError):
        message = f"a poll got no response: {str(answer) or type(answer).__name__}"
        return _error("polling", "delayed", message)
    if isinstance(answer, Exception):
        raise answer
    if _is_unknown(answer) or _is_unknown(posted):
        return 0.0
    if not _is_success(answer):
        found = intermediary.explain(target, "polling", "a poll", answer)
        message = f"a poll returned {intermediary.describe(answer)}"
        return found or _error("polling", "path", message)
    if not any(each.startswith("4") for each in packets_of(answer)):
        message = "the response of a waiting poll does not contain the answer to a packet"
        return _error("polling", "delayed", message)
    return max(at - sent, posted.seconds)


def _explain_post(target: Target, answer: Answer) -> Finding:
    found = intermediary.explain(target, "polling", "POST", answer)
    if found is not None and found.code != "forbidden":
        return found
    message = f"a POST returned {intermediary.describe(answer)}, and a GET a handshake"
    return _error("polling", "post", message)


def check_stickiness(target: Target) -> Finding:
    """Check that all requests of a session reach the same server."""
    lost = _lost_sessions(target, keeps_cookies=False)
    if not lost:
        return Finding("stickiness", Level.OK, f"{_SESSIONS} sessions reached their server")
    if not _lost_sessions(target, keeps_cookies=True):
        message = f"{lost} of {_SESSIONS} sessions are lost unless the client keeps cookies"
        return problem(REMEDIES, "stickiness", Level.WARNING, "sticky-cookie", message)
    message = (
        f"{lost} of {_SESSIONS} sessions reached a server that does not have them ('Session ID "
        "unknown')"
    )
    return _error("stickiness", "sticky", message)


def _lost_sessions(target: Target, *, keeps_cookies: bool) -> int:
    lost = 0
    for number in range(_SESSIONS):
        session = open_session(target, keeps_cookies=keeps_cookies)
        count = _REQUESTS[number % len(_REQUESTS)]
        answers = [session.post("3") for _ in range(count)]
        if any(_is_unknown(each) for each in answers):
            lost += 1
        else:
            for each in answers:
                served(each)
            session.close()
    return lost


def _is_success(answer: Answer) -> bool:
    return answer.status == 200 and not intermediary.is_page(answer)


def _is_unknown(answer: Answer) -> bool:
    return answer.status == 400 and answer.json().get("code") == _UNKNOWN_SESSION


def check_websocket(target: Target) -> Finding:
    """Check a WebSocket without polling."""
    return _websocket(target, "websocket", lambda: _connect(target))


def _connect(target: Target) -> str:
    with target.websocket() as connection:
        data = handshake_data(str(connection.recv(timeout=_DELAY_SECONDS * 10)))
        if data is None:
            return "the first message is no handshake"
        connection.send(_CONNECT)
        reply = _reply(connection)
        return "" if reply.startswith("4") else f"unexpected answer {quoted(reply)}"


def _reply(connection: ClientConnection) -> str:
    """Return the next packet except pings and no-ops: some servers send one after the upgrade."""
    while True:
        packet = str(connection.recv(timeout=_DELAY_SECONDS * 10))
        if packet not in _IGNORED:
            return packet


def check_upgrade(target: Target) -> Finding:
    """Check the change from polling to WebSocket."""
    session = open_session(target, keeps_cookies=True)
    if "websocket" not in session.data.get("upgrades", ()):
        message = "the server offers no upgrade to WebSocket"
        return Finding("upgrade", Level.NOTE, message, "no-upgrade")
    return _websocket(target, "upgrade", lambda: _upgrade(target, session))


def _upgrade(target: Target, session: PollingSession) -> str:
    with target.websocket(session.sid, session.headers) as connection:
        connection.send("2probe")
        reply = str(connection.recv(timeout=_DELAY_SECONDS * 10))
        if reply != "3probe":
            return f"unexpected answer {quoted(reply)} to the probe"
        connection.send("5")
        connection.send(_CONNECT)
        reply = _reply(connection)
        return "" if reply.startswith("4") else f"unexpected answer {quoted(reply)}"


def _websocket(target: Target, check: str, run: Callable[[], str]) -> Finding:
    """Run a check of a WebSocket, and explain its failure."""
    try:
        message = run()
    except InvalidStatus as error:
        return _explain_status(target, check, error)
    except (InvalidMessage, *NoResponse) as error:
        message = f"no response: {quoted(str(error) or type(error).__name__)[1:-1]}"
        return _error(check, "no-response", message)
    except WebSocketException as error:
        message = f"the WebSocket failed: {quoted(str(error) or type(error).__name__)[1:-1]}"
        return _error(check, "upgrade-header", message)
    if message:
        return _error(check, "upgrade-header", message)
    return Finding(check, Level.OK, "connected, answered")


def answer_of(error: InvalidStatus) -> Answer:
    """Return the response to a refused WebSocket."""
    response = error.response
    headers = tuple(response.headers.raw_items())
    answer = Answer(response.status_code, headers, bytes(response.body or b""), 0.0)
    return replace(answer, body=decoded(answer.body, answer.value("content-encoding")))


def is_of_proxy(answer: Answer) -> bool:
    """Return whether a proxy refused a WebSocket: the refusal of a server is a text."""
    return (
        intermediary.is_page(answer)
        or answer.status in intermediary.REDIRECTS
        or answer.status in intermediary.UNSERVED
        or bool(answer.value("www-authenticate"))
    )


def _explain_status(target: Target, check: str, error: InvalidStatus) -> Finding:
    answer = answer_of(error)
    if is_of_proxy(answer):
        found = intermediary.explain(target, check, "the WebSocket", answer)
        if found is not None:
            return found
        if answer.status in _ELSEWHERE and intermediary.is_page(answer):
            message = f"the WebSocket returned {intermediary.describe(answer)}"
            return _error(check, "path", message)
    code = answer.json().get("code")
    if code == _UNKNOWN_SESSION or _UNKNOWN_TEXT in answer.text:
        message = "the WebSocket reached a server that does not have the session"
        return _error(check, "sticky", message)
    if answer.status == _FORBIDDEN:
        return _error(check, "refused", f"the server refuses it: {_said(answer)}")
    if code == _UNKNOWN_TRANSPORT or _NO_TRANSPORT_TEXT in answer.text:
        message = "the server offers no WebSocket, or the request arrived without its query"
        return Finding(check, Level.NOTE, message, "no-upgrade")
    reason = "the request arrived without the Upgrade header"
    if code != _BAD_REQUEST:
        reason = f"status {answer.status} instead of 101: {_said(answer)}"
    return _error(check, "upgrade-header", reason)


def _said(answer: Answer) -> str:
    message = answer.json().get("message")
    return quoted(message if isinstance(message, str) else answer.text)


def _error(check: str, code: str, message: str) -> Finding:
    return problem(REMEDIES, check, Level.ERROR, code, message)

"""Runs the checks in their order; the slow ones wait for the ping of the server meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from hextrackr_server.doctor import basics, intermediary, limits, patience, transports, web
from hextrackr_server.doctor.finding import Finding, Level, Report, problem, worst
from hextrackr_server.doctor.polling import HandshakeError, open_session
from hextrackr_server.doctor.remedies import REMEDIES
from hextrackr_server.doctor.target import Target
from hextrackr_server.doctor.transports import NoResponse

#: The default of servers in seconds.
_PING_INTERVAL: Final = 25.0


@dataclass(frozen=True)
class Wishes:
    """Optional checks: of an origin of pages, of metrics with their token, without slow ones."""

    origin: str = ""
    metrics_token: str = ""
    is_quick: bool = False


def examine(target: Target, wishes: Wishes) -> Report:
    """Run all checks that the deployment allows, and return their findings."""
    report = Report(target.url)
    try:
        report.findings += _examine(target, wishes)
    except basics.UnusableError as error:
        report.findings.append(error.finding)
    return report


def _examine(target: Target, wishes: Wishes) -> Iterator[Finding]:
    certificate = basics.check_certificate(target, time.time())
    if certificate is not None:
        yield certificate
    service = list(basics.check_service(target))
    yield from service
    with ThreadPoolExecutor(2) as threads:
        slow = _start_slow(target, threads, is_quick=wishes.is_quick)
        if isinstance(slow, Finding):
            yield slow
            if slow.code == "no-polling":
                slow = yield from _check_websocket_only(target, threads, wishes)
        else:
            polling = list(_guarded(target, "polling", lambda: transports.check_polling(target)))
            yield from polling
            if worst(polling) is not Level.ERROR:
                yield from _check_sessions(target)
            for check, run in (
                ("websocket", transports.check_websocket),
                ("own origin", web.check_own_origin),
                ("other origins", web.check_foreign_origin),
            ):
                yield from _guarded(target, check, lambda run=run: [run(target)])  # type: ignore[misc]
            if wishes.origin:
                yield from _guarded(
                    target, "origin", lambda: web.check_origin(target, wishes.origin)
                )
            yield from _guarded(target, "cookies", lambda: [web.check_cookies(target)])
        if basics.is_hub(service):
            yield from _guarded(target, "upload size", lambda: [limits.check_upload_size(target)])
            yield from _guarded(target, "metrics", lambda: web.check_public_paths(target))
            yield limits.check_descriptors(target, wishes.metrics_token)
        if not isinstance(slow, Finding):
            for check, waiting in slow:
                yield from _guarded(target, check, lambda waiting=waiting: [waiting.result()])  # type: ignore[misc]


def _check_websocket_only(
    target: Target, threads: ThreadPoolExecutor, wishes: Wishes
) -> Generator[Finding, None, list[tuple[str, Future[Finding]]]]:
    """Run the checks of a server without polling; return those that wait for a ping."""
    waiting = []
    if not wishes.is_quick:
        idle = threads.submit(patience.check_idle_websocket, target, _PING_INTERVAL)
        waiting.append(("idle socket", idle))
    yield from _guarded(target, "websocket", lambda: [transports.check_websocket(target)])
    yield from _guarded(target, "own origin", lambda: [web.check_own_origin(target)])
    if wishes.origin:
        yield from _guarded(
            target, "origin", lambda: [web.check_websocket_origin(target, wishes.origin)]
        )
    yield from _guarded(target, "cookies", lambda: [web.check_cookies(target)])
    return waiting


def _check_sessions(target: Target) -> Iterator[Finding]:
    """Run the checks that need several requests of a session over polling."""
    for check, run in (
        ("stickiness", transports.check_stickiness),
        ("upgrade", transports.check_upgrade),
        ("message size", limits.check_message_size),
    ):
        yield from _guarded(target, check, lambda run=run: [run(target)])  # type: ignore[misc]


def _start_slow(
    target: Target, threads: ThreadPoolExecutor, *, is_quick: bool
) -> list[tuple[str, Future[Finding]]] | Finding:
    """Start the checks of idle connections; return a finding if no session is possible."""
    try:
        session = open_session(target)
        session.close()
    except HandshakeError as error:
        return transports.explain_handshake(target, error.answer)
    except NoResponse as error:
        return _failed("polling", error)
    if is_quick:
        return []
    interval = session.ping_interval
    return [
        ("idle socket", threads.submit(patience.check_idle_websocket, target, interval)),
        ("idle poll", threads.submit(patience.check_idle_poll, target, interval)),
    ]


def _guarded(target: Target, check: str, run: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check; a lost connection is a finding, too."""
    try:
        yield from run()
    except HandshakeError as error:
        message = f"a further request returned {intermediary.describe(error.answer)}"
        found = intermediary.explain(target, check, "a further request", error.answer)
        yield found or problem(REMEDIES, check, Level.ERROR, "handshake", message)
    except NoResponse as error:
        yield _failed(check, error)


def _failed(check: str, error: BaseException) -> Finding:
    message = f"no response: {str(error) or type(error).__name__}"
    return problem(REMEDIES, check, Level.ERROR, "no-response", message)

"""The checks of the command `doctor`, against prescribed responses and against a hub."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest
from websockets.http11 import Request as WebSocketRequest
from websockets.http11 import Response as WebSocketResponse
from websockets.sync.server import ServerConnection, serve

from hextrackr_server.doctor import (
    basics,
    examination,
    intermediary,
    limits,
    patience,
    transports,
    web,
)
from hextrackr_server.doctor.examination import Wishes, examine
from hextrackr_server.doctor.finding import Finding, Level, Remedy, Report, quoted, worst
from hextrackr_server.doctor.polling import PollingSession, handshake_data, open_session
from hextrackr_server.doctor.remedies import REMEDIES
from hextrackr_server.doctor.target import Answer, Target, TargetError, decoded
from socketio_core import Cors, SocketServer
from tests.hextrackr_server.doctor.stub import Request, Respond, Response, run_stub
from tests.interop import program

CERTIFICATE = Path(__file__).parents[2] / "helpers" / "tls" / "first.pem"
QUICK = Wishes(is_quick=True)
HUB = json.dumps({"status": "ok", "version": "9.9.9"})
READY = Response(200, '{"status": "ready"}')
PAGE = "<!doctype html><title>Log in</title>"
SID = 0


@pytest.fixture(autouse=True)
def patient_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a response as long as a busy machine needs."""
    defaults = Target.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "seconds", 300.0)


def handshake(**values: object) -> str:
    global SID  # noqa: PLW0603 - every session has its own ID
    SID += 1
    return "0" + json.dumps({"sid": f"s{SID}", "upgrades": [], "pingInterval": 100} | values)


def code_of(url: str, wishes: Wishes = QUICK) -> set[str]:
    return {each.code for each in examine(Target(url), wishes).findings if each.code}


def answers(**by_word: Response) -> Respond:
    """Return the first response whose word is in the path."""

    def respond(request: Request) -> Response:
        for word, response in by_word.items():
            if word in request.path:
                return response
        return Response(404)

    return respond


# -- reports


def test_report_prints_the_remedy_with_the_lines_of_each_proxy() -> None:
    remedy = Remedy("Do this.", nginx="one;\ntwo;", haproxy="three")
    report = Report("http://a", [Finding("x", Level.ERROR, "m\x1b[1m", "code", remedy)])
    lines = report.lines()
    assert lines[0] == "http://a"
    assert "ERROR" in lines[1]
    assert "\x1b" not in lines[1]
    assert [line.strip() for line in lines[2:]] == [
        "Do this.",
        "nginx:   one;",
        "two;",
        "HAProxy: three",
        "1 error, 0 warnings",
    ]


def test_report_as_json_has_the_codes_and_remedies() -> None:
    found = Finding("x", Level.WARNING, "m", "code", Remedy("t", nginx="n"))
    report = Report("http://a", [found, Finding("y", Level.OK, "fine")])
    assert report.as_dict() == {
        "url": "http://a",
        "errors": 0,
        "warnings": 1,
        "findings": [
            {
                "check": "x",
                "level": "warning",
                "code": "code",
                "message": "m",
                "remedy": {"text": "t", "nginx": "n"},
            },
            {"check": "y", "level": "ok", "message": "fine"},
        ],
    }


def test_worst_level_of_no_findings_is_ok() -> None:
    assert worst([]) is Level.OK


def test_quoted_values_are_short_and_on_one_line() -> None:
    assert quoted("a\n b") == "'a b'"
    assert len(quoted("x" * 500)) < 130


def test_each_remedy_is_used_by_a_check() -> None:
    source = "".join(
        Path(module.__file__ or "").read_text()
        for module in (basics, examination, intermediary, limits, patience, transports, web)
    )
    assert [code for code in REMEDIES if f'"{code}"' not in source] == []


# -- targets


@pytest.mark.parametrize(
    "url", ["hextrackr.example", "ftp://a", "http://", "http://a:99999", "http://a/?x=1"]
)
def test_unusable_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(TargetError, match=r"URL"):
        Target(url)


def test_authority_without_a_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("no certificate")
    with pytest.raises(TargetError, match="--ca must name a PEM file"):
        Target("https://a", ca=tmp_path / "ca")


def test_path_of_the_url_precedes_the_path_of_socket_io() -> None:
    target = Target("https://a.example/hub/", "realtime")
    assert target.engine_path == "/hub/realtime/"
    assert target.origin == "https://a.example"


@pytest.mark.parametrize("text", ["", "4x", "0{", "0[]", '0{"sid": ""}'])
def test_text_without_a_handshake_has_no_values(text: str) -> None:
    assert handshake_data(text) is None


# -- basics


def test_closed_port_is_unreachable() -> None:
    with run_stub(answers()) as url:
        pass
    assert code_of(url) == {"unreachable"}


def test_connection_without_a_response_is_unreachable() -> None:
    with run_stub(answers(health=Response(None))) as url:
        assert code_of(url) == {"unreachable"}


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (Response(502, "<html>", (("Server", "nginx"),)), "gateway"),
        (Response(301, "", (("Location", "https://a"),)), "redirect"),
        (Response(429, "slow down"), "rate-limit"),
    ],
)
def test_proxy_without_its_server_ends_the_examination(response: Response, code: str) -> None:
    with run_stub(answers(health=response)) as url:
        assert code_of(url) == {code}


@pytest.mark.parametrize(("skew", "level"), [(-30, Level.WARNING), (7200, Level.ERROR)])
def test_wrong_clock_is_reported(skew: float, level: Level) -> None:
    date = (("Date", formatdate(time.time() + skew, usegmt=True)),)
    with run_stub(answers(health=Response(200, HUB, date), ready=READY)) as url:
        found = list(basics.check_service(Target(url)))
    assert [(each.check, each.level) for each in found][-1] == ("clock", level)
    assert basics.is_hub(found)
    assert "this command has" in found[0].message


def test_duration_of_a_response_is_not_reported_as_a_wrong_clock() -> None:
    """The server may have read its clock at any time of the request."""
    answer = Answer(200, (("Date", formatdate(1000, usegmt=True)),), b"", 20.0)
    assert basics._check_clock(answer, 1012.0).level is Level.OK
    assert basics._check_clock(answer, 1020.0).code == "clock"


def test_missing_date_leaves_out_the_check_of_the_clock() -> None:
    with run_stub(
        answers(health=Response(200, HUB), ready=Response(503, '{"status": "x"}'))
    ) as url:
        found = list(basics.check_service(Target(url)))
    assert {each.code for each in found if each.code} == {"no-date", "not-ready"}


def serve_tls(port: list[int], ready: threading.Event) -> None:
    class Quiet(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_name("first.key.pem"))
    with HTTPServer(("127.0.0.1", 0), Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.timeout = 30
        port.append(server.server_port)
        ready.set()
        for _ in range(2):
            server.handle_request()


def test_certificate_without_trust_is_reported_and_the_examination_continues() -> None:
    port: list[int] = []
    ready = threading.Event()
    thread = threading.Thread(target=serve_tls, args=(port, ready), daemon=True)
    thread.start()
    assert ready.wait(300)
    target = Target(f"https://localhost:{port[0]}")
    found = basics.check_certificate(target, time.time())
    assert found is not None
    assert found.code == "certificate"
    assert not target.is_verified
    assert target.get("/health").status == 404
    assert limits.check_descriptors(target, "token").code == "no-trust"
    thread.join(300)


def test_certificate_that_ends_soon_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target("https://localhost")
    ends = {"notAfter": "Jun  1 12:00:00 2030 GMT"}
    monkeypatch.setattr(target, "certificate", lambda: ends)
    at = ssl.cert_time_to_seconds(ends["notAfter"])
    soon, later = (basics.check_certificate(target, at - days * 86_400) for days in (3, 90))
    assert soon is not None
    assert later is not None
    assert (soon.code, soon.message) == ("certificate-expiry", "valid for 3 days")
    assert later.level is Level.OK


# -- polling


def test_refused_handshake_shows_the_message_of_the_server() -> None:
    refusal = Response(400, '{"code": 5, "message": "Unsupported protocol version"}')
    with run_stub(answers(health=Response(404), socket=refusal)) as url:
        findings = examine(Target(url), QUICK).findings
    assert findings[-1].message.endswith("'Unsupported protocol version'")
    assert findings[-1].code == "refused"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (Response(401, "<html>", (("WWW-Authenticate", "Basic"),)), "login"),
        (Response(401, '{"code": 4, "message": "token missing"}'), "refused"),
        (Response(302, "", (("Location", "/login"),)), "redirect"),
        (Response(503, "<html>"), "rate-limit"),
        (Response(503, "", (("Retry-After", "5"),)), "full"),
        (Response(429, "", (("Retry-After", "5"),)), "full"),
        (Response(429, "", (("Retry-After", "7"),)), "rate-limit"),
        (Response(503, "", (("Retry-After", "1"),)), "no-application"),
        (Response(400, '{"code": 0, "message": "Transport unknown"}'), "query"),
        (Response(403, '{"code": 4, "message": "Forbidden"}'), "refused"),
        (Response(403, "<html>"), "forbidden"),
        (Response(403), "forbidden"),
        (Response(401, '{"code": "UNAUTHORIZED", "error": "x"}'), "server-login"),
        (Response(400, "<html>No required SSL certificate was sent"), "client-certificate"),
        (Response(200, "<!doctype html><title>page</title>"), "path"),
    ],
)
def test_response_without_a_handshake_is_explained(response: Response, code: str) -> None:
    with run_stub(answers(health=Response(200, HUB), ready=READY, socket=response)) as url:
        finding = next(
            each for each in examine(Target(url), QUICK).findings if each.check == "polling"
        )
    assert finding.code == code
    assert ("HTML page" in finding.message) == ("<" in response.body)


def test_readiness_behind_a_limit_of_the_request_rate_is_explained() -> None:
    with run_stub(answers(health=Response(200, HUB), ready=Response(503, "<html>"))) as url:
        found = {each.check: each.code for each in examine(Target(url), QUICK).findings}
    assert found["readiness"] == "rate-limit"


def test_limit_of_the_request_rate_during_the_check_for_several_servers_is_reported() -> None:
    respond = polling_server(poll=Response(200, "40"), post=Response(429))
    with run_stub(respond) as url:
        target = Target(url)
        run = transports.check_stickiness
        (found,) = examination._guarded(target, "stickiness", lambda: [run(target)])
    assert (found.code, found.remedy) == ("rate-limit", REMEDIES["rate-limit"])


CHECKS: dict[str, Callable[[Target], Iterable[Finding]]] = {
    "polling": transports.check_polling,
    "idle poll": lambda target: [patience.check_idle_poll(target, 25.0)],
    "message size": lambda target: [limits.check_message_size(target)],
    "upload size": lambda target: [limits.check_upload_size(target)],
    "other origins": lambda target: [web.check_foreign_origin(target)],
    "origin": lambda target: web.check_origin(target, ORIGIN),
    "preflight": lambda target: [web._preflight(target, ORIGIN)],
    "cookies": lambda target: [web.check_cookies(target)],
    "metrics": web.check_public_paths,
    "websocket": lambda target: [transports.check_websocket(target)],
    "stickiness": lambda target: [transports.check_stickiness(target)],
}
#: The checks that open a session before the request that they examine.
WITH_SESSION = {"polling", "idle poll", "message size", "stickiness"}


@pytest.mark.parametrize(("status", "body"), [(429, ""), (503, "<html>")])
@pytest.mark.parametrize("check", CHECKS)
def test_limit_of_the_request_rate_during_a_check_is_its_only_finding(
    check: str, status: int, body: str
) -> None:
    """The server has not seen the request that the check examines."""
    sessions = {"polling": 2} | dict.fromkeys(WITH_SESSION - {"polling"}, 1)
    first = [Response(200, handshake()) for _ in range(sessions.get(check, 0))]
    limited = Response(status, body, reads_body=True)
    with run_stub(lambda _request: first.pop() if first else limited) as url:
        target = Target(url)
        found = list(examination._guarded(target, check, lambda: CHECKS[check](target)))
    assert [each.remedy for each in found] == [REMEDIES["rate-limit"]]


def hub(request: Request) -> Response:
    """Respond as a hub without WebSockets, whose pages and those of an origin may connect."""
    refused = Response(401, '{"code": "UNAUTHORIZED"}')
    others = {"/health": Response(200, HUB, (("Date", formatdate(usegmt=True)),)), "/ready": READY}
    others |= dict.fromkeys(("/api/imports", "/metrics", "/socket-metrics"), refused)
    if request.path in others:
        return others[request.path]
    if "transport=websocket" in request.path:
        return Response(400, '{"code": 0, "message": "Transport unknown"}')
    healthy = polling_server(poll=Response(200, "40{}\x1e2"), post=Response(200, "ok"))
    response = healthy(request)
    if request.headers.get("origin") != ORIGIN:
        return response
    headers = (
        ("Access-Control-Allow-Origin", ORIGIN),
        ("Access-Control-Allow-Credentials", "true"),
    )
    return response._replace(headers=headers)


#: The response, whether it is that to all further requests, and the codes that explain it.
AT_ANY_REQUEST = (
    (Response(429), True, {"rate-limit"}),
    (Response(502, "<html>"), False, {"gateway"}),
    (Response(200, PAGE), True, {"path", "post", "handshake", "cors-preflight"}),
)


def test_response_of_a_proxy_at_any_request_adds_no_other_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The examination meets a limit, a restart of the server, or the end of a login."""
    requests: list[str] = []
    first = 1000
    response, is_final, codes = AT_ANY_REQUEST[0]

    def respond(request: Request) -> Response:
        number = len(requests)
        requests.append(request.path)
        is_replaced = number >= first if is_final else number == first
        return response if is_replaced else hub(request)

    def problems() -> set[str]:
        requests.clear()
        found = examine(target, Wishes(ORIGIN)).findings
        return {each.code for each in found if each.level in {Level.ERROR, Level.WARNING}}

    monkeypatch.setattr(transports, "_DELAY_SECONDS", 300.0)
    monkeypatch.setattr(limits, "_REFUSAL_SECONDS", 300.0)
    with run_stub(respond) as url:
        target = Target(url)
        assert problems() == set()
        for first in range(len(requests)):
            response, is_final, codes = AT_ANY_REQUEST[first % len(AT_ANY_REQUEST)]
            assert problems() <= codes, first


async def test_limit_of_sessions_of_an_address_is_reported() -> None:
    io = SocketServer(max_sessions_per_address=1, ping_interval=3600)
    listener = await io.listen("127.0.0.1", 0)
    target = Target(f"http://127.0.0.1:{listener.port}")
    await asyncio.to_thread(open_session, target)
    found = (await asyncio.to_thread(examine, target, QUICK)).findings[-1]
    websocket = await asyncio.to_thread(transports.check_websocket, target)
    foreign = await asyncio.to_thread(
        lambda: list(examination._guarded(target, "x", lambda: web.check_origin(target, ORIGIN)))
    )
    await io.shutdown()
    assert (found.code, found.remedy) == ("full", REMEDIES["full"])
    assert found.message == (
        "status 429 to GET /socket.io/: the server has as many sessions of this address as it "
        "allows"
    )
    assert [each.code for each in (websocket, *foreign)] == ["full", "full"]


async def test_draining_server_is_reported() -> None:
    io = SocketServer()
    listener = await io.listen("127.0.0.1", 0)
    io.begin_drain()
    report = await asyncio.to_thread(examine, Target(f"http://127.0.0.1:{listener.port}"), QUICK)
    await io.shutdown()
    assert report.findings[-1].code == "full"
    assert report.findings[-1].message.endswith("or it is shutting down")


def test_limit_of_the_request_rate_for_the_first_request_is_explained() -> None:
    with run_stub(answers(health=Response(429))) as url:
        (found,) = examine(Target(url), QUICK).findings
    assert found.message == "status 429 to GET /health: a limit of the request rate"


STARTING = Response(503, '{"code": "UNAVAILABLE"}', (("Retry-After", "1"),))


@pytest.mark.parametrize(
    ("health", "code"),
    [
        (STARTING, "no-application"),
        (Response(400), "proxy-protocol"),
        (Response(400, "<html>The SSL certificate error"), "client-certificate"),
    ],
)
def test_response_to_the_first_request_is_explained(health: Response, code: str) -> None:
    with run_stub(answers(health=health)) as url:
        (found,) = examine(Target(url), QUICK).findings
    assert (found.code, found.remedy) == (code, REMEDIES[code])


def test_blocked_paths_of_the_hub_are_notes() -> None:
    blocked = Response(403, "<html>")
    with run_stub(answers(health=Response(200, HUB), ready=blocked, imports=blocked)) as url:
        found = {each.check: each for each in examine(Target(url), QUICK).findings}
    assert (found["readiness"].level, found["readiness"].code) == (Level.NOTE, "no-ready")
    with run_stub(answers(health=blocked, socket=Response(200, handshake()))) as url:
        assert "not-a-hub" in code_of(url)


@contextmanager
def run_port(reply: Callable[[bytes], bytes]) -> Iterator[str]:
    """Run a server that answers the first bytes of each connection, and yield its URL."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(reply(self.request.recv(65536)))

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


SETTINGS = b"\0\0\0\x04\0\0\0\0\0"
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
FOUND = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "reply", "code"),
    [
        (b"PRI * HTTP/2.0", SETTINGS, "http-2"),
        (b"PROXY TCP4", FOUND, "proxy-protocol"),
        (b"PROXY TCP4", BAD_REQUEST, "unreachable"),
        (b"HELO", b"", "unreachable"),
    ],
)
def test_port_that_closes_connections_is_explained(first: bytes, reply: bytes, code: str) -> None:
    with run_port(lambda data: reply if data.startswith(first) else b"") as url:
        (found,) = examine(Target(url), QUICK).findings
    assert (found.code, found.remedy) == (code, REMEDIES[code])


def test_frames_of_http_2_as_the_first_response_are_explained() -> None:
    with run_port(lambda data: SETTINGS) as url:
        assert code_of(url) == {"http-2"}


def test_missing_certificate_of_the_client_is_explained() -> None:
    error = ssl.SSLError()
    error.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    found = intermediary.explain_scheme(Target("https://a"), error)
    assert found is not None
    assert found.code == "client-certificate"


async def test_server_with_websocket_only_has_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_MARGIN", 300.0)  # for the ping on a busy machine
    io = SocketServer(transports=["websocket"], ping_interval=1)
    listener = await io.listen("127.0.0.1", 0)
    target = Target(f"http://127.0.0.1:{listener.port}")
    report = await asyncio.to_thread(examine, target, Wishes(origin=ORIGIN))
    await io.shutdown()
    assert [each for each in report.findings if each.remedy is not None] == []
    found = {each.check: each for each in report.findings}
    assert (found["polling"].level, found["polling"].code) == (Level.NOTE, "no-polling")
    assert found["websocket"].level is Level.OK
    assert found["origin"].level is Level.OK
    assert found["idle socket"].message.startswith("the ping arrived after")


async def test_server_with_websocket_only_refuses_an_unknown_origin() -> None:
    io = SocketServer(transports=["websocket"], cors=Cors(origins=[]))
    listener = await io.listen("127.0.0.1", 0)
    target = Target(f"http://127.0.0.1:{listener.port}")
    report = await asyncio.to_thread(examine, target, Wishes(origin=ORIGIN, is_quick=True))
    await io.shutdown()
    assert [each.code for each in report.findings if each.level is Level.ERROR] == ["cors-missing"]


@contextmanager
def run_websockets(
    handle: Callable[[ServerConnection], None],
    process_request: Callable[[ServerConnection, WebSocketRequest], WebSocketResponse | None]
    | None = None,
) -> Iterator[str]:
    """Run a server of WebSockets until the block ends, and yield its URL."""
    with serve(handle, "127.0.0.1", 0, process_request=process_request) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_pings_and_no_ops_before_the_answer_are_ignored() -> None:
    def handle(connection: ServerConnection) -> None:
        connection.send(handshake())
        assert connection.recv() == "40"
        for packet in ("6", "2", '40{"sid":"x"}'):
            connection.send(packet)

    with run_websockets(handle) as url:
        found = transports.check_websocket(Target(url))
    assert found.level is Level.OK, found.message


async def test_server_with_polling_only_has_no_problem() -> None:
    io = SocketServer(transports=["polling"])
    listener = await io.listen("127.0.0.1", 0)
    target = Target(f"http://127.0.0.1:{listener.port}")
    report = await asyncio.to_thread(examine, target, QUICK)
    await io.shutdown()
    assert [each for each in report.findings if each.remedy is not None] == []


def test_refused_post_is_reported_while_the_poll_waits() -> None:
    release = threading.Event()
    try:
        waiting = Response(200, "2", release=release)
        assert codes(polling_server(poll=waiting, post=Response(403))) == {"post"}
    finally:
        release.set()


@pytest.mark.parametrize("reply", [Response(400, "plain HTTP"), Response(None)])
def test_url_without_tls_for_a_port_with_tls_is_explained(
    reply: Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Target, "accepts_tls", lambda self: True)
    with run_stub(answers(health=reply)) as url:
        assert code_of(url) == {"scheme"}


def test_url_with_tls_for_a_port_without_is_explained() -> None:
    with run_stub(answers()) as url:
        assert not Target(url).accepts_tls()
        assert code_of(url.replace("http", "https")) == {"scheme"}


def test_login_in_the_url_is_sent_and_not_shown() -> None:
    seen: list[str] = []

    def respond(request: Request) -> Response:
        seen.append(request.headers.get("authorization", ""))
        return Response(401)

    with run_stub(respond) as url:
        report = examine(Target(url.replace("//", "//ada:s%2Fcret@")), QUICK)
    assert set(seen) == {"Basic YWRhOnMvY3JldA=="}
    assert report.url == url
    assert [each.code for each in report.findings if each.check == "polling"] == ["login"]
    assert "refuses the login" in report.findings[-1].message


def test_path_of_socket_io_at_the_end_of_the_url_is_removed() -> None:
    for url in ("http://a/socket.io/", "http://a/socket.io", "http://a/"):
        target = Target(url)
        assert (target.url, target.engine_path) == ("http://a", "/socket.io/")
    assert Target("http://a/x/rt", "/rt/").engine_path == "/x/rt/"


def test_lost_handshake_is_reported() -> None:
    with run_stub(answers(health=Response(404), socket=Response(None))) as url:
        assert "no-response" in code_of(url)


def polling_server(*, poll: Response, post: Response, repeat: bool = False) -> Respond:
    """Return a server of polling sessions; with `repeat`, all have one ID."""
    same = handshake()

    def respond(request: Request) -> Response:
        if request.method == "POST":
            return post
        if "sid=" in request.path:
            return poll
        if "socket.io" in request.path:
            return Response(200, same if repeat else handshake(), (("Date", "x"),))
        return Response(404)

    return respond


def codes(respond: Respond) -> set[str]:
    with run_stub(respond) as url:
        return {each.code for each in transports.check_polling(Target(url)) if each.code}


def test_cached_handshake_is_reported() -> None:
    ok = Response(200, "ok")
    assert codes(polling_server(poll=ok, post=ok, repeat=True)) == {"cache"}


@pytest.mark.parametrize(("delays", "expected"), [
    ([3.0, 0.1], set()), ([3.0, 3.0, 0.1], set()), ([3.0] * 3, {"delayed"}),
])  # fmt: skip
def test_delay_is_reported_when_each_packet_is_delayed(
    monkeypatch: pytest.MonkeyPatch, delays: list[float], expected: set[str]
) -> None:
    remaining = iter(delays)
    monkeypatch.setattr(transports, "_measure_delay", lambda target, session: next(remaining))
    found = codes(polling_server(poll=Response(200, "40"), post=Response(200)))
    assert found - {"cacheable"} == expected
    assert list(remaining) == []


def test_poll_without_its_packet_is_reported() -> None:
    assert codes(polling_server(poll=Response(200, "6"), post=Response(200))) == {"delayed"}


def test_ping_before_the_answer_to_a_packet_is_ignored() -> None:
    polls = iter(["2", '40{"sid":"x"}'])

    def respond(request: Request) -> Response:
        if request.method == "GET" and "sid=" in request.path:
            return Response(200, next(polls))
        return Response(200, handshake())

    assert codes(respond) == {"cacheable"}
    assert list(polls) == []


def test_poll_without_a_response_is_reported() -> None:
    respond = polling_server(poll=Response(None), post=Response(200))
    with run_stub(respond) as url:
        target = Target(url)
        run = transports.check_polling
        (found,) = examination._guarded(target, "polling", lambda: run(target))
    assert (found.code, found.remedy) == ("no-response", REMEDIES["no-response"])


def test_poll_without_a_response_in_time_is_delayed(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(session: PollingSession) -> Answer:
        raise TimeoutError

    monkeypatch.setattr(PollingSession, "poll", end)
    assert codes(polling_server(poll=Response(200), post=Response(200))) == {"delayed"}


def test_refused_post_is_reported() -> None:
    assert codes(polling_server(poll=Response(200, "40"), post=Response(405))) == {"post"}


def test_unknown_session_is_left_to_the_check_for_several_servers() -> None:
    unknown = Response(400, '{"code": 1, "message": "Session ID unknown"}')
    respond = polling_server(poll=unknown, post=unknown)
    assert codes(respond) == {"cacheable"}
    with run_stub(respond) as url:
        assert transports.check_stickiness(Target(url)).code == "sticky"


def test_missing_offer_of_an_upgrade_is_a_note() -> None:
    with run_stub(polling_server(poll=Response(200), post=Response(200))) as url:
        assert transports.check_upgrade(Target(url)).code == "no-upgrade"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (Response(400, '{"code": 3, "message": "Bad request"}'), "upgrade-header"),
        (Response(400, "Session ID unknown"), "sticky"),
        (Response(403, "Forbidden"), "refused"),
        (Response(403, "<html>"), "forbidden"),
        (Response(301, "", (("Location", "http://127.0.0.1/elsewhere"),)), "redirect"),
        (Response(302, "", (("Location", "/login"),)), "redirect"),
        (Response(503, "", (("Retry-After", "1"),)), "no-application"),
        (Response(400, "Transport unknown"), "no-upgrade"),
        (Response(200, "<html>"), "path"),
        (Response(404, "<html>"), "path"),
        (Response(400, "<html>"), "upgrade-header"),
        (Response(502, "<html>"), "gateway"),
        (Response(504), "gateway"),
        (Response(503, "<html>"), "rate-limit"),
        (Response(None), "no-response"),
    ],
)
def test_refused_websocket_is_explained_by_its_response(response: Response, code: str) -> None:
    with run_stub(answers(socket=response)) as url:
        assert transports.check_websocket(Target(url)).code == code


# -- idle connections


@pytest.fixture
def no_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_MARGIN", 0.05)


@pytest.mark.usefixtures("no_margin")
def test_poll_without_a_ping_is_reported() -> None:
    release = threading.Event()
    respond = polling_server(poll=Response(200, "2", release=release), post=Response(200))
    with run_stub(respond) as url:
        found = patience.check_idle_poll(Target(url), 0.05)
        release.set()
    assert found.code == "no-ping"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (Response(504, "<html>"), "idle"),
        (Response(None), "idle"),
        (Response(400, '{"code": 1}'), "no-session"),
        (Response(200, "2"), ""),
    ],
)
def test_end_of_an_idle_poll_is_explained(response: Response, code: str) -> None:
    with run_stub(polling_server(poll=response, post=Response(200))) as url:
        assert patience.check_idle_poll(Target(url), 25.0).code == code


def test_idle_websocket_is_left_out_when_none_is_possible() -> None:
    with run_stub(answers()) as url:
        assert patience.check_idle_websocket(Target(url), 25.0).code == "no-websocket"


def test_idle_websocket_is_left_out_when_its_proxy_ends_it_at_once() -> None:
    with run_websockets(lambda connection: None) as url:
        found = patience.check_idle_websocket(Target(url), 25.0)
    assert found.code == "no-websocket"


# -- limits


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a refusal as long as a busy machine needs."""
    monkeypatch.setattr(limits, "_REFUSAL_SECONDS", 300.0)


def limited(maximum: int) -> Respond:
    def respond(request: Request) -> Response:
        if request.length > maximum:
            return Response(413)
        if "imports" in request.path:
            return Response(401, '{"code": "UNAUTHORIZED"}')
        return Response(200, handshake(maxPayload=5_000_000))

    return respond


@pytest.mark.usefixtures("patient")
def test_largest_upload_that_passes_is_reported() -> None:
    with run_stub(limited(9_000_000)) as url:
        found = limits.check_upload_size(Target(url))
        assert limits.check_message_size(Target(url)).level is Level.OK
    assert found.code == "body-limit"
    assert found.message == "an upload of 100 MB is refused; 8 MB pass"


@pytest.mark.usefixtures("patient")
def test_limit_below_a_megabyte_is_reported() -> None:
    with run_stub(limited(100_000)) as url:
        found = limits.check_upload_size(Target(url))
        message = limits.check_message_size(Target(url)).message
    assert found.message == "an upload of 100 MB is refused; 1 MB is refused, too"
    assert message == "the proxy refuses a post of 5 MB, which the server accepts"


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("header", [("Server", "Caddy"), ("Via", "1.1 Caddy")])
def test_invisible_limit_of_caddy_for_uploads_is_a_note(header: tuple[str, str]) -> None:
    refused = Response(401, '{"code": "UNAUTHORIZED"}', (header,))
    with run_stub(answers(imports=refused)) as url:
        found = limits.check_upload_size(Target(url))
    assert (found.level, found.code) == (Level.NOTE, "unseen-limit")


def ending_above(maximum: int) -> Respond:
    return lambda request: Response(None) if request.length > maximum else Response(200, "{}")


@pytest.mark.parametrize(("maximum", "code"), [(9_000_000, "body-limit"), (0, "")])
@pytest.mark.usefixtures("patient")
def test_connection_that_ends_above_a_size_counts_as_a_limit(maximum: int, code: str) -> None:
    with run_stub(ending_above(maximum)) as url:
        assert limits.check_upload_size(Target(url)).code == code


@pytest.mark.parametrize(
    ("status", "code"),
    [(413, "body-limit"), (403, "body-limit"), (502, "body-limit"), (200, ""), (400, "")],
)
def test_message_of_the_largest_size_is_sent(status: int, code: str) -> None:
    lengths: list[int] = []

    def respond(request: Request) -> Response:
        lengths.append(request.length)
        if request.length > 1:
            return Response(status, reads_body=True)
        return Response(200, handshake(maxPayload=900_000))

    with run_stub(respond) as url:
        assert limits.check_message_size(Target(url)).code == code
    again = [0, 1] if status in {403, 502} else []
    assert lengths == [0, 900_000, *again, *([900_000, *again] if again else [])]


@pytest.mark.usefixtures("patient")
def test_message_is_announced_when_the_connection_ends_before_the_response() -> None:
    def respond(request: Request) -> Response:
        if request.length > 1:
            return Response(None)
        return Response(200, handshake(maxPayload=900_000))

    with run_stub(respond) as url:
        assert limits.check_message_size(Target(url)).code == "body-limit"


@pytest.mark.parametrize("response", [Response(403, "<html>"), Response(404), Response(405)])
def test_proxy_that_does_not_forward_uploads_is_a_note(response: Response) -> None:
    with run_stub(answers(imports=response)) as url:
        found = limits.check_upload_size(Target(url))
    assert (found.level, found.code) == (Level.NOTE, "no-upload")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("process_max_fds 65536.0\nprocess_open_fds 20.0\n", ""),
        ("process_max_fds 1024\nprocess_open_fds 20\n", "descriptors"),
        ("process_max_fds 1e5\nprocess_open_fds 9.5e4\n", "descriptors"),
        ("nothing\n", "no-metrics"),
    ],
)
def test_open_files_are_read_from_the_metrics(text: str, code: str) -> None:
    with run_stub(answers(metrics=Response(200, text))) as url:
        assert limits.check_descriptors(Target(url), "token").code == code


def test_open_files_need_a_token() -> None:
    assert limits.check_descriptors(Target("http://127.0.0.1:9"), "").code == "no-token"
    assert limits.check_descriptors(Target("http://127.0.0.1:9"), "x").code == "no-metrics"


# -- browsers


@pytest.mark.parametrize(
    ("cookie", "problems"),
    [
        ("io=1; Path=/; HttpOnly; Secure; SameSite=Lax", []),
        ("io=1", ["the cookie 'io' lacks Secure", "the cookie 'io' lacks HttpOnly"]),
        (
            "io=1; HttpOnly; SameSite=None",
            [
                "the cookie 'io' lacks Secure",
                "browsers reject the cookie 'io': SameSite=None requires Secure",
            ],
        ),
    ],
)
def test_attributes_of_cookies_are_checked(cookie: str, problems: list[str]) -> None:
    assert list(web._problems(cookie, Target("https://a.example"))) == problems


def cors(*values: tuple[str, str], status: int = 200) -> Respond:
    return answers(socket=Response(status, handshake(), values))


ORIGIN = "https://app.example"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), {"cors-missing"}),
        ((("Access-Control-Allow-Origin", "https://b"),), {"cors-missing"}),
        ((("Access-Control-Allow-Origin", ORIGIN),) * 2, {"cors-duplicate"}),
        ((("Access-Control-Allow-Origin", ORIGIN),), {"cors-credentials"}),
        (
            (
                ("Access-Control-Allow-Origin", ORIGIN),
                ("Access-Control-Allow-Credentials", "true"),
            ),
            set(),
        ),
    ],
)
def test_cors_headers_of_an_origin_are_checked(
    values: tuple[tuple[str, str], ...], expected: set[str]
) -> None:
    with run_stub(cors(*values)) as url:
        found = {each.code for each in web.check_origin(Target(url), ORIGIN) if each.code}
    assert found == expected


def test_wildcard_for_unknown_pages_is_a_note() -> None:
    with run_stub(cors(("Access-Control-Allow-Origin", "*"))) as url:
        assert web.check_foreign_origin(Target(url)).level is Level.NOTE


def test_reachable_routes_of_producers_are_a_note() -> None:
    refused = Response(401, '{"code": "UNAUTHORIZED"}')
    with run_stub(answers(metrics=refused, ingest=refused)) as url:
        found = list(web.check_public_paths(Target(url)))
    assert [each.code for each in found] == ["", "public-ingest"]


@pytest.mark.parametrize(
    "body", ["# HELP connections_open Open connections", '{"connections": {"open": 1}}']
)
def test_public_metrics_are_reported(body: str) -> None:
    with run_stub(answers(metrics=Response(200, body))) as url:
        found = list(web.check_public_paths(Target(url)))
    assert [each.code for each in found] == ["public-metrics"]


# -- responses of a proxy in place of the server


#: Responses that a proxy sends instead of that of its server.
OF_PROXY = {
    "page": Response(200, PAGE, reads_body=True),
    "rule": Response(403, "<html>", reads_body=True),
    "login": Response(401, "", (("WWW-Authenticate", "Basic"),), reads_body=True),
    "redirect": Response(302, "", (("Location", "/login"),), reads_body=True),
    "no server": Response(502, "<html>", reads_body=True),
    "slow server": Response(504, "", reads_body=True),
}
#: The codes that explain them.
EXPLAINED = {
    "page": {"handshake", "path", "post"},
    "rule": {"forbidden", "post"},
    "login": {"login"},
    "redirect": {"redirect"},
    "no server": {"gateway"},
    "slow server": {"gateway"},
}
REFUSALS = {"page", "rule", "login", "redirect"}
#: Checks for which the response of the proxy decides: clients receive the same response.
DECIDED = {
    "other origins": (REFUSALS, ""),
    "metrics": (REFUSALS, ""),
    "upload size": (REFUSALS, "no-upload"),
    "preflight": (REFUSALS, "cors-preflight"),
    "idle poll": ({"no server", "slow server"}, "idle"),
}


@pytest.mark.parametrize("kind", OF_PROXY)
@pytest.mark.parametrize("check", CHECKS)
def test_response_of_a_proxy_is_not_taken_for_that_of_the_server(check: str, kind: str) -> None:
    def respond(request: Request) -> Response:
        is_handshake = request.method == "GET" and "sid=" not in request.path
        return Response(200, handshake()) if with_session and is_handshake else OF_PROXY[kind]

    with_session = check in WITH_SESSION
    kinds, code = DECIDED.get(check, (set(), ""))
    with run_stub(respond) as url:
        target = Target(url)
        found = list(examination._guarded(target, check, lambda: CHECKS[check](target)))
    assert {each.code for each in found} <= ({code} if kind in kinds else EXPLAINED[kind])


def test_compressed_page_is_recognized() -> None:
    for encoding, body in (
        ("gzip", gzip.compress(PAGE.encode())),
        ("deflate", zlib.compress(PAGE.encode())),
        ("gzip", PAGE.encode()),
        ("br", PAGE.encode()),
    ):
        assert decoded(body, encoding) == PAGE.encode()


def test_rule_of_a_proxy_for_the_origin_of_a_websocket_is_explained() -> None:
    def refuse(connection: ServerConnection, request: WebSocketRequest) -> WebSocketResponse | None:
        if "Origin" not in request.headers:
            return None
        response = connection.respond(HTTPStatus.FORBIDDEN, PAGE)
        del response.headers["Content-Type"]
        return response

    def wait(connection: ServerConnection) -> None:
        connection.wait_closed()

    with run_websockets(wait, process_request=refuse) as url:
        target = Target(url)
        run = web.check_own_origin
        (found,) = examination._guarded(target, "own origin", lambda: [run(target)])
    assert (found.code, found.remedy) == ("forbidden", REMEDIES["forbidden"])


def test_end_of_one_idle_connection_is_not_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has restarted, or the proxy has."""
    monkeypatch.setattr(patience, "_MARGIN", 300.0)
    ended = [True]
    healthy = polling_server(poll=Response(200, "2"), post=Response(200))

    def respond(request: Request) -> Response:
        return (
            Response(502) if "sid=" in request.path and ended and ended.pop() else healthy(request)
        )

    def send_ping(connection: ServerConnection) -> None:
        connection.send(handshake())
        if not (ended and ended.pop()):
            connection.send("2")
            connection.wait_closed()

    with run_stub(respond) as url:
        assert patience.check_idle_poll(Target(url), 25.0).level is Level.OK
    ended.append(True)
    with run_websockets(send_ping) as url:
        assert patience.check_idle_websocket(Target(url), 25.0).level is Level.OK


def test_refused_message_is_not_too_large_when_the_server_has_ended() -> None:
    def respond(request: Request) -> Response:
        if request.method == "POST":
            return Response(502, "<html>", reads_body=True)
        return Response(200, handshake(maxPayload=900_000))

    with run_stub(respond) as url:
        target = Target(url)
        run = limits.check_message_size
        (found,) = examination._guarded(target, "message size", lambda: [run(target)])
    assert (found.code, found.remedy) == ("gateway", REMEDIES["gateway"])


def test_closed_port_does_not_pass_the_check_of_uploads() -> None:
    with run_stub(answers()) as url:
        target = Target(url)
    run = limits.check_upload_size
    (found,) = examination._guarded(target, "upload size", lambda: [run(target)])
    assert found.code == "no-response"


@pytest.mark.parametrize("response", [Response(200, PAGE), Response(302), Response(404)])
def test_readiness_that_the_proxy_does_not_forward_is_a_note(response: Response) -> None:
    with run_stub(answers(health=Response(200, HUB), ready=response)) as url:
        found = {each.check: each.code for each in basics.check_service(Target(url))}
    assert found["readiness"] == "no-ready"


def test_lost_connection_during_a_check_is_a_finding() -> None:
    def fail() -> list[Finding]:
        raise ConnectionResetError("connection reset by peer")

    (found,) = examination._guarded(Target("http://a"), "cookies", fail)
    assert (found.level, found.message) == (
        Level.ERROR,
        "no response: connection reset by peer",
    )


# -- the command


@pytest.mark.interop
def test_command_finds_nothing_at_a_hub_and_reports_an_unknown_origin(tmp_path: Path) -> None:
    with program.run_server(
        tmp_path, HEXTRACKR_PING_INTERVAL="1", HEXTRACKR_METRICS_TOKEN="t" * 32
    ) as server:
        correct = program.run("doctor", server.url, cwd=tmp_path)
        refused = program.run(
            "doctor", server.url, "--json", "--quick", "--origin", ORIGIN, cwd=tmp_path
        )
    assert correct.returncode == 0, correct.stdout + correct.stderr
    assert correct.stdout.endswith("0 errors, 0 warnings\n")
    assert "the ping arrived after" in correct.stdout
    assert refused.returncode == 1
    report = json.loads(refused.stdout)
    assert [each["code"] for each in report["findings"] if each["level"] == "error"] == [
        "cors-missing",
        "cors-missing",
    ]


def test_command_refuses_an_unusable_url(tmp_path: Path) -> None:
    ended = program.run("doctor", "localhost", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("hextrackr-server: the URL must be like")

"""Misuse of the Engine.IO API: each mistake is rejected where it happens, with its remedy."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from ssl import SSLError, create_default_context
from typing import Any

import pytest

from engineio_core import Cookie, Cors, Engine, HttpRequest, HttpResponse, PerMessageDeflate, Tls
from tests.helpers.client import Server
from tests.helpers.fake_clock import FakeClock
from tests.helpers.wire import WEBSOCKET_HEADERS

PAGE = "https://app.example"


async def deny(_: Any) -> bool:
    return False


def return_coroutine(value: Any) -> Any:
    return deny(value)


def generate(_: Any) -> Iterator[None]:
    yield


async def generate_async(_: Any) -> AsyncIterator[None]:
    yield


class CallableObject:
    async def __call__(self, _: Any) -> bool:
        return False


DEFERRED: list[Any] = [
    deny, generate, generate_async, CallableObject(), partial(deny), partial(CallableObject()),
    "text",
]  # fmt: skip
EVENTS = ["connection", "connection_error", "headers", "initial_headers"]


# -- registration


@pytest.mark.parametrize("hook", DEFERRED)
@pytest.mark.parametrize("event", EVENTS)
def test_hook_is_rejected_when_it_is_not_a_plain_function(event: Any, hook: Any) -> None:
    with pytest.raises(TypeError, match=f"the '{event}' hook must be a (plain )?function, got"):
        Engine().on(event, hook)
    with pytest.raises(TypeError, match="hook must be"):
        Engine().on(event)(hook)


@pytest.mark.parametrize("event", EVENTS)
def test_hook_is_rejected_when_it_does_not_accept_the_arguments(event: Any) -> None:
    with pytest.raises(TypeError, match=f"the '{event}' hook is called as f.*: declare . posit"):
        Engine().on(event, lambda: None)
    with pytest.raises(TypeError, match="must be a function, got None"):
        Engine().on(event, None)


def test_function_is_rejected_when_it_does_not_accept_the_request() -> None:
    def nothing() -> Any: ...

    with pytest.raises(TypeError, match=r"an engine middleware is called as f\(request\), which"):
        Engine().use(nothing)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"allow_request is called as f\(request\), which"):
        Engine(allow_request=nothing)
    with pytest.raises(TypeError, match=r"generate_id is called as f\(request\), which"):
        Engine(generate_id=nothing)
    with pytest.raises(TypeError, match=r"Cors\(origins=...\) is called as f\(origin\), which"):
        Cors(origins=nothing)  # type: ignore[arg-type]


def test_hook_without_an_event_name_is_rejected() -> None:
    engine = Engine()

    def connected(session: Any) -> None: ...

    with pytest.raises(TypeError, match=r'got the function .*connected: write @engine.on\("conn'):
        engine.on(connected)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="must receive an event name, got None"):
        engine.on(None)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("event", "remedy"),
    [
        ("connect", 'use "connection"'),
        ("disconnect", "assign session.on_close"),
        ("message", "assign session.on_text and session.on_binary"),
        ("conection", "did you mean 'connection'?"),  # codespell:ignore conection
        ("x", "the events are connection, "),
    ],
)
def test_hook_of_an_unknown_event_is_rejected_with_the_remedy(event: Any, remedy: str) -> None:
    with pytest.raises(ValueError, match=f"unknown event '{event}': .*") as raised:
        Engine().on(event, print)
    assert remedy in str(raised.value)


@pytest.mark.parametrize("middleware", [generate, generate_async, None, "text"])
def test_middleware_is_rejected_when_it_can_not_be_awaited_or_called(middleware: Any) -> None:
    with pytest.raises(TypeError, match="an engine middleware must be a"):
        Engine().use(middleware)


@pytest.mark.parametrize("name", ["allow_request", "generate_id"])
@pytest.mark.parametrize("function", [generate, generate_async, "text", True])
def test_function_option_is_rejected_when_it_can_not_be_awaited_or_called(
    name: str, function: Any
) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a "):
        Engine(**{name: function})


@pytest.mark.parametrize("function", [deny, generate, generate_async, CallableObject()])
def test_origin_check_is_rejected_when_it_is_not_a_plain_function(function: Any) -> None:
    with pytest.raises(TypeError, match=r"Cors\(origins=...\) must be a plain function, got the"):
        Cors(origins=function)


@pytest.mark.parametrize("callback", [*DEFERRED, None])
@pytest.mark.parametrize("name", ["on_text", "on_binary", "on_close", "on_upgrade", "on_drain"])
def test_session_callback_is_rejected_when_it_is_not_a_plain_function(
    name: str, callback: Any
) -> None:
    server = Server()
    server.open("websocket")
    before = getattr(server.session, name)
    with pytest.raises(TypeError, match=f"session.{name} must be a (plain )?function, got"):
        setattr(server.session, name, callback)
    assert getattr(server.session, name) == before


# -- undecidable results deny


@pytest.mark.parametrize("result", [0, "", "no", (False, "no"), {}, re.match("a", "a")])
def test_origin_check_that_returns_no_bool_denies(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(cors=Cors(origins=lambda origin: result))
    response = server.get({"Origin": PAGE}, transport="polling").response()
    assert response.header("Access-Control-Allow-Origin") is None
    headers = {**WEBSOCKET_HEADERS, "Origin": PAGE}
    assert server.get(headers, transport="websocket").response().status == 400
    assert f"must return True or False without await, got {result!r}"[:60] in caplog.text


def test_origin_check_that_returns_an_awaitable_denies_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server(cors=Cors(origins=return_coroutine))
    for _ in range(2):
        response = server.get({"Origin": PAGE}, transport="polling").response()
        assert response.header("Access-Control-Allow-Origin") is None
        headers = {**WEBSOCKET_HEADERS, "Origin": PAGE}
        assert server.get(headers, transport="websocket").response().status == 400
    logged = [record for record in caplog.records if "must return True or False" in record.message]
    assert len(logged) == 1
    assert logged[0].levelno == logging.ERROR


@pytest.mark.parametrize("result", [False, True, 0, "no", {"status": 401}])
@pytest.mark.parametrize("is_async", [False, True])
async def test_middleware_result_that_is_not_a_response_refuses(
    result: Any, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()

    def plain(request: HttpRequest) -> Any:
        return result

    async def deferred(request: HttpRequest) -> Any:
        return result

    server.engine.use(deferred if is_async else plain)
    connection = server.get(transport="polling")
    for _ in range(3):
        await asyncio.sleep(0)
    assert connection.response().status == 400
    assert not server.engine.sessions
    (record,) = [record for record in caplog.records if "refused" in record.message]
    assert record.levelno == logging.ERROR
    assert "must return None to continue or an HttpResponse" in record.message


@pytest.mark.parametrize("result", [0, 1, {}, object()])
def test_allow_request_result_that_is_not_a_decision_refuses(result: Any) -> None:
    server = Server(allow_request=lambda request: result)
    assert server.get(transport="polling").response().status == 403


@pytest.mark.parametrize("result", [None, "", 7, b"id"])
def test_generated_id_that_is_not_a_text_refuses(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(generate_id=lambda request: result)
    assert server.get(transport="polling").response().status == 400
    assert "generate_id must return a unique string" in caplog.text


def test_hook_that_returns_an_awaitable_is_logged_and_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server()
    server.engine.on("connection", return_coroutine)
    server.open("polling")
    assert "a hook must not return an awaitable: start a task instead" in caplog.text


async def test_future_that_a_hook_returns_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    server.engine.on("connection", lambda session: future)
    server.open("polling")
    assert future.cancelled()
    assert "a hook must not return an awaitable" in caplog.text


# -- serving


@pytest.mark.parametrize("app", [None, "app:app", 5])
def test_mount_rejects_an_object_that_is_not_an_application(app: Any) -> None:
    with pytest.raises(TypeError, match="must receive an ASGI application, got"):
        Engine().mount(app)


async def test_mount_is_rejected_while_the_engine_listens() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    async with Engine() as engine:
        await engine.listen()
        with pytest.raises(RuntimeError, match="before listen"):
            engine.mount(app)


async def test_run_is_rejected_inside_a_running_loop() -> None:
    with pytest.raises(RuntimeError, match=r"inside a running event loop: await listen\(\)"):
        Engine().run(port=0)


def test_run_is_rejected_outside_the_main_thread() -> None:
    errors: list[BaseException] = []

    def serve() -> None:
        try:
            Engine().run(port=0)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join(10)
    assert "must be called in the main thread" in str(errors[0])


async def test_listen_names_the_address_and_the_remedy_when_the_port_is_in_use() -> None:
    async with Engine() as first, Engine() as second:
        port = (await first.listen()).port
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: .*another port"):
            await second.listen(port=port)


async def test_listen_names_the_path_when_its_directory_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "engine.sock"
    async with Engine() as engine:
        with pytest.raises(OSError, match=f"cannot listen on unix:{path}: No such file"):
            await engine.listen(path=path)


async def test_listen_names_the_host_when_it_is_unknown() -> None:
    async with Engine() as engine:
        with pytest.raises(OSError, match=r"cannot listen on no\.such\.host\.invalid:0: .*host"):
            await engine.listen("no.such.host.invalid")
        with pytest.raises(OSError, match="this machine does not have the address"):
            await engine.listen("192.0.2.1")


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"host": 8080}, "host must be a string or None, got 8080: pass a port as port=8080"),
        ({"port": "8080"}, "port must be an integer from 0 to 65535, got '8080'"),
        ({"port": True}, "port must be an integer"),
        ({"port": 70000}, "port must be an integer from 0 to 65535, got 70000"),
        ({"path": 5}, "path must be the file of a Unix socket, got 5"),
        ({"fd": "3"}, "fd must be the descriptor"),
        ({"fd": 3, "path": "/x"}, "path and fd exclude each other"),
        ({"ssl": "cert.pem"}, "ssl must be an ssl.SSLContext, Tls"),
        ({"ssl": True}, "ssl must be an ssl.SSLContext, Tls"),
    ],
)
async def test_listen_rejects_a_wrong_parameter(parameters: dict[str, Any], text: str) -> None:
    async with Engine() as engine:
        with pytest.raises((TypeError, ValueError), match=text):
            await engine.listen(**parameters)


@pytest.mark.parametrize("certificate", [None, 5, "missing.pem"])
def test_certificate_is_rejected_when_it_is_not_a_readable_file(certificate: Any) -> None:
    with pytest.raises(ValueError, match="the TLS certificate must be a readable PEM file, got"):
        Tls(certificate=certificate)


async def test_listen_names_the_files_of_an_invalid_certificate(tmp_path: Path) -> None:
    file = tmp_path / "own.pem"
    file.write_text("nonsense")
    async with Engine() as engine:
        with pytest.raises(SSLError, match=r"certificate '.*own.pem' and key .* must be PEM files"):
            await engine.listen(ssl=Tls(certificate=file))


async def test_context_manager_shuts_down_at_the_end() -> None:
    async with Engine() as engine:
        port = (await engine.listen()).port
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


# -- options


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("pingInterval", "did you mean ping_interval?"),
        ("maxHttpBufferSize", "did you mean max_http_buffer_size?"),
        ("allowEIO3", "did you mean allow_eio3?"),
        ("httpCompression", "did you mean http_compression?"),
        ("wsEngine", "remove it"),
        ("destroyUpgrade", "remove it"),
        ("cors_allowed_origins", "use cors=Cors(origins=...)"),
        ("cors_credentials", "use cors=Cors(origins=..., credentials=True)"),
        ("async_mode", "the server always uses asyncio"),
        ("logger", 'configure logging.getLogger("engineio_core")'),
        ("engineio_logger", 'configure logging.getLogger("engineio_core")'),
        ("compression_threshold", "HttpCompression(threshold=...)"),
        ("monitor_clients", "the heartbeat is always on"),
        ("port", "pass it to listen() or run()"),
    ],
)
def test_option_of_another_server_is_rejected_with_its_replacement(name: str, remedy: str) -> None:
    with pytest.raises(TypeError, match=f"unknown option {name}: ") as raised:
        Engine(**{name: 1})
    assert remedy in str(raised.value)


def test_options_that_are_not_engine_options_are_rejected() -> None:
    with pytest.raises(TypeError, match=r"must be EngineOptions, got \{'ping_interval': 3\}"):
        Engine({"ping_interval": 3})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (partial(Engine, add_trailing_slash="yes"), "add_trailing_slash must be True or False"),
        (partial(Engine, allow_upgrades=0), "allow_upgrades must be True or False, got 0"),
        (partial(Engine, path=None), 'path must start with "/" .*, got None'),
        (partial(Engine, path="/a b"), "path must start with \"/\" .*, got '/a b'"),
        (partial(Engine, transports=None), "transports must be a list of .*, got None"),
        (partial(Engine, initial_packet=5), "initial_packet must be a string, bytes or None"),
        (partial(Engine, trusted_proxies=None), "trusted_proxies must be a list of networks"),
        (partial(Engine, path="/a?b"), r'path must not contain "\?" or "#", got'),
        (partial(Engine, path="/a#b"), r'path must not contain "\?" or "#", got'),
        (partial(Engine, trusted_proxies=[1]), "trusted_proxies must be a list of .*, got 1"),
        (partial(Engine, upgrade_timeout=10_000), "at most 3600 seconds, .* did you mean 10?"),
        (partial(Engine, close_timeout=30_000), "at most 3600 seconds, .* did you mean 30?"),
        (partial(Engine, clock=5), "clock must be an object with the methods time, .*, got 5"),
        (partial(Engine, clock=asyncio), "clock must be .*: pass an event loop, or leave it out"),
        (partial(Engine, clock=FakeClock), "clock must be an object with the methods time"),
        (partial(Cors, origins="https://*.a.example"), "wildcard, .*: use a compiled pattern"),
        (partial(Cors, origins=["http://a:*"]), "must not contain a wildcard"),
        (partial(Cors, origins="https://A.example"), "write it in lower case"),
        (partial(Cors, origins="https://a:443"), "default port, .*: write 'https://a'"),
        (partial(Cors, origins="http://a:80"), "default port, .*: write 'http://a'"),
        (
            partial(Cors, origins=PAGE, credentials=True, allowed_headers=["*"]),
            r'headers must not be "\*" with credentials=True: list them',
        ),
        (
            partial(Cors, origins=PAGE, credentials=True, exposed_headers=["*"]),
            r'headers must not be "\*" with credentials=True',
        ),
        (partial(Cookie, same_site="none"), "requires secure=True, because browsers reject"),
        (partial(Engine, allow_eio3=True), "allow_eio3 must be False"),
        (partial(Cors, origins=5), "origins must be strings, compiled patterns or a function"),
        (partial(Cors, origins=[b"http://a"]), "origins must be strings, compiled patterns or"),
        (partial(Cors, methods="GET"), "methods must be a list of names such as 'GET', got 'GET'"),
        (partial(Cors, methods=["GE T"]), "methods must contain names such as 'GET', got 'GE T'"),
        (partial(Cors, allowed_headers="*,"), "allowed_headers must be a list of names"),
        (partial(Cors, exposed_headers=["a:b"]), "exposed_headers must contain names"),
        (partial(Cors, credentials="yes"), "credentials must be True or False, got 'yes'"),
        (partial(Cors, max_age=-1), "max_age must be an integer of at least 0, got -1"),
        (partial(Cors, options_success_status=500), "options_success_status must be an integer"),
        (partial(Cookie, name=None), "a cookie name must be a token such as 'io', got None"),
        (partial(Cookie, path="/;"), 'the path of a cookie must be printable ASCII without ";"'),
        (partial(Cookie, same_site="Lax"), "same_site must be .*, got 'Lax'"),
        (partial(Cookie, http_only=None), "http_only must be True or False, got None"),
        (partial(Cookie, max_age=1.5), "max_age must be an integer of at least 0, got 1.5"),
        (
            partial(PerMessageDeflate, client_no_context_takeover=1),
            "client_no_context_takeover must be True or False, got 1",
        ),
    ],
)
def test_wrong_option_value_is_rejected_with_the_rule(make: Callable[[], Any], text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        make()


# -- log


async def test_listening_address_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "engineio_core")
    async with Engine() as engine:
        port = (await engine.listen()).port
    assert f"listening on http://127.0.0.1:{port}" in caplog.text


@pytest.mark.parametrize(
    ("options", "query", "text"),
    [
        ({}, {"transport": "pigeon"}, "Transport unknown (code 0; transport: 'pigeon')"),
        (
            {},
            {"transport": "polling", "sid": "abcdefghij"},
            "Session ID unknown (code 1; sid: 'abcdef')",
        ),
        ({"allow_request": lambda _: "no"}, {"transport": "polling"}, "Forbidden (code 4; mess"),
    ],
)
def test_refused_client_is_logged_in_one_line(
    options: Any, query: Any, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "engineio_core")
    server = Server(**options)
    server.get(**query)
    (record,) = [record for record in caplog.records if "refused" in record.message]
    assert record.levelno == logging.INFO
    assert record.message.startswith("refused GET /engine.io/ from ")
    assert text in record.message


def test_refusal_by_a_middleware_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "engineio_core")
    server = Server()
    server.engine.use(lambda request: HttpResponse(429))
    server.get(transport="polling")
    (record,) = [record for record in caplog.records if "refused" in record.message]
    assert record.message.endswith("status 429")


# -- mounted applications


class Application:
    """An application of which users may pass the class by mistake."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        pass


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    return []


@pytest.mark.parametrize("app", [Application, wsgi, generate, lambda scope: wsgi])
def test_mount_rejects_an_object_that_cannot_be_called_with_three_arguments(app: Any) -> None:
    with pytest.raises(TypeError, match="ASGI application"):
        Engine().mount(app)


def test_mount_rejects_a_wsgi_application_with_the_remedy() -> None:
    with pytest.raises(TypeError, match="wrap a WSGI application in an adapter such as a2wsgi"):
        Engine().mount(wsgi)  # type: ignore[arg-type]


def test_mount_accepts_a_plain_function_that_returns_the_coroutine_of_another_application() -> None:
    application = Application()

    def outer(scope: Any, receive: Any, send: Any) -> Any:
        return application(scope, receive, send)

    Engine().mount(outer)
    Engine().mount(partial(application))


async def test_listen_rejects_a_port_in_place_of_the_host() -> None:
    with pytest.raises(ValueError, match=r"host must be an address or a name, .*: write port=3000"):
        await Engine().listen("3000")


async def test_session_rejects_calls_from_another_thread() -> None:
    server = Server()
    server.open_websocket()
    (session,) = server.engine.sessions.values()
    for name, call in (
        ("send_text", partial(session.send_text, "a")),
        ("send_binary", partial(session.send_binary, b"a")),
        ("close", session.close),
    ):
        with pytest.raises(RuntimeError, match=rf"call_soon_threadsafe\(session.{name}, "):
            await asyncio.to_thread(call)
    assert session.sid in server.engine.sessions


async def test_listen_rejects_an_ssl_context_of_a_client() -> None:
    with pytest.raises(ValueError, match=r"create_default_context\(ssl.Purpose.CLIENT_AUTH\)"):
        await Engine().listen(ssl=create_default_context())

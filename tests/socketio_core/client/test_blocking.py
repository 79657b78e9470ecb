"""The blocking client, in several threads, against a server on the loopback interface."""

from __future__ import annotations

import asyncio
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from socketio_core import AckTimeoutError, ConnectError, Socket, SocketServer
from socketio_core.client import Client, ConnectionFailedError
from tests.interop.support import serving

LIMIT = 300.0


@pytest.fixture
def io() -> SocketServer:
    server = SocketServer(ping_interval=25, ping_timeout=20)
    for namespace in (server.of("/"), server.of("/custom")):
        namespace.on("echo", lambda socket, *args: args)

    @server.on("ask")
    async def ask(socket: Socket, *args: Any) -> Any:
        return await socket.timeout(120).emit_with_ack("question", *args)

    @server.on("tell")
    def tell(socket: Socket, count: int) -> None:
        for number in range(count):
            socket.emit("number", number)

    @server.on("leave")
    def leave(socket: Socket) -> None:
        socket.disconnect()

    @server.on("never")
    async def never(socket: Socket) -> None:
        await asyncio.get_running_loop().create_future()

    refusing = server.of("/refusing")

    @refusing.use
    def refuse(socket: Socket) -> None:
        if socket.handshake.auth.get("token") != "t":
            raise ConnectError("no", data={"code": 1})

    return server


@pytest.fixture
def url(io: SocketServer) -> Iterator[str]:
    with serving(io) as (address, _):
        yield address
    names = {thread.name for thread in threading.enumerate()}
    assert "socketio client" not in names


def test_calls_return_acks_and_events_reach_handlers(url: str) -> None:
    with Client(url) as client:
        assert client.connected
        assert client.call("echo", 1, b"\x00") == (1, b"\x00")
        assert client.emit_with_ack("echo", 1, 2) == 1
        answered = threading.Event()
        answers: list[Any] = []

        def ack(*args: Any) -> None:
            answers.append((threading.current_thread().name, args))
            answered.set()

        client.emit("echo", "x", ack=ack)
        assert answered.wait(LIMIT)
        ((thread, args),) = answers
        assert args == ("x",)
        assert thread.startswith("socketio handler")
        with pytest.raises(AckTimeoutError):
            client.call("never", timeout=0.05)
        with pytest.raises(AckTimeoutError):
            client.timeout(0.05).emit_with_ack("never")
        client.drain()
        client.volatile.emit("echo", 1)
    assert not client.connected
    assert client.transport is None


def test_handler_may_call_the_server_and_return_the_ack(url: str) -> None:
    with Client(url) as client:

        @client.on("question")
        def question(number: int) -> int:
            assert client.call("echo", number) == number
            return number + 1

        assert client.call("ask", 1) == 2
        assert client.call("ask", "text")["code"] == "VALIDATION_ERROR"


def test_handlers_run_one_after_the_other_in_the_order_of_the_events(url: str) -> None:
    with Client(url) as client:
        received: list[int] = []
        done = threading.Event()

        @client.on("number")
        def number(value: int) -> None:
            received.append(value)
            if value == 299:
                done.set()

        client.emit("tell", 300)
        assert done.wait(LIMIT)
        assert received == list(range(300))


def test_several_threads_share_a_client(url: str) -> None:
    with Client(url) as client, ThreadPoolExecutor(8) as pool:
        custom = client.of("custom")
        custom.connect()

        def work(number: int) -> list[Any]:
            function = client.once("number", lambda value: None)
            client.off("number", function)
            target = client if number % 2 else custom
            return [target.call("echo", number, index) for index in range(20)]

        for number, results in enumerate(pool.map(work, range(16))):
            assert results == [(number, index) for index in range(20)]


def test_listeners_are_removed_by_their_function(url: str) -> None:
    with Client(url) as client:
        calls: list[Any] = []
        done = threading.Event()

        def listen(*args: Any) -> None:
            calls.append(args)

        client.on("number", listen)
        client.on_any(listen)
        client.off("number", listen)
        client.off_any(listen)
        client.on("number", lambda value: done.set())
        client.on_unhandled(listen)
        client.emit("tell", 1)
        assert done.wait(LIMIT)
        assert calls == []


def test_namespaces_and_refusals(url: str) -> None:
    tokens = iter(["wrong", "t"])
    with Client(url, auth=lambda: {"token": "x"}) as client:
        refused = client.of("/refusing", auth=lambda: {"token": next(tokens)})
        errors: list[Any] = []
        refused.on("connect_error", errors.append)
        with pytest.raises(ConnectError, match="no") as caught:
            refused.connect()
        assert caught.value.data == {"code": 1}
        refused.connect()
        assert refused.connected
        assert client.of("/refusing") is client.of("/refusing")
        assert client.of("/") is client
        refused.disconnect()
        assert not refused.active
        assert client.connected


def test_wait_returns_after_the_disconnection(url: str) -> None:
    with Client(url) as client:
        reasons: queue.SimpleQueue[Any] = queue.SimpleQueue()
        client.on("disconnect", reasons.put)
        assert not client.wait(0.05)
        client.emit("leave")
        assert client.wait(LIMIT)
        assert not client.active
        client.connect()
        assert client.call("echo", 1) == 1
        assert reasons.get(timeout=LIMIT) == "io server disconnect"


def test_client_connects_again_after_close(url: str) -> None:
    client = Client(url)
    client.emit("echo", "kept")
    assert client.buffered == 1
    for _ in range(2):
        client.connect()
        assert client.call("echo", 1) == 1
        client.close()
        client.close()


def test_unreachable_server_raises(unused_tcp_port: int) -> None:
    client = Client(f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(ConnectionFailedError):
        client.connect()
    client.close()
    with pytest.raises(ConnectionFailedError), Client(f"http://127.0.0.1:{unused_tcp_port}"):
        raise AssertionError("not reached")


def test_async_functions_and_waiting_in_the_loop_raise(url: str) -> None:
    async def handler() -> None: ...

    async def auth() -> dict[str, Any]:
        return {}

    client = Client(url)
    for register in (client.on_any, lambda function: client.on("x", function)):
        with pytest.raises(TypeError, match="use AsyncClient"):
            register(handler)
    with pytest.raises(TypeError, match="use AsyncClient"):
        Client(url, auth=auth)
    with pytest.raises(ValueError, match="at least 1"):
        Client(url, handler_threads=0)
    client.connect()

    def in_the_loop() -> None:
        with pytest.raises(RuntimeError, match="cannot wait in the thread of its event loop"):
            client.call("echo")
        client.emit("echo")

    client._loop.call(in_the_loop)
    client.close()


INTERRUPTED = """
import os, signal, sys, threading, time
from socketio_core.client import Client

client = Client(sys.argv[1], reconnection_delay=0.01, reconnection_delay_max=0.01)


def raise_once(number, frame):
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def interrupt(number):
    # A signal just before the thread waits does not wake it: the next one does.
    main = threading.main_thread().ident
    while number == 2 and signal.getsignal(signal.SIGINT) is raise_once:
        if sys._current_frames()[main].f_code.co_name == "wait":
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)


signal.signal(signal.SIGINT, raise_once)  # also if a shell ignores the signal
client.manager.on("reconnect_attempt", interrupt)
try:
    client.connect(retry=True)
except KeyboardInterrupt:
    print(client.wait(120), client.active)
client.close()
"""
FORKED = """
import os, sys
from socketio_core.client import Client

client = Client(sys.argv[1])
client.connect()
child = os.fork()
if child == 0:
    try:
        client.call("echo", 1)
    except RuntimeError as error:
        print(error, flush=True)
    client.close()
    os._exit(0)
os.waitpid(child, 0)
print(client.call("echo", 2))
client.close()
"""


def run(program: str, *arguments: str) -> str:
    """Run a program in another process, and return its output."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_interrupted_connect_ends_the_attempts(unused_tcp_port: int) -> None:
    assert run(INTERRUPTED, f"http://127.0.0.1:{unused_tcp_port}") == "True False\n"


def test_client_refuses_calls_in_a_forked_process(url: str) -> None:
    refused, answer = run(FORKED, url).splitlines()
    assert "create another Client in the child process" in refused
    assert answer == "2"


def test_call_of_another_thread_fails_when_the_client_is_closed(io: SocketServer, url: str) -> None:
    arrived = threading.Event()

    @io.on("held")
    async def held(socket: Socket) -> None:
        arrived.set()
        await asyncio.get_running_loop().create_future()

    client = Client(url)
    client.connect()
    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(client.call, "held")
        assert arrived.wait(LIMIT)
        client.close()
        with pytest.raises(Exception, match="disconnected"):
            calling.result(LIMIT)

"""Handlers that are not Python functions: compiled by mypyc or Cython, or written in C.

The fakes imitate coroutine functions of mypyc: an empty signature, and coroutines of another
type. tests/interop contains a test with the compiler.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

from engineio_core.callbacks import require_parameters
from socketio_core import ConnectError, Socket, SocketServer
from socketio_core.testing import TestServer, settle


class CompiledCoroutine(Coroutine[Any, Any, Any]):
    """Coroutine of a type other than `types.CoroutineType`."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine

    def send(self, value: Any) -> Any:
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()


def compiled(function: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
    """Return a callable like a coroutine function that mypyc has compiled."""

    def call(*args: Any) -> CompiledCoroutine:
        return CompiledCoroutine(function(*args))

    # A partial is not a Python function, so the object contains no Python function.
    call_member = staticmethod(functools.partial(call))
    members = {"__call__": call_member, "__signature__": inspect.Signature()}
    return type("CompiledFunction", (), members)()


async def hello(socket: Socket, name: str) -> str:
    return f"hello {name}"


async def hello_later(socket: Socket, name: str) -> str:
    await asyncio.sleep(0)
    return f"hello {name}"


async def fail(socket: Socket, name: str) -> str:
    await asyncio.sleep(0)
    raise ConnectError(name)


class Chat:
    """Handlers as methods and as a callable object."""

    hello = compiled(hello)


@functools.wraps(compiled(hello_later))
def decorated(*args: Any) -> Any:
    return compiled(hello_later)(*args)


@pytest.mark.parametrize(
    "handler",
    [
        compiled(hello),
        compiled(hello_later),
        functools.partial(compiled(hello_later)),
        Chat().hello,
        decorated,
        lambda socket, name: CompiledCoroutine(hello_later(socket, name)),
    ],
    ids=["at once", "later", "partial", "method", "decorated", "lambda"],
)
async def test_compiled_coroutine_handler_is_awaited_and_its_result_is_the_ack(
    handler: Any,
) -> None:
    io = SocketServer()
    io.on("hello", handler)
    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("hello", "Ada") == "hello Ada"


async def test_compiled_coroutine_handler_runs_without_an_ack() -> None:
    io = SocketServer()
    names: list[str] = []

    async def record(socket: Socket, name: str) -> str:
        await asyncio.sleep(0)
        names.append(name)
        return name

    io.on("record", compiled(record))
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("record", "a")
        await settle()
    assert names == ["a"]


async def test_compiled_connection_handler_refuses_the_client() -> None:
    io = SocketServer()

    async def refuse(socket: Socket) -> bool:
        await asyncio.sleep(0)
        return False

    io.on("connection", compiled(refuse))
    async with TestServer(io) as server:
        client = await server.connect()
        await settle()
        assert not client.connected


async def test_error_of_a_compiled_handler_is_its_ack() -> None:
    io = SocketServer()
    io.on("fail", compiled(fail))
    errors: list[BaseException] = []
    io.on_error(lambda error, socket, event: errors.append(error))
    async with TestServer(io) as server:
        client = await server.connect()
        assert (await client.emit_with_ack("fail", "x"))["code"] == "HANDLER_ERROR"
    assert [type(error) for error in errors] == [ConnectError]


async def test_compiled_middleware_is_awaited() -> None:
    io = SocketServer()
    passed: list[str] = []

    async def admit(socket: Socket) -> None:
        await asyncio.sleep(0)
        passed.append("connect")

    async def check(socket: Socket, event: list[Any]) -> None:
        await asyncio.sleep(0)
        passed.append(event[0])

    io.use(compiled(admit))
    io.use_event(compiled(check))
    io.on("hello", compiled(hello))
    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("hello", "Ada") == "hello Ada"
    assert passed == ["connect", "hello"]


def test_empty_signature_is_unknown_only_when_the_function_is_not_a_python_function() -> None:
    require_parameters("f", compiled(hello), ("a", "b"))
    with pytest.raises(TypeError, match="does not accept"):
        require_parameters("f", lambda: None, ("a",))
    with pytest.raises(TypeError, match="must take the socket"):
        SocketServer().on("x", lambda: None)


@pytest.mark.parametrize("function", [print, min, dict, functools.partial(print, end="")])
async def test_function_written_in_c_is_accepted_as_a_handler(function: Any) -> None:
    SocketServer().on("x", function)

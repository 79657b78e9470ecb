"""Handlers that mypyc has compiled; the test needs a C compiler."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from socketio_core import SocketServer
from socketio_core.testing import TestServer, settle

pytestmark = pytest.mark.interop

SOURCE = """
import asyncio
from typing import Any

def plain(socket: Any, name: str) -> str:
    return "hello " + name

async def coroutine(socket: Any, name: str) -> str:
    return "hello " + name

async def suspending(socket: Any, name: str) -> str:
    await asyncio.sleep(0)
    return "hello " + name

left: list[list[str]] = []

async def leave(socket: Any) -> None:
    left.append(["leave"])

async def leave_for_a_reason(socket: Any, reason: str) -> None:
    left.append(["leave_for_a_reason", reason])

async def leave_with_details(socket: Any, reason: str, description: str) -> None:
    await asyncio.sleep(0)
    left.append(["leave_with_details", reason, description])

async def leave_with_an_error(socket: Any, reason: str) -> None:
    left.append(["leave_with_an_error"])
    raise TypeError("a fault of the handler")

class Chat:
    async def method(self, socket: Any, name: str) -> str:
        await asyncio.sleep(0)
        return "hello " + name

    async def __call__(self, socket: Any, name: str) -> str:
        return "hello " + name

def with_a_fault(socket: Any, name: Any) -> str:
    return plain(socket, name)

def nested() -> Any:
    async def inner(socket: Any, name: str) -> str:
        await asyncio.sleep(0)
        return "hello " + name
    return inner
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Compile the handlers and import them."""
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "compiled_handlers.py").write_text(SOURCE)
    command = [sys.executable, "-m", "mypyc", "compiled_handlers.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (library,) = _libraries(folder)
    spec = importlib.util.spec_from_file_location("compiled_handlers", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _libraries(folder: Path) -> list[Path]:
    return [*folder.glob("compiled_handlers*.so"), *folder.glob("compiled_handlers*.pyd")]


async def test_handlers_compiled_by_mypyc_answer(compiled: ModuleType) -> None:
    io = SocketServer()
    chat = compiled.Chat()
    handlers = {
        "plain": compiled.plain, "coroutine": compiled.coroutine, "method": chat.method,
        "suspending": compiled.suspending, "object": chat, "nested": compiled.nested(),
    }  # fmt: skip
    for name, handler in handlers.items():
        io.on(name, handler)
    async with TestServer(io) as server:
        client = await server.connect()
        answers = {name: await client.emit_with_ack(name, "Ada") for name in handlers}
    assert answers == dict.fromkeys(handlers, "hello Ada")


@pytest.mark.parametrize("name", ["plain", "coroutine", "suspending", "method", "nested"])
async def test_handlers_compiled_by_mypyc_refuse_missing_arguments_and_drop_surplus_ones(
    compiled: ModuleType, name: str
) -> None:
    chat = compiled.Chat()
    handler = compiled.nested() if name == "nested" else getattr(chat, name, None)
    io = SocketServer()
    io.on("greet", handler or getattr(compiled, name))
    async with TestServer(io) as server:
        client = await server.connect()
        refused = await client.emit_with_ack("greet")
        assert (refused["success"], refused["code"]) == (False, "VALIDATION_ERROR")
        assert "argument" in refused["error"]
        assert await client.emit_with_ack("greet", "Ada", "surplus", 3) == "hello Ada"


@pytest.mark.parametrize("name", ["plain", "coroutine", "suspending", "method", "nested"])
@pytest.mark.parametrize("argument", [5, None, {"name": "Ada"}, b"Ada"])
async def test_handlers_compiled_by_mypyc_refuse_an_argument_of_a_wrong_type(
    compiled: ModuleType, name: str, argument: object, caplog: pytest.LogCaptureFixture
) -> None:
    chat = compiled.Chat()
    handler = compiled.nested() if name == "nested" else getattr(chat, name, None)
    io = SocketServer()
    io.on("greet", handler or getattr(compiled, name))
    async with TestServer(io) as server:
        client = await server.connect()
        refused = await client.emit_with_ack("greet", argument)
        assert (refused["success"], refused["code"]) == (False, "VALIDATION_ERROR")
        assert "str object expected; got" in refused["error"]
    assert not caplog.records


async def test_wrong_type_within_a_handler_compiled_by_mypyc_is_an_error_of_the_handler(
    compiled: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    io = SocketServer()
    io.on("greet", compiled.with_a_fault)
    async with TestServer(io) as server:
        client = await server.connect()
        answer = await client.emit_with_ack("greet", 5)
        assert (answer["success"], answer["code"]) == (False, "HANDLER_ERROR")
    assert "str object expected; got int" in caplog.text


async def test_type_error_of_a_handler_compiled_by_mypyc_is_an_error_of_the_handler(
    compiled: ModuleType,
) -> None:
    compiled.left.clear()
    io = SocketServer()
    io.on("fail", compiled.leave_with_an_error)
    async with TestServer(io) as server:
        client = await server.connect()
        answer = await client.emit_with_ack("fail", "reason")
        assert (answer["success"], answer["code"]) == (False, "HANDLER_ERROR")
    assert compiled.left == [["leave_with_an_error"]]


@pytest.mark.parametrize("event", ["disconnecting", "disconnect"])
async def test_disconnect_handlers_compiled_by_mypyc_receive_the_arguments_that_they_take(
    compiled: ModuleType, event: str
) -> None:
    compiled.left.clear()
    io = SocketServer()
    for name in ("leave", "leave_for_a_reason", "leave_with_details", "leave_with_an_error"):
        io.on(event, getattr(compiled, name))
    async with TestServer(io) as server:
        client = await server.connect()
        client.disconnect()
        await settle()
    reason = "client namespace disconnect"
    assert sorted(compiled.left) == [
        ["leave"], ["leave_for_a_reason", reason], ["leave_with_an_error"],
        ["leave_with_details", reason, ""],
    ]  # fmt: skip

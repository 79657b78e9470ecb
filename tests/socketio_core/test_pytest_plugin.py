"""The pytest plugin in projects of its users: pytest-asyncio in both modes, and anyio."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APPLICATION = """
from socketio_core import ConnectError, Recovery, SocketServer

def make():
    io = SocketServer(ping_interval=25, ping_timeout=20)
    io.on("hello", lambda socket, name: f"hello {name}")

    @io.on("disconnect")
    def disconnected(socket, reason):
        print("disconnected:", reason)

    @io.of("/admin").use
    def authenticate(socket):
        if socket.handshake.auth.get("token") != "t":
            raise ConnectError("Unauthorized")

    return io

io = make()
"""
TESTS = """
import pytest
from app import io, make
from socketio_core import ConnectError

{marker}

async def test_hello(socketio_client):
    client = await socketio_client(io)
    assert await client.emit_with_ack("hello", "Ada") == "hello Ada"

async def test_same_server_again(socketio_client, socketio_server):
    client = await socketio_client(io)
    server = await socketio_server(io)
    assert server is await socketio_server(io)
    assert list(io.sockets) == [client.id], "the sockets of the other test are gone"

async def test_auth_and_refusal(socketio_client):
    with pytest.raises(ConnectError, match="Unauthorized"):
        await socketio_client(io, "/admin")
    assert (await socketio_client(io, "/admin", auth={{"token": "t"}})).connected

async def test_clock(socketio_client, socketio_clock):
    client = await socketio_client(io)
    client.connection.answers_pings = False
    await socketio_clock.advance(44)
    assert client.connected
    await socketio_clock.advance(2)
    assert not client.connected

class TestClass:
    @pytest.mark.parametrize("name", ["Ada", "Bob"])
    async def test_two_servers(self, socketio_client, name):
        first, second = make(), make()
        a, b = await socketio_client(first), await socketio_client(second)
        assert await a.emit_with_ack("hello", name) == f"hello {{name}}"
        assert list(second.sockets) == [b.id]
"""
MODES = {
    "asyncio-strict": ("pytestmark = pytest.mark.asyncio", "asyncio_mode = strict"),
    "asyncio-auto": ("", "asyncio_mode = auto"),
    "anyio": (
        "pytestmark = pytest.mark.anyio\n\n@pytest.fixture\ndef anyio_backend():\n"
        "    return 'asyncio'",
        "asyncio_mode = strict",
    ),
}


def run_pytest(folder: Path, *arguments: str, options: str = "") -> tuple[int, str]:
    """Run pytest in a folder with only the plugin of this project in addition."""
    (folder / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
        f"{options}\n"
    )
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly",
        "-p", "pytest_socketio_core", *arguments,
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("mode", MODES)
def test_fixtures_serve_connect_and_shut_down(tmp_path: Path, mode: str) -> None:
    marker, options = MODES[mode]
    (tmp_path / "app.py").write_text(APPLICATION)
    (tmp_path / "test_app.py").write_text(TESTS.format(marker=marker))
    code, output = run_pytest(tmp_path, "-rP", options=options)
    assert code == 0, output
    assert "6 passed" in output
    assert "disconnected: server shutting down" in output


def test_failed_test_is_reported_and_its_server_shut_down(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    (tmp_path / "test_app.py").write_text(
        "from app import io\n\n"
        "async def test_wrong(socketio_client):\n"
        "    client = await socketio_client(io)\n"
        "    assert await client.emit_with_ack('hello', 'Ada') == 'goodbye'\n"
    )
    code, output = run_pytest(tmp_path, options="asyncio_mode = auto")
    assert code == 1
    assert "assert 'hello Ada' == 'goodbye'" in output
    assert "disconnected: server shutting down" in output


def test_synchronous_test_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "test_app.py").write_text("def test_wrong(socketio_client): ...\n")
    code, output = run_pytest(tmp_path, options="asyncio_mode = auto")
    assert code == 1
    assert "test_wrong must be an async function to use the fixtures of Socket.IO" in output


def test_other_tests_do_not_import_the_server(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_other():\n"
        "    assert 'pytest_socketio_core' in sys.modules\n"
        "    assert not {'socketio_core', 'msgspec', 'orjson'} & set(sys.modules)\n"
    )
    code, output = run_pytest(tmp_path, options="asyncio_mode = strict")
    assert code == 0, output

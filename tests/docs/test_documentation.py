"""The code blocks of the documentation run, and its links lead to files."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from engineio_core.http.listener import Listener
from socketio_core import ConnectError, Socket, SocketServer
from socketio_core.testing import TestServer, settle
from socketio_core.testing_fixtures import TestServers
from tests.docs.blocks import ROOT, blocks, blocks_of, documents
from tests.helpers.kept_logging import kept_logging

#: Pages that exist in the built site only (scripts/site/hooks.py).
BUILT = {"events-reference.md", "http-reference.md"}
#: Its blocks are files that import each other: test_tutorials.py.
TUTORIAL = ROOT / "docs" / "tutorial-library.md"
BIN = Path(sys.executable).parent  # of the virtual environment


# -- Python


class Starts(list[dict[str, Any]]):
    """The keywords of the calls of `SocketServer.run`, which do not start a server here."""


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Starts:
    found = Starts()
    monkeypatch.setattr(SocketServer, "run", lambda io, **options: found.append(options))
    monkeypatch.setattr("logging.basicConfig", lambda **options: None)
    return found


def execute(document: Path) -> dict[str, Any]:
    """Execute the Python blocks of a document in one namespace and return it."""
    namespace: dict[str, Any] = {"__name__": "documentation"}
    for block in blocks_of(document):
        if block.language == "python" and not block.reason:
            code = "\n" * block.line + block.text  # a traceback then shows the line
            exec(compile(code, str(document), "exec", dont_inherit=True), namespace)
    return namespace


@pytest.mark.parametrize(
    "document",
    sorted({block.document for block in blocks("python")} - {TUTORIAL}),
    ids=lambda document: document.name,
)
async def test_python_blocks_run(
    document: Path, starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET", "x" * 32)
    with kept_logging():
        namespace = execute(document)
    functions = [
        function
        for name, function in namespace.items()
        if name.startswith("test_") and inspect.iscoroutinefunction(function)
    ]
    for function in functions:
        servers = TestServers()
        fixtures = {"socketio_client": servers.connect, "socketio_clock": servers.clock}
        names = inspect.signature(function).parameters
        await function(**{name: fixtures[name] for name in names})
        await servers.close()


async def fetch_open_packet(port: int) -> str:
    """Return the open packet of a new polling session."""
    async with httpx.AsyncClient(timeout=300) as client:
        address = f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling"
        return (await client.get(address)).text


async def test_lifespan_of_the_fastapi_page_starts_and_stops_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listeners: list[Listener] = []
    listen = SocketServer.listen

    async def listen_on_a_free_port(io: SocketServer, host: str, port: int) -> Listener:
        assert (host, port) == ("127.0.0.1", 3001)
        listeners.append(await listen(io, host, 0))
        return listeners[0]

    monkeypatch.setattr(SocketServer, "listen", listen_on_a_free_port)
    (block,) = [
        each for each in blocks_of(ROOT / "docs" / "fastapi.md") if "lifespan=" in each.text
    ]
    namespace: dict[str, Any] = {"SocketServer": SocketServer}
    exec(compile(block.text, str(block), "exec", dont_inherit=True), namespace)
    async with namespace["lifespan"](namespace["api"]):
        assert (await fetch_open_packet(listeners[0].port)).startswith("0{")
        transport = httpx.ASGITransport(app=namespace["api"])
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            assert (await client.post("/news/hello")).status_code == 200
    with pytest.raises(httpx.ConnectError):
        await fetch_open_packet(listeners[0].port)


async def test_notebook_cells_start_and_stop_the_server() -> None:
    start, stop = blocks("ipython")
    namespace: dict[str, Any] = {}

    async def run_cell(text: str) -> None:
        code = compile(text, str(start), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        await eval(code, namespace)

    for _ in range(2):
        await run_cell(start.text.replace("3002", "0"))
        port = namespace["listener"].port
        assert (await fetch_open_packet(port)).startswith("0{")
        await run_cell(stop.text)
        with pytest.raises(httpx.ConnectError):
            await fetch_open_packet(port)


async def test_readme_server_sends_the_message_to_the_room(starts: Starts) -> None:
    io = execute(ROOT / "README.md")["io"]
    assert starts == [{"port": 3000}]
    async with TestServer(io) as server:
        first, second = await server.connect(), await server.connect()
        assert await first.emit_with_ack("chat", "lobby", "hello") == "sent"
        assert await second.emit_with_ack("chat", "lobby", "hi") == "sent"
        assert await first.receive_event("message") == ["hi"]


def test_readme_server_and_client_have_ten_lines() -> None:
    for language in ("python", "js"):
        (block,) = [block for block in blocks_of(ROOT / "README.md") if block.language == language]
        lines = [line for line in block.text.splitlines() if line]
        assert len(lines) <= 10


def page(name: str) -> dict[str, Any]:
    """Execute the Python blocks of a page in docs/ and return their names."""
    return execute(ROOT / "docs" / name)


async def test_server_page_serves_until_the_end_of_the_context(
    starts: Starts, capsys: pytest.CaptureFixture[str]
) -> None:
    await page("server.md")["serve"]()
    assert "listening on port" in capsys.readouterr().out


async def test_handlers_of_the_events_page_answer() -> None:
    async with TestServer(page("events.md")["io"]) as server:
        first, second = await server.connect(), await server.connect()
        assert await first.emit_with_ack("greet", "Ada") == "hello Ada"
        for client in (first, second):
            assert await client.emit_with_ack("task:move", {"project": 1, "task": "a"}) == "moved"
        assert await first.receive_event("task:moved") == [{"project": 1, "task": "a"}]
        refused = await first.emit_with_ack("task:move", {"project": 0, "task": "a"})
        assert refused == {"success": False, "error": "unknown project", "code": "NOT_FOUND"}
        invalid = await first.emit_with_ack("task:move", {"project": "x", "task": "a"})
        assert (invalid["code"], len(invalid["fields"])) == ("VALIDATION_ERROR", 1)


async def test_errors_have_the_codes_of_the_events_page(caplog: pytest.LogCaptureFixture) -> None:
    io = page("events.md")["io"]

    @io.on("fail")
    def fail(socket: Socket) -> None:
        raise RuntimeError("internal text")

    async with TestServer(io) as server:
        client = await server.connect()
        answer = await client.emit_with_ack("fail")
        assert answer["code"] == "HANDLER_ERROR"
        assert "internal text" not in answer["error"]
        assert "fail failed: RuntimeError('internal text')" in caplog.text
        io.use_event(lambda socket, event: False)
        assert (await client.emit_with_ack("fail"))["code"] == "REFUSED"


async def test_rooms_page_sends_to_rooms(capsys: pytest.CaptureFixture[str]) -> None:
    namespace = page("rooms.md")
    async with TestServer(namespace["io"]) as server:
        first, second = await server.connect(), await server.connect()
        first.emit("project:open", 1)
        second.emit("project:open", 1)
        assert await first.receive_event("joined") == [second.id]
        await namespace["announce"]("text")
        assert capsys.readouterr().out == "2 sockets in the room\n"
        assert [await first.receive_event("news") for _ in range(3)] == [["text"]] * 3
        await asyncio.to_thread(namespace["emit_from_thread"], asyncio.get_running_loop())
        assert await first.receive_event("news") == ["from a thread"]
        rows: list[dict[str, object]] = [{"number": number} for number in range(501)]
        await namespace["send_rows"](namespace["io"].sockets[first.id], rows)
        received = [await first.receive_event("rows") for _ in range(2)]
        assert [len(part) for (part,) in received] == [500, 1]


async def test_auth_page_refuses_clients_and_ends_sessions() -> None:
    namespace = page("auth.md")
    async with TestServer(namespace["io"]) as server:
        with pytest.raises(ConnectError) as refused:
            await server.connect(auth={"token": "other"})
        assert refused.value.data == {"code": "UNAUTHORIZED"}
        client = await server.connect(auth={"token": "secret"})
        await namespace["log_out"]("bob")
        assert client.connected
        await namespace["log_out"]("alice")
        assert not client.connected


@pytest.mark.parametrize("name", ["/", "/admin"])
async def test_security_page_checks_each_namespace(name: str) -> None:
    async with TestServer(page("security.md")["io"]) as server:
        with pytest.raises(ConnectError, match="Unauthorized"):
            await server.connect(name, auth={"token": ["secret"]})
        assert (await server.connect(name, auth={"token": "secret"})).connected


async def test_failing_middleware_refuses_the_client_as_the_auth_page_describes() -> None:
    io = SocketServer()

    @io.use
    def fail(socket: Socket) -> None:
        raise RuntimeError("the session store does not answer")

    async with TestServer(io) as server:
        with pytest.raises(ConnectError):
            await server.connect()


async def test_acks_page_answers_and_requests_answers() -> None:
    namespace = page("acks.md")
    io = namespace["io"]
    io.on("join", lambda socket: socket.join("voters"))
    async with TestServer(io) as server:
        first, second = await server.connect(), await server.connect()
        assert await first.emit_with_ack("backup", "disk") == "started"
        assert await first.receive_event("backup:done") == ["disk"]
        first.auto_ack = lambda event, args: "yes"
        assert await namespace["confirm"](io.sockets[first.id])
        for client in (first, second):
            await client.emit_with_ack("join")
        counting = asyncio.ensure_future(namespace["count_votes"]("voters"))
        await server.advance(6)
        assert await counting == "1 yes, 1 missing"


async def test_namespaces_page_separates_namespaces() -> None:
    async with TestServer(page("namespaces.md")["io"]) as server:
        project = await server.connect("/project-7")
        assert await project.receive_event("welcome") == ["/project-7"]
        await server.connect("/team-a")
        for name in ("/team-c", "/project-7a", "/other"):
            with pytest.raises(ConnectError, match="Invalid namespace"):
                await server.connect(name)
        first, admin = await server.connect(), await server.connect("/admin")
        first.emit("kick", admin.id)
        await settle()
        assert admin.connected
        admin.emit("kick", admin.id)
        await settle()
        assert not admin.connected


async def test_recovery_page_restores_the_room() -> None:
    namespace = page("recovery.md")
    io = namespace["io"]
    async with TestServer(io) as server:
        client = await server.connect()
        io.to("news").emit("text", 1)
        assert await client.receive_event("text") is not None
        client.connection.cut()
        io.to("news").emit("text", 2)
        again = await server.connect(recovering=client)
        assert (again.id, (await again.receive_event("text"))[0]) == (client.id, 2)


# -- the hub in two commands


def test_readme_shows_the_output_of_the_hub(tmp_path: Path, free_port: int) -> None:
    output, summary = [
        block.text for block in blocks_of(ROOT / "README.md") if block.language == "text"
    ]
    hub = BIN / "hextrackr-server"
    url = f"http://127.0.0.1:{free_port}"
    database = str(tmp_path / "hub.db")
    arguments: list[str | Path] = [
        hub,
        "serve",
        "--dev",
        "--port",
        str(free_port),
        "--database",
        database,
    ]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as serve:
        try:
            printed = first_lines(serve, "user token")
            token = re.search(r"admin token +(\S+)", printed)
            assert token is not None, printed
            sample = str(tmp_path / "sample.csv")
            subprocess.run([hub, "sample", "--rows", "100", sample], check=True, timeout=300)
            done = subprocess.run(
                [hub, "import", sample, "--url", url, "--token", token[1]],
                check=True, capture_output=True, text=True, timeout=300,
            )  # fmt: skip
        finally:
            serve.terminate()
            serve.wait(300)
    assert labels(output) <= labels(printed)
    assert labels(summary) <= labels(done.stdout)


def first_lines(process: subprocess.Popen[str], last: str) -> str:
    """Return the output up to the line that contains `last`."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if last in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def labels(text: str) -> set[str]:
    """Return the words in front of the values of each line."""
    found = set()
    for line in text.splitlines():
        words = re.match(r" *([A-Za-z]+(?: [a-z]+)*)", line)
        if words:
            found.add(words[1])
    return found


@pytest.mark.node
@pytest.mark.interop
def test_readme_clients_receive_each_others_messages(tmp_path: Path, free_port: int) -> None:
    node = shutil.which("node")
    assert node is not None, "node is required: see CONTRIBUTING.md"
    code = {block.language: block.text for block in blocks_of(ROOT / "README.md")}
    server, client = tmp_path / "server.py", tmp_path / "client.mjs"
    server.write_text(code["python"].replace("3000", str(free_port)))
    client.write_text(code["js"].replace("3000", str(free_port)))
    (tmp_path / "node_modules").symlink_to(ROOT / "tests" / "interop" / "node_modules")
    with ExitStack() as stack:

        def start(*command: str | Path) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.kill)
            return process

        start(sys.executable, server)
        first = start(node, client)  # the client repeats its attempts until the server listens
        assert first_lines(first, "sent") == "sent\n"
        second = start(node, client)
        assert first_lines(second, "sent") == "sent\n"
        assert first_lines(first, "received") == "received: hello\n"


# -- README


def sections(document: Path) -> dict[str, str]:
    """Return the sections of a document by their headings."""
    parts = re.split(r"^## (.+)$", document.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_readme_sections_are_in_order() -> None:
    assert list(sections(ROOT / "README.md")) == [
        "Install",
        "Run the hub",
        "Write a server",
        "Features",
        "Supported versions",
        "Documentation",
        "Performance",
        "Contributing",
        "License",
    ]


def test_benchmarks_page_explains_the_table_before_the_table() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    introduction = text.partition("<!-- bench:begin -->")[0]
    assert "Lower is better" in introduction


def test_ci_runs_the_test_command_of_the_readme() -> None:
    block = next(
        block for block in reversed(blocks_of(ROOT / "README.md")) if block.language == "sh"
    )
    assert block.text.strip() == "make test"
    assert "step make test COVERAGE=1" in (ROOT / ".ci" / "run").read_text().splitlines()


# -- links


@pytest.mark.parametrize("document", documents(), ids=lambda document: document.name)
def test_links_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#\s]+)", document.read_text("utf-8")):
        assert (document.parent / target).exists() or target in BUILT, target

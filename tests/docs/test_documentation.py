"""The code blocks of the documentation run, and its links lead to files."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from engineio_core.http.listener import Listener
from hextrackr_server.config import settings
from hextrackr_server.config.sources import OTHERS
from socketio_core import SocketServer
from socketio_core.testing import TestServer
from socketio_core.testing_fixtures import TestServers
from tests.docs.blocks import ROOT, CodeBlock, blocks, blocks_of, commands, documents

#: Languages of blocks, and the test that covers them; "text" and "diff" are not executable, and
#: `make diagrams` writes the "mermaid" blocks. `make proxies` runs the configurations of proxies.
TESTED = {"python", "ipython", "sh", "js", "javascript", "toml", "json"}
TESTED |= {"nginx", "haproxy", "apache", "caddy", "yaml"}
NOT_EXECUTABLE = {"text", "diff", "mermaid"}
#: Commands that are not part of this project.
OTHER_COMMANDS = {"curl", "docker", "echo", "npm", "openssl", "pip", "python", "report", "URL"}
BIN = Path(sys.executable).parent  # of the virtual environment


def by_name(block: CodeBlock) -> str:
    return str(block)


def test_every_code_block_has_a_tested_language() -> None:
    languages = Counter(block.language for document in documents() for block in blocks_of(document))
    assert set(languages) <= TESTED | NOT_EXECUTABLE
    assert languages["python"] > 5
    assert languages["sh"] > 5


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
        if block.language == "python":
            code = "\n" * block.line + block.text  # a traceback then shows the line
            exec(compile(code, str(document), "exec", dont_inherit=True), namespace)
    return namespace


@pytest.mark.parametrize(
    "document",
    sorted({block.document for block in blocks("python")}),
    ids=lambda document: document.name,
)
async def test_python_blocks_run(
    document: Path, starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET", "x" * 32)
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
    async with httpx.AsyncClient() as client:
        address = f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling"
        return (await client.get(address)).text


async def test_lifespan_of_the_server_guide_starts_and_stops_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listeners: list[Listener] = []
    listen = SocketServer.listen

    async def listen_on_a_free_port(io: SocketServer, host: str, port: int) -> Listener:
        assert (host, port) == ("127.0.0.1", 3001)
        listeners.append(await listen(io, host, 0))
        return listeners[0]

    monkeypatch.setattr(SocketServer, "listen", listen_on_a_free_port)
    (block,) = [each for each in blocks_of(ROOT / "docs" / "server.md") if "lifespan=" in each.text]
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


async def test_server_guide_functions_run(starts: Starts, capsys: Any) -> None:
    namespace = execute(ROOT / "docs" / "server.md")
    io = namespace["io"]
    async with TestServer(io) as server:
        auth = {"token": "secret"}
        client = await server.connect(auth=auth)
        answers: list[Any] = []

        def answer(event: str, args: list[Any]) -> str:
            answers.append(args)
            return "yes"

        client.auto_ack = answer
        assert await namespace["confirm"](io.sockets[client.id])
        assert answers == [["Continue?"]]
        await client.emit_with_ack("task:move", {"project": 1, "task": "a"})
        await namespace["announce"]("text")
        assert capsys.readouterr().out == "1 sockets in the room\n"
        news = [await client.receive_event("news") for _ in range(3)]
        assert news == [["text"]] * 3
        await asyncio.to_thread(namespace["emit_from_thread"], asyncio.get_running_loop())
        assert await client.receive_event("news") == ["from a thread"]
        project = await server.connect("/project-7", auth=auth)
        assert await project.receive_event("welcome") == ["/project-7"]
        other = await server.connect("/admin", auth=auth)
        other.emit("kick", other.id)
        await asyncio.sleep(0)
        assert not other.connected
    await execute(ROOT / "docs" / "server.md")["serve"]()
    assert "listening on port" in capsys.readouterr().out


# -- shell


@cache
def help_of(*command: str) -> str:
    """Return the help of one of the project's commands."""
    done = subprocess.run(
        [BIN / command[0], *command[1:], "--help"], check=True, capture_output=True, text=True
    )
    return done.stdout


def known_variables() -> set[str]:
    """Return the environment variables of the hub."""
    names = {f"HEXTRACKR_{name.upper()}" for name in settings.known()} | set(OTHERS)
    names |= {other for others in settings.known().values() for other in others}
    return names | {f"{name}_FILE" for name in names} | {"HEXTRACKR_INGEST_TOKEN"}


def check_command(words: list[str]) -> None:
    """Fail for an unknown command, option, make target, extra or variable."""
    while words and re.match(r"[A-Z_]+=", words[0]):
        assert words[0].partition("=")[0] in known_variables() | {"URL"}, words
        words = words[1:]
    if not words:
        return
    name = words[0].removeprefix(".venv/bin/")
    if name == "export":
        assert words[1].partition("=")[0] in known_variables(), words
    elif name == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert next(each for each in words[1:] if "=" not in each) in targets, words
    elif name in {"hextrackr-server", "socketio-conformance"}:
        check_options(name, words[1:])
    elif name == "pip":
        check_extras(words)
    else:
        assert name.rstrip("()") in OTHER_COMMANDS, words


def check_options(name: str, arguments: list[str]) -> None:
    """Fail for a subcommand or an option that the help does not list."""
    path = [name]
    if name == "hextrackr-server" and not arguments[0].startswith("-"):
        path.append(arguments[0])
    elif arguments[0] == "record":
        path.append("record")
    text = help_of(*path)
    for argument in arguments:
        if argument.startswith("--"):
            assert argument in text, (path, argument)


def check_extras(words: list[str]) -> None:
    """Fail for an extra that pyproject.toml does not define."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"\[([\w,-]+)\]", " ".join(words)):
        assert set(extras.split(",")) <= set(project["optional-dependencies"]), words


@pytest.mark.parametrize("block", blocks("sh"), ids=by_name)
def test_shell_block_uses_existing_commands_and_options(block: CodeBlock) -> None:
    found = commands(block.text)
    assert found
    for words in found:
        check_command(words)


@pytest.mark.parametrize(
    "command",
    [
        "make nothing",
        "hextrackr-server serve --nothing",
        "export HEXTRACKR_NOTHING=1",
        "pip install '.[nothing]'",
        "nothing",
    ],
)
def test_shell_check_rejects_an_unknown_name(command: str) -> None:
    (words,) = commands(command)
    with pytest.raises(AssertionError):
        check_command(words)


# -- JavaScript, TOML, JSON


@pytest.mark.node
@pytest.mark.parametrize("block", blocks("js", "javascript"), ids=by_name)
def test_javascript_block_is_valid(block: CodeBlock, tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node is not None, "node is required: see CONTRIBUTING.md"
    # A module allows `import` and `await` at the top level.
    script = tmp_path / "block.mjs"
    script.write_text(block.text)
    done = subprocess.run([node, "--check", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "block",
    # The mapping in docs/formats.md has a test in test_formats_document.py.
    [block for block in blocks("toml") if block.document.name != "formats.md"],
    ids=by_name,
)
def test_toml_block_contains_valid_settings(block: CodeBlock, tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(block.text)
    loaded = settings.load({}, {"config": str(file)})
    for name in tomllib.loads(block.text):
        assert getattr(loaded, name) != getattr(settings.Settings(), name)


@pytest.mark.parametrize("block", blocks("json"), ids=by_name)
def test_json_block_is_valid(block: CodeBlock) -> None:
    assert json.loads(block.text)


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
            subprocess.run([hub, "sample", "--rows", "100", sample], check=True, timeout=60)
            done = subprocess.run(
                [hub, "import", sample, "--url", url, "--token", token[1]],
                check=True, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
        finally:
            serve.terminate()
            serve.wait(60)
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


def test_readme_explains_the_performance_table_before_the_table() -> None:
    introduction = sections(ROOT / "README.md")["Performance"].partition("<!-- bench:begin -->")[0]
    assert introduction.strip().startswith("Lower is better")


def test_readme_lists_every_document() -> None:
    section = sections(ROOT / "README.md")["Documentation"]
    for document in documents():
        name = document.relative_to(ROOT).as_posix()
        if name not in {"README.md", "CONTRIBUTING.md"}:
            assert f"({name})" in section, name


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
        assert (document.parent / target).exists(), target

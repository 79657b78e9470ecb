"""The JavaScript and TypeScript blocks of the documentation run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jwt
import pytest

from hextrackr_server.cli.types import hub_types
from socketio_core import SocketServer
from tests.docs.blocks import ROOT, blocks
from tests.docs.javascript import block_of, run_block
from tests.docs.test_documentation import execute
from tests.interop import program
from tests.interop.support import serving
from tests.interop.test_typescript import compile_program

pytestmark = [pytest.mark.node, pytest.mark.interop]

PRODUCER = "fedcba9876543210" * 2
CLUSTER_PACKAGES = ROOT / "tests" / "cluster" / "node_modules"
#: Blocks that other modules run.
ELSEWHERE = {
    "README.md": 1,  # test_documentation.py
    "clients.md": 1,  # tests/interop/test_error_switch.py
    "migration-node.md": 8,  # test_migration_pairs.py
}
Play = Callable[[Path, "Hub"], None]
PLAYS: dict[tuple[str, int], Play] = {}


def plays(document: str, index: int = 0) -> Callable[[Play], Play]:
    """Register the function that runs a block: the number counts the blocks of the document."""

    def register(function: Play) -> Play:
        assert (document, index) not in PLAYS
        PLAYS[document, index] = function
        return function

    return register


class Hub:
    """A running hub, and the token of user 7."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.user = program.token(folder, "7")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    variables = {"HEXTRACKR_INGEST_TOKENS": f"docs:notify:{PRODUCER}"}
    with program.run_server(folder, **variables) as server:
        yield Hub(server.url, folder)


@contextmanager
def serving_page(document: str) -> Iterator[str]:
    """Serve the server of a page, which the page names `io`; yield its address."""
    with serving(execute(ROOT / "docs" / document)["io"]) as (url, _):
        yield url


def test_every_block_is_played() -> None:
    counts = {
        document.name: len([each for each in blocks("js") if each.document == document])
        for document in {block.document for block in blocks("js")}
    }
    for document, count in counts.items():
        played = len([name for name, _ in PLAYS if name == document])
        assert played + ELSEWHERE.get(document, 0) == count, document


@pytest.mark.parametrize("key", PLAYS, ids=lambda key: f"{key[0]}-{key[1]}")
def test_javascript_block_runs(key: tuple[str, int], hub: Hub, tmp_path: Path) -> None:
    PLAYS[key](tmp_path, hub)


def test_typescript_block_compiles(tmp_path: Path) -> None:
    (block,) = blocks("ts")
    declared = "declare function show(value: unknown): void;\nexport {};\n"
    compile_program(tmp_path, hub_types(), declared + block.text)


# -- library


@plays("auth.md")
def auth(folder: Path, hub: Hub) -> None:
    code = block_of("auth.md", 0).text
    with serving_page("auth.md") as url:
        code = code.replace("http://127.0.0.1:3000", url)
        assert run_block(folder, code, after='socket.on("connect", () => end("in"));') == [["in"]]
        wrong = code.replace('"secret"', '"wrong"')
        refused = run_block(folder, wrong, after='socket.on("connect_error", () => end());')
        assert refused == ["Unauthorized { code: 'UNAUTHORIZED' }"]


@plays("acks.md")
def acks(folder: Path, hub: Hub) -> None:
    with serving_page("acks.md") as url:
        code = block_of("acks.md", 0).text.replace("http://127.0.0.1:3000", url)
        assert run_block(folder, code) == ["started"]


@plays("namespaces.md")
def namespaces(folder: Path, hub: Hub) -> None:
    with serving_page("namespaces.md") as url:
        code = block_of("namespaces.md", 0).text.replace("http://127.0.0.1:3000", url)
        after = 'admin.on("connect", () => end());'
        assert run_block(folder, code, after=after) == ["connected to /admin"]


@plays("webtransport.md", 0)
def webtransport(folder: Path, hub: Hub) -> None:
    # Node has no WebTransport: the client uses the other transports of the list.
    connect_to_page(folder, block_of("webtransport.md", 0).text)


@plays("webtransport.md", 1)
def webtransport_certificate(folder: Path, hub: Hub) -> None:
    connect_to_page(folder, block_of("webtransport.md", 1).text)


def connect_to_page(folder: Path, code: str) -> None:
    """Run code of a page that connects to its own host."""
    with serving(SocketServer()) as (url, _):
        before = f'globalThis.location = new URL("{url}");'
        after = 'socket.on("connect", () => end("connected"));'
        assert run_block(folder, code, before, after) == [["connected"]]


# -- hub


def connected(hub: Hub) -> str:
    """Return statements that create a connected `socket` of user 7."""
    return f"""
const socket = io("{hub.url}", {{ auth: {{ token: "{hub.user}" }} }});
await new Promise((done) => socket.on("connect", done));
"""


@plays("clients.md", 0)
def connect(folder: Path, hub: Hub) -> None:
    code = block_of("clients.md", 0).text.replace("https://hub.example", hub.url)
    before = f'const currentToken = () => "{hub.user}";'
    after = 'socket.on("connect", () => end("connected"));'
    assert run_block(folder, code, before, after) == [["connected"]]


@plays("clients.md", 1)
def notifications(folder: Path, hub: Hub) -> None:
    before = connected(hub) + "const show = ({ message }) => end(message);"
    after = f"""
const answer = await fetch("{hub.url}/ingest/v1/users/7/notifications", {{
  method: "POST", body: JSON.stringify({{ type: "test", message: "hello" }}),
  headers: {{ authorization: "Bearer {PRODUCER}", "content-type": "application/json" }},
}});
if (answer.status !== 202) throw new Error(await answer.text());
"""
    code = block_of("clients.md", 1).text
    assert run_block(folder, code, before, after) == [["hello"]]


IMPORT = """
await socket.emitWithAck("start-import", {
  source: "inline", filename: "a.json",
  rows: [{ hostname: "HOST", cve: "CVE-2024-1000", severity: "High" }],
});
"""


@plays("clients.md", 3)
def changed_findings(folder: Path, hub: Hub) -> None:
    before = connected(hub) + "const updateVulnerabilityDisplay = (id, data) => end(data.hostname);"
    code = block_of("clients.md", 3).text
    after = IMPORT.replace("HOST", "web-7")
    assert run_block(folder, code, before, after) == [["web-7"]]


@plays("imports.md", 0)
def watch_import(folder: Path, hub: Hub) -> None:
    code = block_of("imports.md", 0).text.replace("http://127.0.0.1:8080", hub.url)
    before = f'const token = "{hub.user}";'
    after = f"""
await new Promise((done) => socket.on("connect", done));
socket.on("import-completed", ({{ importId }}) => end(watched.has(importId)));
{IMPORT.replace("HOST", "web-8")}"""
    assert run_block(folder, code, before, after) == [[True]]


@plays("imports.md", 1)
def start_import(folder: Path, hub: Hub) -> None:
    code = block_of("imports.md", 1).text
    after = "end(ack.success, typeof ack.importId);"
    assert run_block(folder, code, connected(hub), after) == [[True, "number"]]


@plays("tokens.md")
def sign_token(folder: Path, hub: Hub) -> None:
    code = block_of("tokens.md", 0).text
    before = f"""
import jwt from "jsonwebtoken";
process.env.JWT_SECRET = "{program.SECRET}";
"""
    after = f"""
const headers = {{ authorization: `Bearer ${{token}}` }};
const answer = await fetch("{hub.url}/api/session", {{ headers }});
end(answer.status, token);
"""
    ((status, token),) = run_block(folder, code, before, after)
    assert status == 200
    assert jwt.decode(token, program.SECRET, ["HS256"])["userId"] == 7


@plays("hub-scaling.md")
def emitter(folder: Path, hub: Hub) -> None:
    before = """
import { Emitter } from "@socket.io/redis-emitter";
const redisClient = { publish: (channel) => end(channel) };
"""
    code = block_of("hub-scaling.md", 0).text
    published = run_block(folder, code, before, packages=CLUSTER_PACKAGES)
    assert published == [["socket.io#/#user-7#"]]


@plays("express-shim.md")
def log_out(folder: Path, hub: Hub) -> None:
    before = """
const next = (error) => end("error", error);
const revoke = (value) => end(value);
const req = {
  sessionID: "first",
  logout(done) { this.sessionID = "second"; done(); },
  session: { destroy: (done) => done() },
};
"""
    code = f"const handler = () => {{ {block_of('express-shim.md', 0).text} }}; handler();"
    assert run_block(folder, code, before) == [[{"sessionId": "first"}]]

"""Workers behind the proxies of docs/scaling.md, which reuse connections for several clients."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks_of
from tests.interop.worker_processes import clients, serve
from tests.proxies.proxies import TIMEOUT, find, free_port, wait_for_port

DOCUMENT = ROOT / "docs" / "scaling.md"
CLIENTS = 60


def _nginx(folder: Path, text: str, port: int) -> list[str]:
    assert "listen 80;" in text
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
    user = "user root;" if os.getuid() == 0 else ""
    folders = "".join(
        f"{kind}_temp_path {folder / kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"{user}\npid {folder / 'pid'};\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{folders}{text}}}\n"
    )
    return [find("nginx"), "-p", str(folder), "-c", "nginx.conf", "-g", "daemon off;"]


def _haproxy(folder: Path, text: str, port: int) -> list[str]:
    assert "bind :80" in text
    text = text.replace("bind :80", f"bind 127.0.0.1:{port}")
    (folder / "haproxy.cfg").write_text(text)
    return [find("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]


@contextmanager
def run_proxy(
    name: str, make: Callable[[Path, str, int], list[str]], folder: Path, server_url: str
) -> Iterator[str]:
    (block,) = [block for block in blocks_of(DOCUMENT) if block.language == name]
    assert "127.0.0.1:3000" in block.text
    folder.mkdir()
    port = free_port()
    text = block.text.replace("127.0.0.1:3000", server_url.removeprefix("http://"))
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(make(folder, text, port), stdout=log, stderr=log)
        try:
            wait_for_port(port, process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(TIMEOUT)


@pytest.mark.parametrize(
    ("name", "make"), [("nginx", _nginx), ("haproxy", _haproxy)], ids=["nginx", "haproxy"]
)
def test_clients_of_all_workers_share_the_connections_of_a_proxy(
    tmp_path: Path, name: str, make: Callable[[Path, str, int], list[str]]
) -> None:
    with (
        serve(tmp_path, 4) as server,
        run_proxy(name, make, tmp_path / name, server.url) as url,
        clients(url, CLIENTS) as node,
    ):
        assert set(node.processes()) == server.workers()
        text = "x" * 50_000
        for _ in range(3):
            assert set(node.call("emit", "echo", text)) == {text}
        for value in range(10):
            assert node.call("emitOne", value * 5, "broadcast", value)
        # Events of different workers have no common order.
        assert [sorted(each) for each in node.call("received", 10)] == [list(range(10))] * CLIENTS
        assert node.call("refusals") == []

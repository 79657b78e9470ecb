"""Processes of reverse proxies without TLS, with the configurations of a document."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.docs.blocks import ROOT, blocks_of
from tests.helpers.ports import reserve_port
from tests.proxies.proxies import TIMEOUT, find, wait_for_port

DOCUMENT = ROOT / "docs" / "scaling.md"


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


_COMMANDS: dict[str, Callable[[Path, str, int], list[str]]] = {
    "nginx": _nginx,
    "haproxy": _haproxy,
}
NAMES = tuple(_COMMANDS)


@contextmanager
def run_proxy(
    name: str,
    folder: Path,
    servers: Mapping[str, str],
    edit: Callable[[str], str] = lambda text: text,
    document: Path = DOCUMENT,
) -> Iterator[str]:
    """Run a proxy with a configuration of a document until the block ends, and yield its URL.

    `servers` has the URL of a server for each address of the documented configuration; `edit`
    changes the configuration.
    """
    (text,) = [
        block.text
        for block in blocks_of(document)
        if block.language == name and all(address in block.text for address in servers)
    ]
    for address, url in servers.items():
        text = text.replace(address, url.removeprefix("http://"))
    folder.mkdir()
    port = reserve_port()
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            _COMMANDS[name](folder, edit(text), port), stdout=log, stderr=log
        )
        try:
            wait_for_port(port, process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(TIMEOUT)

"""Processes of reverse proxies with the configurations of docs/deployment.md."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks_of
from tests.helpers.ports import reserve_port

DOCUMENT = ROOT / "docs" / "deployment.md"
CERTIFICATE = ROOT / "tests" / "helpers" / "tls" / "first.pem"
KEY = CERTIFICATE.with_name("first.key.pem")
TIMEOUT = 300.0
MODULES = Path("/usr/lib/apache2/modules")
APACHE_MODULES = (
    "mpm_event",
    "authz_core",
    "ssl",
    "headers",
    "rewrite",
    "proxy",
    "proxy_http",
    "proxy_wstunnel",
)


@dataclass(frozen=True)
class Proxy:
    """A running proxy: its name and its port."""

    name: str
    port: int

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


def documented(name: str, hub_port: int, document: Path = DOCUMENT) -> str:
    """Return a documented configuration, with the port of the hub of a test."""
    (block,) = [block for block in blocks_of(document) if block.language == name]
    return _replace(block.text, "127.0.0.1:8090", f"127.0.0.1:{hub_port}")


def _replace(text: str, old: str, new: str) -> str:
    assert old in text, f"docs/deployment.md does not contain {old!r}"
    return text.replace(old, new)


def _with_certificate(text: str) -> str:
    text = _replace(text, "/etc/ssl/hextrackr.pem", str(CERTIFICATE))
    return _replace(text, "/etc/ssl/hextrackr.key", str(KEY))


def _nginx(folder: Path, text: str, port: int) -> list[str]:
    text = _with_certificate(_replace(text, "listen 443", f"listen 127.0.0.1:{port}"))
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
    both = folder / "both.pem"
    both.write_bytes(CERTIFICATE.read_bytes() + KEY.read_bytes())
    text = _replace(text, "bind :443", f"bind 127.0.0.1:{port}")
    text = _replace(text, "/etc/ssl/hextrackr-with-key.pem", str(both))
    (folder / "haproxy.cfg").write_text(text)
    return [find("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]


def _apache(folder: Path, text: str, port: int) -> list[str]:
    text = _with_certificate(_replace(text, "*:443", f"127.0.0.1:{port}"))
    modules = "".join(
        f"LoadModule {name}_module {MODULES / f'mod_{name}.so'}\n" for name in APACHE_MODULES
    )
    user = "User www-data\nGroup www-data\n" if os.getuid() == 0 else ""
    (folder / "apache.conf").write_text(
        f"{modules}{user}ServerName localhost\nListen 127.0.0.1:{port}\n"
        f"PidFile {folder / 'pid'}\nDefaultRuntimeDir {folder}\nMutex posixsem\n"
        f"ErrorLog /dev/stderr\n{text}"
    )
    command = [find("apache2"), "-d", str(folder), "-f", str(folder / "apache.conf")]
    return [*command, "-DFOREGROUND"]


def _caddy(folder: Path, text: str, port: int) -> list[str]:
    text = _with_certificate(_replace(text, "hextrackr.example {", f"localhost:{port} {{"))
    options = "{\n    admin off\n    auto_https disable_redirects\n    skip_install_trust\n}\n"
    (folder / "Caddyfile").write_text(options + text)
    return [find("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


PROXIES: dict[str, Callable[[Path, str, int], list[str]]] = {
    "nginx": _nginx,
    "haproxy": _haproxy,
    "apache": _apache,
    "caddy": _caddy,
}


def find(program: str) -> str:
    """Return the path of a program; fail the test with the remedy if it is missing."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail(f"{program} is not installed: run `make proxies`")
    return found


@contextmanager
def run_proxy(
    name: str, folder: Path, hub_port: int, edit: Callable[[str], str] = lambda text: text
) -> Iterator[Proxy]:
    """Run a proxy until the block ends; `edit` changes its documented configuration."""
    folder.mkdir()
    port = reserve_port()
    command = PROXIES[name](folder, edit(documented(name, hub_port)), port)
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder)},
        )
        try:
            wait_for_port(port, process, folder / "log")
            yield Proxy(name, port)
        finally:
            process.terminate()
            process.wait(TIMEOUT)


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a proxy listens; fail with its log if it ends before."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        with closing(socket.socket()) as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)  # no event reports that another process listens
    pytest.fail(f"the proxy does not listen; its log:\n{log.read_text()}")

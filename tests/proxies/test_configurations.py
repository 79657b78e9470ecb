"""The programs accept each configuration of the documentation, also parts of configurations."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.blocks import CodeBlock, blocks
from tests.proxies.proxies import APACHE_MODULES, CERTIFICATE, KEY, MODULES, find

NGINX_VARIABLE = "map $http_upgrade $connection_upgrade"


def with_certificate(text: str, folder: Path) -> str:
    """Return a configuration with the certificate of the tests."""
    both = folder / "both.pem"
    both.write_bytes(CERTIFICATE.read_bytes() + KEY.read_bytes())
    text = re.sub(r"/etc/\S+-with-key\.pem", str(both), text)
    return re.sub(r"/etc/\S+\.key", str(KEY), re.sub(r"/etc/\S+\.pem", str(CERTIFICATE), text))


def nginx(folder: Path, text: str) -> list[str]:
    """Return the check of a part of the context `http` or of a server."""
    if text.lstrip().startswith("location"):
        text = f"server {{ listen 127.0.0.1:1; {text} }}"
    if "$connection_upgrade" in text and NGINX_VARIABLE not in text:
        text += f"{NGINX_VARIABLE} {{ default upgrade; '' ''; }}\n"
    (folder / "nginx.conf").write_text(
        f"pid {folder / 'pid'};\nerror_log stderr;\nevents {{}}\nhttp {{\n{text}\n}}\n"
    )
    return [find("nginx"), "-t", "-p", str(folder), "-c", "nginx.conf"]


def haproxy(folder: Path, text: str) -> list[str]:
    """Return the check of sections, with defaults and a listener if they are missing."""
    if "defaults" not in text:
        times = "".join(f"    timeout {name} 5s\n" for name in ("connect", "client", "server"))
        text = f"defaults\n    mode http\n{times}\n{text}"
    if "bind" not in text:
        text += "\nfrontend check\n    bind 127.0.0.1:1\n"
    (folder / "haproxy.cfg").write_text(text)
    return [find("haproxy"), "-c", "-f", str(folder / "haproxy.cfg")]


def apache(folder: Path, text: str) -> list[str]:
    """Return the check of directives."""
    modules = "".join(
        f"LoadModule {name}_module {MODULES / f'mod_{name}.so'}\n" for name in APACHE_MODULES
    )
    (folder / "apache.conf").write_text(
        f"{modules}ServerName localhost\nListen 127.0.0.1:1\nDefaultRuntimeDir {folder}\n"
        f"ErrorLog /dev/stderr\n{text}"
    )
    return [find("apache2"), "-t", "-d", str(folder), "-f", str(folder / "apache.conf")]


def caddy(folder: Path, text: str) -> list[str]:
    """Return the check of a Caddyfile."""
    (folder / "Caddyfile").write_text(text)
    file = str(folder / "Caddyfile")
    return [find("caddy"), "validate", "--config", file, "--adapter", "caddyfile"]


CHECKS = {"nginx": nginx, "haproxy": haproxy, "apache": apache, "caddy": caddy}


def check(language: str, text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the check of a program."""
    command = CHECKS[language](folder, with_certificate(text, folder))
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("block", blocks(*CHECKS), ids=str)
def test_configuration_is_valid(block: CodeBlock, tmp_path: Path) -> None:
    done = check(block.language, block.text, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("nginx", "location / { proxy_bufering off; }"),
        ("haproxy", "backend hub\n    balance nothing\n"),
        ("apache", "ProxyPas / http://127.0.0.1/\n"),
        ("caddy", "hub.example {\n    revers_proxy 127.0.0.1:1\n}\n"),
    ],
)
def test_check_rejects_a_misspelled_directive(language: str, text: str, tmp_path: Path) -> None:
    assert check(language, text, tmp_path).returncode != 0

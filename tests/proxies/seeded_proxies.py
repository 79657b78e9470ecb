"""nginx and HAProxy with one misconfiguration each, for the tests of the command `doctor`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.helpers.ports import reserve_port
from tests.proxies.proxies import CERTIFICATE, KEY, TIMEOUT, find, wait_for_port

METRICS_TOKEN: Final = "metrics-token-of-the-tests-0123456789"
#: A timeout that is shorter than the ping interval of the hub `SLOW`, and long enough for its
#: responses on a busy machine.
SHORT_SECONDS: Final = 20
_NGINX_GOOD: Final = """
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header Host $http_host;
        proxy_buffering off;
        proxy_request_buffering off;
        proxy_read_timeout 60s;
"""


@dataclass(frozen=True)
class Seed:
    """A configuration of a proxy, and the problems that it has.

    `SERVER`, `OTHER` and `SLOW` in the text are the addresses of two hubs, and of one with rare
    pings; `PORT` is the port of the proxy, `FOLDER` its folder. `codes` are the codes of the
    expected findings that need an action.
    """

    name: str
    program: str
    text: str
    codes: frozenset[str]
    scheme: str = "http"
    origin: str = ""


def _nginx(
    name: str,
    *codes: str,
    location: str = _NGINX_GOOD,
    server: str = "",
    bodies: str = "110m",
    http: str = "",
    to: str = "http://SERVER",
    listen: str = "",
    more: str = "",
    scheme: str = "http",
    origin: str = "",
) -> Seed:
    listen = f"127.0.0.1:PORT {listen}"
    if scheme == "https":
        listen += f" ssl; ssl_certificate {CERTIFICATE}; ssl_certificate_key {KEY}"
    text = f"""
{http}
map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
server {{
    listen {listen};
    client_max_body_size {bodies};
    {server}
    location / {{
        proxy_pass {to};{location}
    }}
    location /ingest/ {{ return 404; }}
    {more}
}}
"""
    return Seed(f"nginx, {name}", "nginx", text, frozenset(codes), scheme, origin)


def _haproxy(
    name: str,
    *codes: str,
    timeouts: str = "60s",
    frontend: str = "",
    backend: str = "server one SERVER",
    scheme: str = "http",
    origin: str = "",
) -> Seed:
    tls = " ssl crt FOLDER/both.pem alpn http/1.1" if scheme == "https" else ""
    text = f"""
defaults
    mode http
    timeout connect 5s
    timeout client {timeouts}
    timeout server {timeouts}
    timeout tunnel {timeouts}

frontend hextrackr
    bind 127.0.0.1:PORT{tls}
    http-request return status 404 if {{ path_beg /ingest/ }}
    {frontend}
    default_backend hub

backend hub
    {backend}
"""
    return Seed(f"HAProxy, {name}", "haproxy", text, frozenset(codes), scheme, origin)


_WITHOUT_UPGRADE: Final = _NGINX_GOOD.replace(
    "proxy_set_header Upgrade $http_upgrade;", ""
).replace("$connection_upgrade", '""')
_ORIGIN: Final = "https://app.example"

#: Deployments without a problem, and with one each.
SEEDS: Final = (
    _nginx("correct"),
    _nginx("correct with an origin", origin=_ORIGIN),
    _nginx("no upgrade", "upgrade-header", location=_WITHOUT_UPGRADE),
    _nginx(
        "short timeout",
        "idle",
        location=_NGINX_GOOD.replace("60s", f"{SHORT_SECONDS}s"),
        to="http://SLOW",
    ),
    _nginx("small bodies", "body-limit", bodies="2m"),
    _nginx(
        "cache",
        "cache",
        http="proxy_cache_path FOLDER/cache keys_zone=one:1m;",
        location=_NGINX_GOOD.replace("proxy_buffering off;", "proxy_buffering on;")
        + "proxy_cache one; proxy_cache_valid 200 1h; "
        "proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;",
    ),
    _nginx(
        "two servers",
        "sticky",
        http="upstream hubs { server SERVER; server OTHER; }",
        to="http://hubs",
    ),
    _nginx(
        "two CORS headers",
        "cors-duplicate",
        location=_NGINX_GOOD + f"add_header Access-Control-Allow-Origin {_ORIGIN} always;",
        origin=_ORIGIN,
    ),
    _nginx(
        "open CORS",
        "cors-open",
        location=_NGINX_GOOD + "proxy_hide_header Access-Control-Allow-Origin;"
        "proxy_hide_header Access-Control-Allow-Credentials;"
        "add_header Access-Control-Allow-Origin $http_origin always;"
        "add_header Access-Control-Allow-Credentials true always;",
    ),
    _nginx("no Host", "host", location=_NGINX_GOOD.replace("$http_host", "hub.internal")),
    _nginx(
        "delayed requests",
        "delayed",
        # A packet is delayed by two seconds more than the poll that waits for it.
        http="limit_req_zone $binary_remote_addr zone=slow:1m rate=30r/m;",
        more="location /socket.io/ { limit_req zone=slow burst=20; "
        f"proxy_pass http://SERVER; {_NGINX_GOOD} }}",
    ),
    _nginx("changed path", "path", more="location /socket.io/ { proxy_pass http://SERVER/; }"),
    _nginx("no server", "gateway", to="http://127.0.0.1:9"),
    _nginx(
        "login",
        "login",
        more="location /socket.io/ { auth_basic hub; auth_basic_user_file FOLDER/none; "
        f"proxy_pass http://SERVER; {_NGINX_GOOD} }}",
    ),
    _nginx(
        "limit of the request rate",
        "rate-limit",
        http="limit_req_zone $binary_remote_addr zone=few:1m rate=1r/m;",
        more="location /socket.io/ { limit_req zone=few burst=6 nodelay; "
        f"proxy_pass http://SERVER; {_NGINX_GOOD} }}",
    ),
    _nginx(
        "no query",
        "query",
        more=f'location /socket.io/ {{ set $args ""; proxy_pass http://SERVER; {_NGINX_GOOD} }}',
    ),
    _nginx(
        "no POST",
        "post",
        more="location /socket.io/ { limit_except GET { deny all; } "
        f"proxy_pass http://SERVER; {_NGINX_GOOD} }}",
    ),
    replace(_nginx("TLS on the port of an http URL", "scheme", scheme="https"), scheme="http"),
    _nginx(
        "public metrics",
        "public-metrics",
        location=_NGINX_GOOD + 'proxy_set_header Authorization "Bearer TOKEN";',
    ),
    _nginx("redirect", "redirect", server="return 301 https://hextrackr.example$request_uri;"),
    _nginx(
        "cookie without attributes",
        "cookie",
        scheme="https",
        location=_NGINX_GOOD + 'add_header Set-Cookie "route=1; Path=/";',
    ),
    _nginx(
        "forbidden",
        "forbidden",
        more="location /socket.io/ { deny all; proxy_pass http://SERVER; }",
    ),
    _nginx(
        "redirected WebSocket",
        "redirect",
        server="if ($http_upgrade) { return 301 http://localhost:PORT/other$request_uri; }",
    ),
    _nginx(
        "required certificate of the client",
        "client-certificate",
        scheme="https",
        server=f"ssl_verify_client on; ssl_client_certificate {CERTIFICATE};",
    ),
    _nginx("expected PROXY protocol", "proxy-protocol", listen="proxy_protocol"),
    _nginx("HTTP/2 only", "http-2", listen="http2"),
    _haproxy("correct"),
    _haproxy("correct with TLS", scheme="https"),
    _haproxy("short timeout", "idle", timeouts=f"{SHORT_SECONDS}s", backend="server one SLOW"),
    _haproxy("no upgrade", "upgrade-header", frontend="http-request del-header Upgrade"),
    _haproxy(
        "two servers",
        "sticky",
        backend="balance roundrobin\n    server one SERVER\n    server two OTHER",
    ),
    _haproxy(
        "stickiness by cookie",
        "sticky-cookie",
        backend="balance roundrobin\n    cookie NODE insert indirect nocache httponly\n"
        "    server one SERVER cookie one\n    server two OTHER cookie two",
    ),
    _haproxy(
        "wrong clock",
        "clock",
        frontend='http-response set-header Date "Thu, 01 Jan 2015 00:00:00 GMT"',
    ),
    _haproxy(
        "no preflight",
        "cors-preflight",
        frontend="http-request deny if METH_OPTIONS",
        origin=_ORIGIN,
    ),
    _haproxy("no POST", "post", frontend="http-request deny if METH_POST"),
    _haproxy("no server", "gateway", backend="server one 127.0.0.1:9"),
    _haproxy("sent PROXY protocol", "proxy-protocol", backend="server one SERVER send-proxy"),
)


@contextmanager
def run_seed(seed: Seed, folder: Path, hubs: Mapping[str, str]) -> Iterator[str]:
    """Run the proxy of a seed in front of its hubs until the block ends, and yield its URL.

    `hubs` has the address of the hub for each word that a text contains.
    """
    folder.mkdir()
    port = reserve_port()
    text = seed.text
    for word, address in hubs.items():
        text = text.replace(word, address)
    text = text.replace("PORT", str(port)).replace("FOLDER", str(folder))
    text = text.replace("TOKEN", METRICS_TOKEN)
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            _COMMANDS[seed.program](folder, text), stdout=log, stderr=log, cwd=folder
        )
        try:
            wait_for_port(port, process, folder / "log")
            yield f"{seed.scheme}://localhost:{port}"
        finally:
            process.terminate()
            process.wait(TIMEOUT)


def _start_nginx(folder: Path, text: str) -> list[str]:
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


def _start_haproxy(folder: Path, text: str) -> list[str]:
    (folder / "both.pem").write_bytes(CERTIFICATE.read_bytes() + KEY.read_bytes())
    (folder / "haproxy.cfg").write_text(text)
    return [find("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]


_COMMANDS: Final[dict[str, Callable[[Path, str], list[str]]]] = {
    "nginx": _start_nginx,
    "haproxy": _start_haproxy,
}

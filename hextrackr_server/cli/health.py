"""The command `health`: check a running server of this machine, for containers and monitoring.

It needs no other program, and none of the dependencies of the hub.
"""

from __future__ import annotations

import argparse
import http.client
import os
import ssl
from typing import Final
from urllib.parse import urlsplit

from hextrackr_server.cli.arguments import Commands
from hextrackr_server.config import settings
from hextrackr_server.errors import SettingsError

#: Addresses on which a server listens, and the address at which it is reached from this machine.
LOCAL: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
LONGEST_BODY: Final = 10_000


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "health",
        help="check a running server of this machine",
        description="Request /health of a running server. Exit code: 0 if the server answers with "
        "status 200, else 1. The address comes from the settings HOST, PORT and SSL_CERT_PATH.",
    )
    parser.add_argument("--url", help="the address of the server instead of that of the settings")
    parser.add_argument(
        "--ready",
        action="store_true",
        help="request /ready instead: also check the database, and fail while the server drains",
    )
    parser.add_argument(
        "--timeout", type=float, default=5.0, help="seconds for the answer (default: 5)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the answer; return the exit code."""
    url = options.url or _own_url()
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"--url must be an address such as http://127.0.0.1:8080, got {url!r}")
    path = f"{parts.path.rstrip('/')}/{'ready' if options.ready else 'health'}"
    shown = f"{parts.scheme}://{parts.netloc}{path}"
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        # The certificate names the public host, and the connection does not leave the machine.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=options.timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=options.timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(LONGEST_BODY).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        print(f"{shown}: {str(error) or type(error).__name__}")
        return 1
    finally:
        connection.close()
    print(f"{shown}: {response.status} {body}")
    return 0 if response.status == 200 else 1


def _own_url() -> str:
    """Return the address of the server that the settings describe."""
    found = settings.load_some(os.environ, {}, "host", "port", "ssl_cert_path")
    host = LOCAL.get(found["host"], found["host"])
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if found['ssl_cert_path'] else 'http'}://{host}:{found['port']}"

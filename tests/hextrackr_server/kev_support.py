"""Shared helpers of the KEV tests: generated catalogs, and an HTTP source on loopback."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOSTS = ("127.0.0.1",)


def item(cve: str = "CVE-2024-1000", **changed: Any) -> dict[str, Any]:
    return {
        "cveID": cve,
        "vendorProject": "Acme",
        "product": "Router",
        "vulnerabilityName": "Acme Router Overflow",
        "dateAdded": "2025-01-02",
        "shortDescription": "An overflow. ",
        "requiredAction": "Apply updates.",
        "dueDate": "2025-01-23",
        "knownRansomwareCampaignUse": "Unknown",
        "notes": "",
        "cwes": ["CWE-121"],
    } | changed


def feed(*items: dict[str, Any], **changed: Any) -> bytes:
    given = {
        "title": "A catalog",
        "catalogVersion": "2025.09.30",
        "dateReleased": "2025-09-30T00:00:00.000Z",
        "count": len(items),
        "vulnerabilities": list(items),
    } | changed
    return json.dumps(given).encode()


def many(count: int, first: int = 1000) -> list[dict[str, Any]]:
    return [item(f"CVE-2024-{first + number}") for number in range(count)]


class Source(ThreadingHTTPServer):
    """An HTTP server with prepared answers that records the headers of its requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, str]] = []
        self.answers: list[Callable[[BaseHTTPRequestHandler], None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/feed.json"

    def answer(
        self, body: bytes = b"", status: int = 200, length: int | None = None, **headers: str
    ) -> None:
        """Add an answer; the last answer repeats."""

        def give(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("content-length", str(len(body) if length is None else length))
            handler.end_headers()
            handler.wfile.write(body)

        self.answers.append(give)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        source = self.server
        assert isinstance(source, Source)
        source.requests.append({name.lower(): value for name, value in self.headers.items()})
        give = source.answers.pop(0) if len(source.answers) > 1 else source.answers[0]
        give(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - name in the base class
        """Suppress the log of requests."""


@contextmanager
def running_source() -> Iterator[Source]:
    with Source() as source:
        thread = threading.Thread(target=source.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield source
        source.shutdown()
        thread.join()


@contextmanager
def dripping_source(first: bytes) -> Iterator[int]:
    """Answer with `first` and then with single bytes until the client leaves; return the port."""
    over = threading.Event()

    def drip(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.sendall(first)
            while not over.wait(0.01):
                client.sendall(b"x")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=drip, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()

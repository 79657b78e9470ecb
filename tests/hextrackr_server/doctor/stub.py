"""An HTTP server on the loopback interface whose responses a test prescribes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Response(NamedTuple):
    """A prescribed response; without a status, the connection ends."""

    status: int | None
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    release: threading.Event | None = None
    """If set, the response waits for it."""
    reads_body: bool = False
    """Whether the server reads the body before its response, so that the client can send it."""


class Request(NamedTuple):
    """A received request; `length` is the announced length of its body."""

    method: str
    path: str
    headers: dict[str, str]
    length: int


Respond = Callable[[Request], Response]


@contextmanager
def run_stub(respond: Respond) -> Iterator[str]:
    """Run a server until the block ends, and yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            length = int(headers.get("content-length", 0))
            request = Request(self.command, self.path, headers, length)
            response = respond(request)
            self.close_connection = True
            if response.release is not None:
                response.release.wait(300)
            if response.reads_body:
                self.rfile.read(length)
            if response.status is None:
                return
            self.send_response_only(response.status)
            for name, value in (*response.headers, ("Content-Length", str(len(response.body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response.body.encode())
            # A close with unread bytes resets the connection, which may lose the response.
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)
                while self.rfile.read(65_536):
                    pass

        do_GET = do_POST = do_OPTIONS = respond

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

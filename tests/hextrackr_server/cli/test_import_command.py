"""Tests of the command `import` before the upload: options, token and certificate."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.__main__ import main
from hextrackr_server.cli import import_command
from hextrackr_server.imports.absence import SCOPES

TLS = Path(__file__).parents[2] / "helpers" / "tls"


class _Server(http.server.BaseHTTPRequestHandler):
    """A server that rejects every token and counts the uploads."""

    def do_GET(self) -> None:
        body = b'{"error": "Token expired", "code": "UNAUTHORIZED"}'
        self.send_response(401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        server: Any = self.server
        server.uploads += 1
        self.send_error(500)

    def log_message(self, *_: Any) -> None: ...


def test_empty_file_is_refused_before_the_upload(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "empty.csv"
    file.touch()
    assert main(["import", str(file), "--url", "http://127.0.0.1:9", "--token", "x"]) == 1
    assert capsys.readouterr().err == f"hextrackr-server: {file} is empty: export it again\n"


@contextmanager
def running_server(certificate: str | None = None) -> Iterator[Any]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        state: Any = server
        state.uploads = 0
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(TLS / f"{certificate}.pem", TLS / f"{certificate}.key.pem")
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "scan.csv"
    path.write_text("hostname,cve\n")
    return str(path)


def test_rejected_token_is_reported_before_the_upload(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_server() as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        assert main(["import", file, "--url", url, "--token", "t"]) == 1
        assert server.uploads == 0
    assert "the server rejects the token (Token expired)" in capsys.readouterr().err


@pytest.mark.parametrize("date", ["yesterday", "2025-02-30", "30.09.2025"])
def test_invalid_scan_date_is_refused_before_a_connection(
    file: str, capsys: pytest.CaptureFixture[str], date: str
) -> None:
    assert main(["import", file, "--token", "t", "--scan-date", date]) == 1
    assert "--scan-date must be a day such as 2025-09-30" in capsys.readouterr().err


def test_invalid_scope_is_refused_with_the_choices(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["import", file, "--token", "t", "--scope", "host"])
    assert "invalid choice: 'host'" in capsys.readouterr().err
    assert set(import_command.SCOPES) == set(SCOPES)


def test_certificate_error_differs_from_an_unreachable_server(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_server("first") as server:
        url = f"https://localhost:{server.server_address[1]}"
        common = ["import", file, "--url", url, "--token", "t"]
        for more, words in (
            ([], f"the certificate of {url} is not trusted"),
            (["--ca", str(TLS / "second.pem")], f"the certificate of {url} is not trusted"),
            (["--ca", str(TLS / "first.pem")], "the server rejects the token (Token expired)"),
            (["--ca", file], "--ca must name a PEM file with certificates"),
            (["--ca", str(tmp_path / "none.pem")], "--ca must name a PEM file with certificates"),
        ):
            assert main([*common, *more]) == 1
            assert words in capsys.readouterr().err
    assert main(common) == 1
    assert f"cannot connect to {url}" in capsys.readouterr().err


def test_server_without_tls_is_named(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    with running_server() as server:
        url = f"https://127.0.0.1:{server.server_address[1]}"
        assert main(["import", file, "--url", url, "--token", "t"]) == 1
    assert "use http:// if the server has no certificate" in capsys.readouterr().err

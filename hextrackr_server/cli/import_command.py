"""An import from the command line: upload, follow, tell.

Knows: the server's HTTP paths, the terminal.  Does not know: the server's insides; it would do
its work from another machine.  Everything here blocks.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO
from urllib.parse import urlencode, urlsplit

from hextrackr_server.errors import HexTrackrError
from hextrackr_server.telemetry.log_setup import escape

POLL_SECONDS = 0.2
TIMEOUT_SECONDS = 60.0
SHOWN_ROWS = 10
_BAR_CELLS = 30
_CHUNK = 64 * 1024
_FINAL = frozenset({"completed", "failed", "cancelled"})


class ClientError(HexTrackrError):
    """The import could not be asked for or followed; the text says what to do."""


class ImportClient:
    """Speaks to one server, in the name of one token."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ClientError(f"the URL must be like http://127.0.0.1:8080, not {url!r}")
        if not token.isascii() or not token.isprintable():
            raise ClientError("the token has characters that no token has: copy it again")
        self._url = url.rstrip("/")
        self._parts = parts
        self._headers = {"authorization": f"Bearer {token}"}

    def upload(self, path: Path, progress: Progress, options: Mapping[str, str]) -> int:
        """Send a file, with options as `POST /api/imports` has them; the id of its import."""
        query = urlencode({"filename": path.name, **options})
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                answer = self._request(
                    "POST",
                    f"/api/imports?{query}",
                    body=_chunks(file, size, progress),
                    headers={"content-type": "text/csv", "content-length": str(size)},
                )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ClientError(f"{path} cannot be read: {reason}") from error
        return int(answer["importId"])

    def follow(self, import_id: int, progress: Progress) -> dict[str, Any]:
        """Wait for the end of an import; its last status."""
        while True:
            status: dict[str, Any] = self._request("GET", f"/api/imports/{import_id}")["status"]
            if status["status"] in _FINAL:
                return status
            progress.show(status["overall"], status["status"], status["message"])
            time.sleep(POLL_SECONDS)

    def synchronise_kev(self, body: bytes | None, *, force: bool) -> dict[str, Any]:
        """Let the server synchronise KEV, from a catalog if there is one; what came of it."""
        content = body or b""
        return self._request(
            "POST",
            "/api/kev/sync" + ("?force=true" if force else ""),
            body=iter([content]),
            headers={"content-type": "application/json", "content-length": str(len(content))},
        )

    def _request(
        self,
        method: str,
        path: str,
        body: Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        connection = self._connection()
        try:
            connection.connect()
        except OSError as error:
            reason = error.strerror or str(error)
            raise ClientError(
                f"no server answers at {self._url} ({reason}): is it running, is --url right?"
            ) from error
        try:
            return self._exchange(connection, method, path, body, self._headers | (headers or {}))
        except (OSError, http.client.HTTPException) as error:
            raise ClientError(f"the connection to {self._url} broke: {error!r}") from error
        finally:
            connection.close()

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Iterator[bytes] | None,
        headers: dict[str, str],
    ) -> dict[str, Any]:
        # A server that refuses does not read on, but it has answered.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, self._parts.path.rstrip("/") + path, body, headers)
        response = connection.getresponse()
        return self._answer(response.status, response.read())

    def _connection(self) -> http.client.HTTPConnection:
        host, port = str(self._parts.hostname), self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS)
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)

    def _answer(self, status: int, body: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ClientError(f"{self._url} answered {status}, and not as this server does")
        if status == 401:
            raise ClientError(
                f"the server refuses the token ({answer.get('error')}): "
                "give a valid one with --token or HEXTRACKR_TOKEN"
            )
        if status >= 400:
            text = f"the server refuses: {answer.get('error')} ({answer.get('code')})"
            for problem in answer.get("fields", []):
                text += f"\n  {escape(problem['path'])}: {escape(problem['message'])}"
            raise ClientError(text)
        return answer


class Progress:
    """A bar on a terminal; elsewhere a line for each phase."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._phase = ""

    def show(self, percent: int, phase: str, message: str) -> None:
        """Draw what is known now."""
        if self._is_terminal:
            full = _BAR_CELLS * percent // 100
            bar = "#" * full + "-" * (_BAR_CELLS - full)
            line = f"[{bar}] {percent:3d}%  {escape(phase, 20)}: {escape(message, 60)}"
            self._stream.write(f"\r\x1b[K{line}")
        elif phase != self._phase:
            self._stream.write(f"{escape(phase, 20)}: {escape(message, 200)}\n")
        self._phase = phase
        self._stream.flush()

    def end(self) -> None:
        """Make room for what comes after the bar."""
        if self._is_terminal and self._phase:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def import_file(path: Path, url: str, token: str, options: Mapping[str, str]) -> int:
    """Import a file and print what became of it; the exit code: 0, or 1 where it failed."""
    progress = Progress()
    try:
        client = ImportClient(url, token)
        import_id = client.upload(path, progress, options)
        status = client.follow(import_id, progress)
    finally:
        progress.end()
    lines = list(report(status))
    completed = status["status"] == "completed"
    print("\n".join(lines), file=sys.stdout if completed else sys.stderr)
    return 0 if completed else 1


def report(status: dict[str, Any]) -> Iterator[str]:
    """The end of an import, in lines for people."""
    result = status.get("result") or {}
    if status["status"] != "completed":
        reason = result.get("message") or status["message"]
        yield f"Import {status['importId']} {status['status']}: {escape(str(reason))}"
        for problem in result.get("fields", []):
            yield f"  {escape(problem['path'])}: {escape(problem['message'])}"
        return
    yield f"Import {status['importId']} completed in {status['elapsedTime'] / 1000:.1f} s"
    summary = result["summary"]
    yield f"  rows       {summary['rows']:>9,}   ({result['errors']:,} rejected)"
    yield f"  findings   {summary['findings']:>9,}   ({summary['duplicates']:,} duplicates merged)"
    for name in ("inserted", "updated", "reopened", "resolved"):
        yield f"  {name:<10} {summary[name]:>9,}"
    if withheld := summary.get("withheld"):
        yield f"  withheld   {withheld:>9,}   (not resolved: rejected rows may have meant them)"
    yield f"  vendors    {escape(', '.join(summary['vendors']))}"
    yield f"  scan date  {escape(summary['scanDate'])}"
    yield from _problems("Rejected rows", result["errors"], result["errorDetails"])
    yield from _problems("Values left out", result["warnings"], result["warningDetails"])


def _problems(title: str, count: int, details: list[dict[str, Any]]) -> Iterator[str]:
    if not count:
        return
    shown = details[:SHOWN_ROWS]
    yield f"{title}: {count:,}" + (f", the first {len(shown)}:" if count > len(shown) else ":")
    for problem in shown:
        column = f"{escape(problem['column'])}: " if problem["column"] else ""
        yield f"  row {problem['row']}: {column}{escape(problem['message'])}"


def _chunks(file: BinaryIO, size: int, progress: Progress) -> Iterator[bytes]:
    sent = 0
    while chunk := file.read(_CHUNK):
        yield chunk
        sent += len(chunk)
        progress.show(100 * sent // max(1, size), "uploading", f"{size:,} bytes")

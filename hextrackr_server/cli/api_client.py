"""Blocking client of the HTTP API, for commands that use a running server."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import ssl
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote, urlencode, urlsplit

from hextrackr_server.errors import HexTrackrError
from hextrackr_server.telemetry.escaping import escape

#: A proxy sends 502 or 504 while the server restarts.
_UNAVAILABLE = frozenset({502, 503, 504})
TIMEOUT_SECONDS = 60.0
#: A restore waits for running imports, and verifies and migrates the backup.
RESTORE_SECONDS = 1800.0
_CHUNK = 64 * 1024
#: Path that requires a token; no import has the number 0.
_ANY_IMPORT = "/api/imports/0"


class ClientError(HexTrackrError):
    """A failed request; the text contains the remedy."""


class UnreachableError(ClientError):
    """A server, or a server behind a proxy, that does not answer now."""


class ShowProgress(Protocol):
    """Function that displays progress."""

    def __call__(self, percent: int, phase: str, message: str) -> None:
        """Display the current state."""


class ApiClient:
    """Client of one server, authenticated by one token."""

    def __init__(self, url: str, token: str, ca: Path | None = None) -> None:
        """Set up the client; `ca` is a PEM file with further trusted certificates."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ClientError(f"the URL must be like http://127.0.0.1:8080, got {url!r}")
        if not token.isascii() or not token.isprintable():
            raise ClientError(
                "the token must contain only printable ASCII characters: copy it again"
            )
        self._url = url.rstrip("/")
        self._parts = parts
        self._headers = {"authorization": f"Bearer {token}"}
        self.origin = f"{parts.scheme}://{parts.netloc}"
        """The URL without its path."""
        self.path = parts.path.rstrip("/")
        """The path in front of the routes of the server."""
        self.token = token
        self.tls = None if ca is None else _trust(ca)
        """The context that trusts the certificates of `ca`; None without them."""

    def check_token(self) -> None:
        """Raise ClientError if the server rejects the token: before an upload, not after it."""
        connection = self._open()
        try:
            connection.request("GET", self.path + _ANY_IMPORT, None, self._headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ClientError(f"the connection to {self._url} was lost: {error!r}") from error
        finally:
            connection.close()
        if response.status != 404:
            self._answer(response.status, content)

    def upload(self, path: Path, show: ShowProgress, options: Mapping[str, str]) -> int:
        """Upload a file and return the ID of its import.

        `options` are the fields of `POST /api/imports`. A mapping is longer than a URL may be: with
        one, file and fields are sent as a form.
        """
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                if "mapping" in options:
                    answer = self._send_form(path.name, _chunks(file, size, show), size, options)
                else:
                    query = urlencode({"filename": path.name, **options})
                    answer = self._request(
                        "POST",
                        f"/api/imports?{query}",
                        body=_chunks(file, size, show),
                        headers={"content-type": "text/csv", "content-length": str(size)},
                    )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ClientError(f"{path} cannot be read: {reason}") from error
        return int(answer["importId"])

    def _send_form(
        self, filename: str, content: Iterator[bytes], size: int, fields: Mapping[str, str]
    ) -> dict[str, Any]:
        boundary = secrets.token_hex(16)
        head = _form_head(boundary, filename, fields)
        tail = f"\r\n--{boundary}--\r\n".encode()
        return self._request(
            "POST",
            "/api/imports",
            body=chain([head], content, [tail]),
            headers={
                "content-type": f"multipart/form-data; boundary={boundary}",
                "content-length": str(len(head) + size + len(tail)),
            },
        )

    def import_status(self, import_id: int) -> dict[str, Any]:
        """Return the status of an import. Raises UnreachableError or ClientError."""
        status: dict[str, Any] = self._request("GET", f"/api/imports/{import_id}")["status"]
        return status

    def download(self, path: str, query: Mapping[str, str], file: Path) -> int:
        """Write the body of a response to a file and return its number of bytes.

        The file gets its name when the body is complete.
        """
        part = file.with_name(file.name + ".part")
        try:
            with part.open("wb") as target:
                size = self._receive(f"{path}?{urlencode(query)}", target)
            part.replace(file)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ClientError(f"{file} cannot be written: {reason}") from error
        finally:
            part.unlink(missing_ok=True)
        return size

    def _receive(self, path: str, target: BinaryIO) -> int:
        connection = self._open()
        try:
            connection.request("GET", self.path + path, None, self._headers)
            response = connection.getresponse()
            if response.status != 200:
                self._answer(response.status, response.read())
            size = 0
            while chunk := response.read(_CHUNK):
                size += target.write(chunk)
            return size
        except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
            raise ClientError(f"the connection to {self._url} was lost: {error!r}") from error
        finally:
            connection.close()

    def restore_backup(self, path: Path, show: ShowProgress, *, replace: bool) -> dict[str, Any]:
        """Replace the data of the server by a backup; administrators only."""
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                return self._request(
                    "POST",
                    "/api/backup/restore" + ("?replace=true" if replace else ""),
                    body=_chunks(file, size, show),
                    headers={"content-type": "application/zip", "content-length": str(size)},
                    seconds=RESTORE_SECONDS,
                )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ClientError(f"{path} cannot be read: {reason}") from error

    def undoable_imports(self) -> list[dict[str, Any]]:
        """Return the last import of each source; administrators only."""
        found: list[dict[str, Any]] = self._request("GET", "/api/imports/undoable")["imports"]
        return found

    def undo_import(self, import_id: str) -> dict[str, Any]:
        """Undo an import; return the numbers of deleted and restored findings."""
        return self._request("POST", f"/api/imports/{quote(import_id, safe='')}/undo")

    def synchronize_kev(self, body: bytes | None, *, force: bool) -> dict[str, Any]:
        """Synchronize KEV from the server's source, or from a catalog in `body`."""
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
        seconds: float = TIMEOUT_SECONDS,
    ) -> dict[str, Any]:
        connection = self._open(seconds)
        try:
            return self._exchange(connection, method, path, body, self._headers | (headers or {}))
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"the connection to {self._url} was lost: {error!r}") from error
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
        # A server that rejects an upload stops reading, but its response is available.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, self.path + path, body, headers)
        response = connection.getresponse()
        return self._answer(response.status, response.read())

    def _open(self, seconds: float = TIMEOUT_SECONDS) -> http.client.HTTPConnection:
        connection = self._connection(seconds)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            raise ClientError(
                f"the certificate of {self._url} is not trusted ({error.verify_message}): name the "
                "file of its authority with --ca, and use the host name in the certificate"
            ) from error
        except ssl.SSLError as error:
            raise ClientError(
                f"{self._url} does not accept a TLS connection ({error.reason}): "
                "use http:// if the server has no certificate"
            ) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise UnreachableError(
                f"cannot connect to {self._url} ({reason}): start the server or correct --url"
            ) from error
        return connection

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        host, port = str(self._parts.hostname), self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=seconds, context=self.tls)
        return http.client.HTTPConnection(host, port, timeout=seconds)

    def _answer(self, status: int, body: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            if status in _UNAVAILABLE:
                raise UnreachableError(f"{self._url} is unavailable now (status {status})")
            raise ClientError(
                f"{self._url} returned status {status} without a JSON object: check that --url "
                "names a HexTrackr server"
            )
        if status == 401:
            raise ClientError(
                f"the server rejects the token ({answer.get('error')}): "
                "set a valid one with --token or HEXTRACKR_TOKEN"
            )
        if status >= 400:
            text = f"the server rejects the request: {answer.get('error')} ({answer.get('code')})"
            for problem in answer.get("fields", []):
                text += f"\n  {escape(problem['path'])}: {escape(problem['message'])}"
            raise (UnreachableError if status in _UNAVAILABLE else ClientError)(text)
        return answer


def _trust(ca: Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as error:
        raise ClientError(
            f"--ca must name a PEM file with certificates, got {ca}: {error}"
        ) from error
    return context


def _form_head(boundary: str, filename: str, fields: Mapping[str, str]) -> bytes:
    """Return the form up to the content of its file."""
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    quoted = "".join("_" if each in '"\\\r\n' else each for each in filename)
    parts.append(
        f'--{boundary}\r\ncontent-disposition: form-data; name="file"; '
        f'filename="{quoted}"\r\ncontent-type: application/octet-stream\r\n\r\n'
    )
    return "".join(parts).encode("utf-8", "replace")


def _chunks(file: BinaryIO, size: int, show: ShowProgress) -> Iterator[bytes]:
    sent = 0
    while chunk := file.read(_CHUNK):
        yield chunk
        sent += len(chunk)
        show(100 * sent // max(1, size), "uploading", f"{size:,} bytes")

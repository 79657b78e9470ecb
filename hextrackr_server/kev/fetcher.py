"""Fetches the bytes of the KEV catalog from its URL, or reads them from a file.

The module limits hosts, size, time and retries. All functions block. `catalog` parses the bytes.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from hextrackr_server.config.parsers import is_loopback
from hextrackr_server.config.settings import CISA_HOSTS, CISA_URL
from hextrackr_server.kev.catalog import KevError
from hextrackr_server.kev.watched_connection import Watch, WatchedHttp, WatchedHttps

MAXIMUM_BYTES = 20 * 1024 * 1024
TIMEOUT_SECONDS = 30.0
ATTEMPTS = 3
_CHUNK = 64 * 1024
_WORTH_A_RETRY = frozenset({429, 500, 502, 503, 504})


class Fetched(NamedTuple):
    """A response, or None as its body if the catalog has not changed."""

    body: bytes | None
    etag: str | None
    last_modified: str | None


class KevFetcher:
    """An HTTP client for one URL; `wait` sleeps between attempts.

    `timeout` limits each attempt from its connection to the last byte of the body, in seconds.
    """

    def __init__(
        self,
        url: str = CISA_URL,
        hosts: Collection[str] = CISA_HOSTS,
        *,
        maximum: int = MAXIMUM_BYTES,
        timeout: float = TIMEOUT_SECONDS,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._url = url
        self._hosts = frozenset(hosts)
        self._maximum = maximum
        self._timeout = timeout
        self._wait = wait
        self._watch = Watch()
        self._is_closed = False
        self._opener = urllib.request.build_opener(
            _CheckedRedirects(self._check), WatchedHttp(self._watch), WatchedHttps(self._watch)
        )

    def fetch(self, etag: str | None = None, last_modified: str | None = None) -> Fetched:
        """Fetch the catalog unless it still has this ETag; raise KevError on failure."""
        self._check(self._url)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._fetch_once(etag, last_modified)
            except _Retry as error:
                if self._is_closed:
                    raise KevError("the server is stopping") from error
                if attempt == ATTEMPTS:
                    raise KevError(f"{error} ({ATTEMPTS} attempts)") from error
                self._wait(2.0 ** (attempt - 1))
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End a running fetch, which raises KevError; may be called in any thread."""
        self._is_closed = True
        self._watch.end()

    def _fetch_once(self, etag: str | None, last_modified: str | None) -> Fetched:
        request = urllib.request.Request(self._url, headers={"accept": "application/json"})
        if etag:
            request.add_header("if-none-match", etag)
        if last_modified:
            request.add_header("if-modified-since", last_modified)
        with self._watch.attempt(self._timeout) as attempt:
            try:
                with self._opener.open(request, timeout=self._timeout) as response:
                    body = self._read(response)
                    if not attempt.is_over:
                        etag = _header(response, "etag", 255)
                        return Fetched(body, etag, _header(response, "last-modified", 64))
            except urllib.error.HTTPError as error:
                with error:
                    if error.code == 304:
                        return Fetched(None, etag, last_modified)
                    refusal = f"the source answered with status {error.code}"
                    raise (_Retry if error.code in _WORTH_A_RETRY else KevError)(refusal) from error
            except (_Retry, OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                # The limit of a single read is that of the attempt.
                if not attempt.is_over and not isinstance(reason, TimeoutError):
                    if isinstance(error, _Retry):
                        raise
                    raise _Retry(f"the source cannot be reached: {reason}") from error
        raise _Retry(f"the catalog did not arrive within {self._timeout:g} seconds")

    def _read(self, response: Any) -> bytes:
        body = bytearray()
        while chunk := response.read1(_CHUNK):
            body += chunk
            if len(body) > self._maximum:
                raise KevError(f"the catalog is larger than the allowed {self._maximum} bytes")
        announced = response.headers.get("content-length", "")
        if announced.isdigit() and len(body) != int(announced):
            message = f"the catalog must have {announced} bytes by its header, got {len(body)}"
            raise _Retry(message)
        return bytes(body)

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host not in self._hosts:
            allowed = ", ".join(sorted(self._hosts))
            raise KevError(f"the host of the catalog must be one of {allowed}, got {host!r}")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
            raise KevError(f"the URL of the catalog must begin with https://, got {url}")


def read_file(path: Path, maximum: int = MAXIMUM_BYTES) -> bytes:
    """Return the bytes of a local catalog; raise KevError if it is unreadable or too large."""
    try:
        with path.open("rb") as file:
            body = file.read(maximum + 1)
    except OSError as error:
        # All users see this text, so it must not contain the path of the folder.
        raise KevError(f"{path.name} cannot be read: {error.strerror or error}") from error
    if len(body) > maximum:
        raise KevError(f"{path.name} is larger than the allowed {maximum} bytes")
    return body


class _Retry(KevError):
    """A failure that another attempt may avoid."""


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect handler that follows redirects to allowed hosts only."""

    def __init__(self, check: Callable[[str], None]) -> None:
        self._check = check

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        self._check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _header(response: Any, name: str, limit: int) -> str | None:
    value = response.headers.get(name)
    return None if value is None or len(value) > limit else str(value)

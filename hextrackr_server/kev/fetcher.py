"""The catalog's bytes, from its URL or from a file.

Knows: HTTP, which hosts may be asked, how large and how slow an answer may be, when to try again.
Does not know: what is in the answer.  Everything here blocks.
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

MAXIMUM_BYTES = 20 * 1024 * 1024
TIMEOUT_SECONDS = 30.0
ATTEMPTS = 3
_CHUNK = 64 * 1024
_WORTH_A_RETRY = frozenset({429, 500, 502, 503, 504})


class Fetched(NamedTuple):
    """An answer; without a body where the catalog has not changed."""

    body: bytes | None
    etag: str | None
    last_modified: str | None


class KevFetcher:
    """Fetches from one URL; `wait` sleeps between attempts."""

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
        self._opener = urllib.request.build_opener(_CheckedRedirects(self._check))

    def fetch(self, etag: str | None = None, last_modified: str | None = None) -> Fetched:
        """Fetch the catalog, unless it is still the one with this etag; KevError."""
        self._check(self._url)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._fetch_once(etag, last_modified)
            except _Retry as error:
                if attempt == ATTEMPTS:
                    raise KevError(f"{error} ({ATTEMPTS} attempts)") from error
                self._wait(2.0 ** (attempt - 1))
        raise AssertionError("unreachable")

    def _fetch_once(self, etag: str | None, last_modified: str | None) -> Fetched:
        request = urllib.request.Request(self._url, headers={"accept": "application/json"})
        if etag:
            request.add_header("if-none-match", etag)
        if last_modified:
            request.add_header("if-modified-since", last_modified)
        deadline = time.monotonic() + self._timeout
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return Fetched(
                    self._read(response, deadline),
                    _header(response, "etag", 255),
                    _header(response, "last-modified", 64),
                )
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 304:
                    return Fetched(None, etag, last_modified)
                refusal = f"the source answered {error.code}"
                raise (_Retry if error.code in _WORTH_A_RETRY else KevError)(refusal) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise _Retry(f"the source cannot be reached: {reason}") from error

    def _read(self, response: Any, deadline: float) -> bytes:
        body = bytearray()
        while chunk := response.read1(_CHUNK):
            body += chunk
            if len(body) > self._maximum:
                raise KevError(f"the catalog is larger than {self._maximum} bytes")
            if time.monotonic() > deadline:
                raise _Retry(f"the catalog did not arrive within {self._timeout:g} seconds")
        announced = response.headers.get("content-length", "")
        if announced.isdigit() and len(body) != int(announced):
            raise _Retry("the catalog ended before its end")
        return bytes(body)

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host not in self._hosts:
            raise KevError(f"{host or 'no host'} is not among the hosts that may be asked")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
            raise KevError(f"the catalog is fetched over https only, not from {url}")


def read_file(path: Path, maximum: int = MAXIMUM_BYTES) -> bytes:
    """The catalog of a local file; KevError."""
    try:
        with path.open("rb") as file:
            body = file.read(maximum + 1)
    except OSError as error:
        # Everybody is told: of the machine's directories they need not know.
        raise KevError(f"{path.name} cannot be read: {error.strerror or error}") from error
    if len(body) > maximum:
        raise KevError(f"{path.name} is larger than {maximum} bytes")
    return body


class _Retry(KevError):
    """It may go better the next time."""


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect to where nobody would have been asked."""

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

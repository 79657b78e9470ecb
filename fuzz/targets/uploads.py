"""Uploads: multipart forms and plain bodies, divided and in one piece.

The first line of an input is the content type.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from starlette.requests import Request

from fuzz.escapes import Escapes
from fuzz.pieces import divide
from fuzz.target import Target
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.http.uploads import UploadReceiver, _options
from hextrackr_server.imports.uploads import tidy_filename, too_large
from hextrackr_server.security.principal import Principal

T = TypeVar("T")
ALICE = Principal("alice", "Alice", "user")
REFUSALS = {ErrorCode.VALIDATION_ERROR, ErrorCode.TOO_LARGE}
ESCAPES = Escapes("python_multipart")
FORM = b"multipart/form-data; boundary=frontier\n"


class Kept(NamedTuple):
    """A received file, in memory instead of on a disk."""

    filename: str
    content: bytes

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.content)

    @property
    def path(self) -> Kept:
        """The file itself, which can be deleted."""
        return self

    def unlink(self, *, missing_ok: bool) -> None:
        """Delete nothing: no file exists."""


class MemoryUploads:
    """An upload store without a disk."""

    maximum = 500

    @contextmanager
    def arriving(self, owner: Principal) -> Iterator[None]:
        """Admit each upload without counting it."""
        yield

    async def receive(self, chunks: AsyncIterator[bytes], filename: str, owner: Principal) -> Kept:
        """Return the file. Raises ServiceError above the limit."""
        content = b""
        async for chunk in chunks:
            content += chunk
            if len(content) > self.maximum:
                raise too_large(self.maximum)
        return Kept(tidy_filename(filename), content)


RECEIVER = UploadReceiver(MemoryUploads())  # type: ignore[arg-type]


def finish(step: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that never waits."""
    try:
        step.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("the receiver waits, although the whole body is there")


def receive(kind: bytes, pieces: list[bytes]) -> object:
    """Return the file and the fields of a request, or None if it is refused."""
    waiting = list(pieces) or [b""]

    async def body() -> dict[str, Any]:
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    headers = [(b"content-type", kind)]
    scope = {
        "type": "http", "method": "POST", "path": "/", "headers": headers,
        "query_string": b"filename=a.csv",
    }  # fmt: skip
    try:
        upload, fields = finish(RECEIVER.receive(Request(scope, body), ALICE))
    except ServiceError as error:
        assert error.code in REFUSALS  # noqa: PT017
        return None
    try:
        options = _options(fields)
    except ServiceError as error:
        assert error.code in REFUSALS  # noqa: PT017
        options = None
    assert upload.filename.isprintable()
    assert "/" not in upload.filename
    return upload, dict(fields), options


def run(data: bytes) -> None:
    """Compare one piece with many."""
    kind, _, content = data.partition(b"\n")
    with ESCAPES:
        assert receive(kind, divide(content)) == receive(kind, [content])


def form(*parts: bytes) -> bytes:
    """Return a form with the given parts, as an input."""
    return (
        FORM + b"".join(b"--frontier\r\n" + part + b"\r\n" for part in parts) + b"--frontier--\r\n"
    )


FILE = b'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\r\n1,2'
TARGET = Target(
    "uploads: multipart forms and plain bodies; divided and in one piece",
    lambda: [
        form(FILE), form(b'Content-Disposition: form-data; name="vendor"\r\n\r\ncisco', FILE),
        form(FILE.replace(b"a.csv", b"../a\\b\x00.csv"), FILE),
        FORM + b"preamble\r\n" + form(FILE).removeprefix(FORM),
        form(FILE).replace(b"frontier\n", b"frontier; charset=undefined\n", 1),
        form(FILE).replace(b"frontier\r\n", b"frontier \t\r\n"), b"text/csv\na,b\n1,2\n",
        form(b'Content-Disposition: form-data; name="confirm"\r\n\r\ntrue'),
        b'multipart/form-data; boundary="a b"\n--a b--\r\n', b"multipart/form-data\n--x--",
        form(b"Content-Type: text/csv\r\n" + FILE) + b"epilogue",
    ],
    run,
    (
        b"--frontier", b"--frontier--", b"\r\n", b"\r\n\r\n", b"\n", b" ", b"Content-Disposition: ",
        b'form-data; name="file"; filename="x"', b"filename*=utf-8''%e2%82%ac", b"boundary=", b'"',
        b"Content-Transfer-Encoding: base64\r\n", b"; charset=utf-16",
        b"; charset=idna", b"\xff", b"\0", b"mapping",
    ),
)  # fmt: skip

"""Files that were uploaded, until an import has read them.

Knows: a directory, who uploaded what, how much a file may hold.
Does not know: HTTP, CSV, imports.  A file has a made-up name; the client's name never is a path.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.security.principal import Principal

MAXIMUM_BYTES = 100 * 1024 * 1024
KEEP_SECONDS = 3600.0
MAXIMUM_WAITING_PER_USER = 10
#: Uploads of a user that arrive at the same time; each may be as slow as it is large.
MAXIMUM_ARRIVING_PER_USER = 4
# Disk writes leave the loop's thread; in pieces of this size that is worth the hop.
_WRITE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A stored file, and whose it is."""

    upload_id: str
    path: Path
    filename: str
    size: int
    sha256: str
    user_id: str
    stored_at: float


class UploadStore:
    """The uploads that wait for their import; used on the loop's thread."""

    def __init__(
        self, directory: Path, clock: Callable[[], float], maximum: int = MAXIMUM_BYTES
    ) -> None:
        """Empty the directory: what a former server left there belongs to no one."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, mode=0o700)
        self._directory = directory
        self._clock = clock
        self._waiting: dict[str, Upload] = {}
        self._arriving: Counter[str] = Counter()
        self.maximum = maximum

    @contextmanager
    def arriving(self, owner: Principal) -> Iterator[None]:
        """While an upload of a user arrives; RATE_LIMITED if too many do."""
        user = owner.user_id
        if self._arriving[user] >= MAXIMUM_ARRIVING_PER_USER:
            text = f"{self._arriving[user]} uploads arrive already: let one end first"
            raise ServiceError(ErrorCode.RATE_LIMITED, text)
        self._arriving[user] += 1
        try:
            yield
        finally:
            self._arriving[user] -= 1
            if not self._arriving[user]:
                del self._arriving[user]

    async def receive(
        self, chunks: AsyncIterator[bytes], filename: str, owner: Principal
    ) -> Upload:
        """Store what arrives; ServiceError TOO_LARGE past the maximum, nothing stays then."""
        upload_id = secrets.token_urlsafe(18)
        path = self._directory / f"{upload_id}.csv"
        digest = hashlib.sha256()
        try:
            with await asyncio.to_thread(_create, path) as file:
                size = await self._write(file, chunks, digest.update)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        name = tidy_filename(filename)
        return Upload(upload_id, path, name, size, digest.hexdigest(), owner.user_id, self._clock())

    async def _write(
        self, file: BinaryIO, chunks: AsyncIterator[bytes], digest: Callable[[bytes], None]
    ) -> int:
        size = 0
        buffer = bytearray()
        async for chunk in chunks:
            size += len(chunk)
            if size > self.maximum:
                raise too_large(self.maximum)
            buffer += chunk
            if len(buffer) >= _WRITE_BYTES:
                await asyncio.to_thread(_append, file, bytes(buffer), digest)
                buffer.clear()
        await asyncio.to_thread(_append, file, bytes(buffer), digest)
        return size

    def keep(self, upload: Upload) -> None:
        """Let an upload wait for `start-import`; CONFLICT if too many of this user's wait."""
        self.sweep()
        waiting = sum(each.user_id == upload.user_id for each in self._waiting.values())
        if waiting >= MAXIMUM_WAITING_PER_USER:
            upload.path.unlink(missing_ok=True)
            raise ServiceError(
                ErrorCode.CONFLICT, f"{waiting} uploads wait to be imported already; start them"
            )
        self._waiting[upload.upload_id] = upload

    def take(self, upload_id: str, principal: Principal) -> Upload:
        """Hand an upload over to its import, once; NOT_FOUND for others' and unknown ones."""
        upload = self._waiting.get(upload_id)
        if upload is None or upload.user_id != principal.user_id:
            raise ServiceError(ErrorCode.NOT_FOUND, "There is no such upload")
        return self._waiting.pop(upload_id)

    def sweep(self) -> None:
        """Delete what has waited for an hour."""
        limit = self._clock() - KEEP_SECONDS
        for upload in [each for each in self._waiting.values() if each.stored_at <= limit]:
            del self._waiting[upload.upload_id]
            upload.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Delete everything."""
        self._waiting.clear()
        shutil.rmtree(self._directory, ignore_errors=True)


def tidy_filename(filename: str) -> str:
    """The client's name of a file, good for showing: no directories, no control characters."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    printable = "".join(character for character in name if character.isprintable()).strip()
    return printable[:255] or "upload.csv"


def too_large(maximum: int) -> ServiceError:
    """The refusal of a file with more bytes than the maximum."""
    return ServiceError(
        ErrorCode.TOO_LARGE, f"The file is larger than {maximum // (1024 * 1024)} MB"
    )


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _append(file: BinaryIO, data: bytes, digest: Callable[[bytes], None]) -> None:
    digest(data)
    file.write(data)

"""Stores uploaded files until an import has read them.

A stored file has a generated name; the client's file name is never used as a path. Receiving the
request belongs to the HTTP layer, reading the file to `formats`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
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
from hextrackr_server.telemetry.log_setup import fields

logger = logging.getLogger(__name__)

MAXIMUM_BYTES = 100 * 1024 * 1024
KEEP_SECONDS = 3600.0
MAXIMUM_WAITING_PER_USER = 10
#: Concurrent uploads of one user; each occupies a request for as long as the client sends.
MAXIMUM_ARRIVING_PER_USER = 4
# Disk writes run in a thread, in chunks large enough to be worth the switch.
_WRITE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A stored file and its owner."""

    upload_id: str
    path: Path
    filename: str
    size: int
    sha256: str
    user_id: str
    stored_at: float


class UploadStore:
    """The uploads that wait for their import; used on the event loop's thread."""

    def __init__(
        self,
        directory: Path,
        clock: Callable[[], float],
        maximum: int = MAXIMUM_BYTES,
        *,
        keep_seconds: float = KEEP_SECONDS,
        kept_per_user: int = MAXIMUM_WAITING_PER_USER,
    ) -> None:
        """Empty the directory, because files of a previous server have no owner.

        An upload waits for its import for `keep_seconds`, and a user may have `kept_per_user` of
        them.
        """
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, mode=0o700)
        self._directory = directory
        self._clock = clock
        self._waiting: dict[str, Upload] = {}
        self._arriving: Counter[str] = Counter()
        self._in_use: set[str] = set()
        # Uploads that a later one of the same user may replace.
        self._replaceable: set[str] = set()
        self.maximum = maximum
        self.kept_per_user = kept_per_user
        self._keep_seconds = keep_seconds
        #: Uploads deleted since the start, because no import has taken them in time.
        self.expired = 0

    @contextmanager
    def arriving(self, owner: Principal) -> Iterator[None]:
        """Count an upload while it arrives; raise RATE_LIMITED if its user has too many."""
        user = owner.user_id
        if self._arriving[user] >= MAXIMUM_ARRIVING_PER_USER:
            text = (
                f"A user may send {MAXIMUM_ARRIVING_PER_USER} uploads at a time, "
                f"you send {self._arriving[user]}: wait until one ends"
            )
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
        """Store the received chunks; raise TOO_LARGE and delete the file above the maximum."""
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

    def keep(self, upload: Upload, *, replaces: bool = False) -> None:
        """Keep an upload for `start-import`; raise CONFLICT if its user has too many.

        With `replaces`, delete the user's oldest upload that was kept with `replaces` instead.
        """
        self.sweep()
        mine = [each for each in self._waiting.values() if each.user_id == upload.user_id]
        waiting = len(mine)
        if replaces and waiting >= self.kept_per_user:
            idle = self._replaceable - self._in_use
            oldest = next((each for each in mine if each.upload_id in idle), None)
            if oldest is not None:
                self._delete(oldest)
                waiting -= 1
        if waiting >= self.kept_per_user:
            upload.path.unlink(missing_ok=True)
            text = (
                f"A user may have {self.kept_per_user} uploads that wait for their import, "
                f"you have {waiting}: start them"
            )
            raise ServiceError(ErrorCode.CONFLICT, text)
        self._waiting[upload.upload_id] = upload
        if replaces:
            self._replaceable.add(upload.upload_id)

    def take(self, upload_id: str, principal: Principal) -> Upload:
        """Remove an upload and return it to its import; raise NOT_FOUND for other users.

        Raises CONFLICT while the upload is in use.
        """
        upload = self._find(upload_id, principal)
        self._check_idle(upload)
        self._replaceable.discard(upload_id)
        return self._waiting.pop(upload_id)

    @contextmanager
    def using(self, upload_id: str, principal: Principal) -> Iterator[Upload]:
        """Keep an upload while its file is read; raise NOT_FOUND, or CONFLICT if it is in use."""
        upload = self._find(upload_id, principal)
        self._check_idle(upload)
        self._in_use.add(upload_id)
        try:
            yield upload
        finally:
            self._in_use.discard(upload_id)

    def discard(self, upload_id: str, principal: Principal) -> None:
        """Delete an upload; raise NOT_FOUND, or CONFLICT while it is in use."""
        upload = self._find(upload_id, principal)
        self._check_idle(upload)
        self._delete(upload)

    def seconds_left(self, upload: Upload) -> float:
        """Return the time after which a waiting upload is deleted."""
        return max(0.0, upload.stored_at + self._keep_seconds - self._clock())

    def sweep(self) -> None:
        """Delete uploads that have waited for too long."""
        limit = self._clock() - self._keep_seconds
        for upload in [each for each in self._waiting.values() if each.stored_at <= limit]:
            if upload.upload_id not in self._in_use:
                self._delete(upload)
                self.expired += 1
                log_fields = {"user": upload.user_id, "file": upload.filename}
                logger.info("upload deleted: no import has taken it", extra=fields(**log_fields))

    def _find(self, upload_id: str, principal: Principal) -> Upload:
        upload = self._waiting.get(upload_id)
        if upload is None or upload.user_id != principal.user_id:
            text = "There is no such upload: upload the file again"
            raise ServiceError(ErrorCode.NOT_FOUND, text)
        return upload

    def _check_idle(self, upload: Upload) -> None:
        if upload.upload_id in self._in_use:
            text = "The upload is being inspected: wait for the result"
            raise ServiceError(ErrorCode.CONFLICT, text)

    def _delete(self, upload: Upload) -> None:
        self._replaceable.discard(upload.upload_id)
        del self._waiting[upload.upload_id]
        upload.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Delete all uploads and the directory."""
        self._waiting.clear()
        shutil.rmtree(self._directory, ignore_errors=True)


def tidy_filename(filename: str) -> str:
    """Return a displayable file name without directories and control characters."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    printable = "".join(character for character in name if character.isprintable()).strip()
    return printable[:255] or "upload.csv"


def too_large(maximum: int) -> ServiceError:
    """Return the error for a file with more bytes than the maximum."""
    return ServiceError(
        ErrorCode.TOO_LARGE, f"A file may have {maximum // (1024 * 1024)} MB, this one is larger"
    )


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _append(file: BinaryIO, data: bytes, digest: Callable[[bytes], None]) -> None:
    digest(data)
    file.write(data)

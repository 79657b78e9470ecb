"""Restores a backup into the database of the running server.

The server verifies and migrates the backup in a process of its own, waits for the end of running
imports, replaces the data in one transaction, and informs clients, which then request their data
again. Connections, presence, maintenance windows and undelivered notifications stay.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

from hextrackr_server.backup.errors import BackupError, StorageFailedError, writing_to
from hextrackr_server.backup.manifest import Manifest
from hextrackr_server.backup.preparing import PREPARED, prepare_in_process
from hextrackr_server.backup.replacing import LIVE_TABLES, replace_data
from hextrackr_server.backup.restoring import check_replaceable
from hextrackr_server.clock import epoch_ms
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.imports.service import ImportService
from hextrackr_server.security.principal import Principal
from hextrackr_server.storage.database import Database
from hextrackr_server.telemetry import log_setup

logger = logging.getLogger(__name__)

#: The longest wait for running imports.
WAIT_SECONDS: Final = 600.0
BUSY: Final = "A backup is being restored: try again later"
# Disk writes run in a thread, in chunks large enough to be worth the switch.
_WRITE_BYTES: Final = 256 * 1024

Prepare = Callable[[Path, Path], Manifest]


class RestoreService:
    """Restores one backup at a time; used on the event loop's thread."""

    def __init__(
        self,
        database: Database,
        imports: ImportService,
        folder: Path,
        on_restored: Callable[[Manifest], None],
        prepare: Prepare = prepare_in_process,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        """Delete the folder for the files of restores, which a killed server may have left.

        `on_restored` is called when the database contains the data of the backup.
        """
        self._database = database
        self._imports = imports
        self._folder = folder
        self._on_restored = on_restored
        self._prepare = prepare
        self._wait_seconds = wait_seconds
        self._is_running = False
        shutil.rmtree(folder, ignore_errors=True)

    async def restore(
        self, chunks: AsyncIterator[bytes], principal: Principal, *, replace: bool
    ) -> dict[str, Any]:
        """Restore the backup that the chunks contain, for an administrator.

        Raises ServiceError FORBIDDEN for other users; CONFLICT if a restore is running, if imports
        do not end, or, without `replace`, if there are imports; VALIDATION_ERROR for a backup that
        cannot be restored; UNAVAILABLE if the disk is full. The data are unchanged then.
        """
        if not principal.is_admin:
            raise ServiceError(ErrorCode.FORBIDDEN, "Only administrators may restore a backup")
        if self._is_running:
            raise ServiceError(ErrorCode.CONFLICT, BUSY)
        self._is_running = True
        try:
            await self._check(replace=replace)
            return await self._restore(chunks, principal, replace=replace)
        except BackupError as error:
            logger.warning(
                "restore refused",
                extra=log_setup.fields(user=principal.user_id, reason=error),
            )
            is_storage = isinstance(error, StorageFailedError)
            code = ErrorCode.UNAVAILABLE if is_storage else ErrorCode.VALIDATION_ERROR
            raise ServiceError(code, str(error)) from error
        finally:
            try:
                await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
            finally:
                self._is_running = False

    async def _check(self, *, replace: bool) -> None:
        try:
            await asyncio.to_thread(check_replaceable, self._database, replace=replace)
        except BackupError as error:
            raise ServiceError(ErrorCode.CONFLICT, str(error)) from error

    async def _restore(
        self, chunks: AsyncIterator[bytes], principal: Principal, *, replace: bool
    ) -> dict[str, Any]:
        await asyncio.to_thread(self._folder.mkdir, mode=0o700)
        archive = self._folder / "backup.zip"
        with writing_to(self._folder):
            await _store(chunks, archive)
        manifest = await asyncio.to_thread(self._prepare, archive, self._folder)
        logger.info(
            "restore: the backup is verified",
            extra=log_setup.fields(user=principal.user_id, **_described(manifest)),
        )
        copy = self._folder / PREPARED

        def replace_all() -> dict[str, int]:
            # An import may have ended since the first check.
            check_replaceable(self._database, replace=replace)
            return replace_data(
                self._database,
                copy,
                epoch_ms(),
                keep=LIVE_TABLES,
                announced=round(manifest.created.timestamp() * 1000),
            )

        rows = await self._imports.run_alone(replace_all, BUSY, self._wait_seconds)
        logger.warning(
            "restore: the data are those of the backup",
            extra=log_setup.fields(
                user=principal.user_id, **_described(manifest), findings=rows["findings"]
            ),
        )
        self._on_restored(manifest)
        return {"success": True, **_described(manifest), "rows": rows}


def _described(manifest: Manifest) -> dict[str, Any]:
    return {
        "createdAt": manifest.created_at,
        "programVersion": manifest.program_version,
        "schemaVersion": manifest.schema_version,
    }


async def _store(chunks: AsyncIterator[bytes], archive: Path) -> None:
    with await asyncio.to_thread(_create, archive) as file:
        buffer = bytearray()
        async for chunk in chunks:
            buffer += chunk
            if len(buffer) >= _WRITE_BYTES:
                await asyncio.to_thread(file.write, bytes(buffer))
                buffer.clear()
        await asyncio.to_thread(file.write, bytes(buffer))


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

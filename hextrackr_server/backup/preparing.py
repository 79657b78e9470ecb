"""Verifies a backup and brings its database to the current schema, before a restore uses it.

Both take processor time, so a server does them in a process of its own:
`python -m hextrackr_server.backup.preparing ARCHIVE FOLDER` writes the manifest, or one line with
the reason of a failure and exit status 2 or 3, to standard output.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from hextrackr_server.backup.archive import extract
from hextrackr_server.backup.errors import BackupError, StorageFailedError, writing_to
from hextrackr_server.backup.manifest import Manifest, decode_manifest
from hextrackr_server.backup.snapshot import examine
from hextrackr_server.child_process import describe_status, lower_priority, start_module
from hextrackr_server.errors import SettingsError
from hextrackr_server.storage.database import Database

#: The name of the prepared database in its folder.
PREPARED: Final = "restored.db"
_REFUSED: Final = 2
_STORAGE_FAILED: Final = 3


def prepare(archive: Path, folder: Path) -> Manifest:
    """Extract, verify and migrate the database of a backup into a folder. Raises BackupError."""
    file = folder / PREPARED
    with writing_to(folder):
        manifest = extract(archive, file)
        found = examine(file)
        if (found.schema_version, found.rows) != (manifest.schema_version, manifest.rows):
            raise BackupError(f"{archive} is damaged: its database does not match its manifest")
        try:
            Database(file).close()
        except SettingsError as error:
            raise BackupError(f"the database of the backup cannot be migrated: {error}") from error
    return manifest


def prepare_in_process(archive: Path, folder: Path) -> Manifest:
    """Prepare a backup as `prepare` does, in a process of its own. Raises BackupError."""
    with start_module(__name__, str(archive), str(folder), stdin=subprocess.DEVNULL) as process:
        output, _ = process.communicate()
    reason = output.decode(errors="replace").strip()
    if process.returncode == _REFUSED:
        raise BackupError(reason)
    if process.returncode == _STORAGE_FAILED:
        raise StorageFailedError(reason)
    if process.returncode:
        raise StorageFailedError(
            "the process that verifies the backup ended unexpectedly "
            f"({describe_status(process.returncode)}): the log of the server contains its error"
        )
    return decode_manifest(output)


def main() -> int:
    """Prepare the backup that the arguments name; return the exit status."""
    lower_priority()
    archive, folder = map(Path, sys.argv[1:3])
    try:
        sys.stdout.buffer.write(prepare(archive, folder).encode())
    except BackupError as error:
        print(error)
        return _STORAGE_FAILED if isinstance(error, StorageFailedError) else _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Verifies a backup and brings its database to the current schema, before a restore uses it.

Both take processor time, so a server does them in a process of its own:
`python -m hextrackr_server.backup.preparing ARCHIVE FOLDER` writes the manifest, or one line with
the reason of a failure and exit status 2 or 3, to standard output.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from hextrackr_server.backup.archive import extract
from hextrackr_server.backup.errors import BackupError, StorageFailedError, writing_to
from hextrackr_server.backup.manifest import Manifest, decode_manifest
from hextrackr_server.backup.snapshot import examine
from hextrackr_server.errors import SettingsError
from hextrackr_server.storage.database import Database

#: The name of the prepared database in its folder.
PREPARED: Final = "restored.db"
_REFUSED: Final = 2
_STORAGE_FAILED: Final = 3
#: Added to the niceness, so that the event loop of the server runs first on a busy machine.
_NICENESS: Final = 5
# Variables that Python and the C library need. The others may contain secrets of the server.
_KEPT_VARIABLES: Final = frozenset(
    {"HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "TMPDIR", "TZ"}
)


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
    kept = {name: value for name, value in os.environ.items() if name in _KEPT_VARIABLES}
    done = subprocess.run(
        [sys.executable, "-P", "-m", __name__, str(archive), str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        # A signal of the terminal is for the server.
        start_new_session=True,
        check=False,
    )
    reason = done.stdout.decode(errors="replace").strip()
    if done.returncode == _REFUSED:
        raise BackupError(reason)
    if done.returncode == _STORAGE_FAILED:
        raise StorageFailedError(reason)
    if done.returncode:
        raise StorageFailedError(
            f"the process that verifies the backup failed with exit status {done.returncode}: the "
            "log of the server contains its error"
        )
    return decode_manifest(done.stdout)


def main() -> int:
    """Prepare the backup that the arguments name; return the exit status."""
    os.nice(_NICENESS)
    archive, folder = map(Path, sys.argv[1:3])
    try:
        sys.stdout.buffer.write(prepare(archive, folder).encode())
    except BackupError as error:
        print(error)
        return _STORAGE_FAILED if isinstance(error, StorageFailedError) else _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())

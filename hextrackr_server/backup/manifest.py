"""The description of a backup, which the archive contains as `manifest.json`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from hextrackr_server import __version__
from hextrackr_server.backup.errors import BackupError
from hextrackr_server.storage.migrations import MIGRATIONS

FORMAT: Final = "hextrackr-backup"
#: The version of the archive; that of the tables is `schema_version`.
FORMAT_VERSION: Final = 1
NEWEST_SCHEMA: Final = 1 + len(MIGRATIONS)
MAXIMUM_BYTES: Final = 64 * 1024
#: The commands print the version on a terminal.
_VERSION: Final = r"^[0-9A-Za-z.+_-]{1,64}\Z"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a backup, with the checksum that verifies it.

    `created_at` is an ISO 8601 time in UTC. `size` (in bytes) and `sha256` describe the database
    in the archive, `rows` counts the rows of its tables.
    """

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    created_at: str
    program_version: Annotated[str, msgspec.Meta(pattern=_VERSION)] = __version__
    schema_version: int
    source: str
    size: int
    sha256: str
    rows: dict[str, int]

    def encode(self) -> bytes:
        """Return the JSON text of the manifest."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @property
    def created(self) -> datetime:
        """The time of the backup."""
        return datetime.fromisoformat(self.created_at).astimezone(UTC)

    def check(self) -> None:
        """Raise BackupError if this program cannot restore the backup."""
        if self.format != FORMAT:
            raise BackupError(f"not a backup of the hub: its format is {self.format!r}")
        if self.format_version > FORMAT_VERSION or self.schema_version > NEWEST_SCHEMA:
            raise BackupError(
                f"the backup was written by a newer server (version {self.program_version}, schema "
                f"{self.schema_version}; this server supports schema {NEWEST_SCHEMA}): upgrade "
                "this server, or restore an older backup"
            )


def decode_manifest(content: bytes) -> Manifest:
    """Return the manifest of a JSON text. Raises BackupError."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
        _ = manifest.created
    except (msgspec.MsgspecError, ValueError) as error:
        raise BackupError(f"not a backup of the hub: its manifest is invalid ({error})") from error
    return manifest

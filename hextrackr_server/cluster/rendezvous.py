"""The place where the processes of one server meet: two Unix sockets and a secret."""

from __future__ import annotations

import hmac
import os
import secrets
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hextrackr_server.config.settings import Settings
from hextrackr_server.errors import SettingsError
from socketio_core.workers.environment import WorkerEnvironment

#: Bytes that the system accepts: `sun_path` has 108 on Linux and 104 elsewhere, with a null byte.
LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103
_LONGEST_NAME = "handover-63"


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """A folder that only this user can read, and the secret of the links."""

    folder: Path
    secret: bytes = field(repr=False)

    @classmethod
    def create(cls, settings: Settings) -> Rendezvous:
        """Create the folder, with mode 0700. Raises SettingsError.

        Servers of one cluster derive the same secret from their settings.
        """
        secret = secrets.token_bytes(32)
        if settings.cluster_address is not None:
            shared = settings.jwt_secret or settings.session_secrets[0]
            secret = hmac.digest(shared, b"links of a cluster", "sha256")
        return cls(_create_folder(), secret)

    @property
    def link(self) -> Path:
        """The Unix socket of the links."""
        return self.folder / "link.sock"

    @property
    def http(self) -> Path:
        """The Unix socket of the HTTP API."""
        return self.folder / "http.sock"

    def environment(self, number: int) -> WorkerEnvironment:
        """Return the number and the folder of a gateway, for the others on the same port."""
        return WorkerEnvironment(
            number=number,
            generation=0,
            cluster="",
            directory=str(self.folder),
            listener=-1,
            control=-1,
            lifeline=-1,
            drain=0.0,
        )

    def remove(self) -> None:
        """Delete the folder with both sockets."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _create_folder() -> Path:
    try:
        folder = Path(tempfile.mkdtemp(prefix="hextrackr-"))
    except OSError as error:
        raise SettingsError(
            "cannot create a folder for the Unix sockets of the processes: "
            f"{error.strerror or error}; set TMPDIR to a folder that the hub may write to"
        ) from error
    length = len(os.fsencode(folder / _LONGEST_NAME))
    if length > LONGEST_SOCKET_PATH:
        folder.rmdir()
        raise SettingsError(
            f"the path of a Unix socket must have at most {LONGEST_SOCKET_PATH} bytes, got "
            f"{length} in {folder}; set TMPDIR to a folder with a shorter path"
        )
    return folder

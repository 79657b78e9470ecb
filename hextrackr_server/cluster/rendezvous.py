"""The place where the processes of one server meet: two Unix sockets and a secret."""

from __future__ import annotations

import hmac
import secrets
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hextrackr_server.config.settings import Settings
from socketio_core.workers.environment import WorkerEnvironment


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """A folder that only this user can read, and the secret of the links."""

    folder: Path
    secret: bytes = field(repr=False)

    @classmethod
    def create(cls, settings: Settings) -> Rendezvous:
        """Create the folder, with mode 0700.

        Servers of one cluster derive the same secret from their settings.
        """
        secret = secrets.token_bytes(32)
        if settings.cluster_address is not None:
            shared = settings.jwt_secret or settings.session_secrets[0]
            secret = hmac.digest(shared, b"links of a cluster", "sha256")
        return cls(Path(tempfile.mkdtemp(prefix="hextrackr-")), secret)

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

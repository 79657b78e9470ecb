"""Tunnels from the gateways of a standby server to the application of the active server.

Both servers prove that they have the shared secret, then the tunnel carries the bytes of one
connection to one of the active server's Unix sockets. The bytes are not encrypted: the servers
need a private network.

    active to standby   nonce (32)
    standby to active   nonce (32), proof (32), channel (1)
    active to standby   proof (32), or the end of the connection
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import secrets
from pathlib import Path
from typing import NamedTuple, final

from hextrackr_server.cluster.rendezvous import Rendezvous
from hextrackr_server.telemetry import log_setup

logger = logging.getLogger(__name__)

NONCE = 32
PROOF = 32
#: Seconds to connect and to exchange the proofs.
LIMIT_SECONDS = 5.0
CHUNK = 256 * 1024
#: The channels: the Unix sockets of a `Rendezvous`.
LINK, HTTP = b"L", b"H"


class Address(NamedTuple):
    """A host name or IP address, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_host_port(text: str) -> Address:
    """Return the address of a valid setting, such as 10.0.0.5:8090 or [fd00::5]:8090."""
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@final
class TunnelServer:
    """The end of the tunnels in the active server."""

    def __init__(self, rendezvous: Rendezvous) -> None:
        self._secret = rendezvous.secret
        self._paths = {LINK: rendezvous.link, HTTP: rendezvous.http}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, address: Address) -> None:
        """Accept tunnels. Raises OSError if the address is not available."""
        self._server = await asyncio.start_server(self._accept, address.host, address.port)

    async def close(self) -> None:
        """Close the listening socket and all tunnels."""
        if self._server is not None:
            self._server.close()
        await cancel_all(self._tasks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        track(self._tasks, self._serve((reader, writer)))

    async def _serve(self, outer: Stream) -> None:
        reader, writer = outer
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                nonce = secrets.token_bytes(NONCE)
                writer.write(nonce)
                other = await reader.readexactly(NONCE)
                proof = await reader.readexactly(PROOF)
                channel = await reader.readexactly(1)
                expected = prove(self._secret, b"standby", nonce)
                if not hmac.compare_digest(proof, expected) or channel not in self._paths:
                    peer = writer.get_extra_info("peername")
                    logger.warning(
                        "a tunnel was refused: the peer has another secret",
                        extra=log_setup.fields(peer=peer),
                    )
                    return
                writer.write(prove(self._secret, b"active", other))
                inner = await asyncio.open_unix_connection(str(self._paths[channel]))
            await splice(outer, inner)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the peer connects again
        finally:
            writer.close()


async def open_tunnel(address: Address, secret: bytes, channel: bytes) -> Stream:
    """Return a connection to a channel of the active server. Raises OSError."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            reader, writer = await asyncio.open_connection(*address)
            try:
                nonce = secrets.token_bytes(NONCE)
                challenge = await reader.readexactly(NONCE)
                writer.write(nonce + prove(secret, b"standby", challenge) + channel)
                proof = await reader.readexactly(PROOF)
                if not hmac.compare_digest(proof, prove(secret, b"active", nonce)):
                    raise ConnectionRefusedError("the active server has another secret")
            except BaseException:
                writer.close()
                raise
    except (TimeoutError, asyncio.IncompleteReadError) as error:
        raise ConnectionRefusedError(
            f"the active server at {address} refused the tunnel: use the same secrets on all "
            "servers"
        ) from error
    return reader, writer


async def splice(one: Stream, other: Stream) -> None:
    """Carry bytes in both directions until both directions have ended, or one has failed."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_carry(one[0], other[1]))
            group.create_task(_carry(other[0], one[1]))
    except* OSError:
        pass
    finally:
        for _, writer in (one, other):
            writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def prove(secret: bytes, role: bytes, nonce: bytes) -> bytes:
    """Return the proof that a server with a role has the secret."""
    return hmac.digest(secret, b"tunnel " + role + nonce, "sha256")


def track(tasks: set[asyncio.Task[None]], work: object) -> None:
    """Start a task that removes itself from the set at its end."""
    task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def cancel_all(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end."""
    pending = list(tasks)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


def remove_socket(path: Path) -> None:
    """Delete the file of a Unix socket, if it exists."""
    path.unlink(missing_ok=True)

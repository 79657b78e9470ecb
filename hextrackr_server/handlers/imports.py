"""Starting an import, watching one, ending it early.

Knows: `start-import`, `cancel-import`, `join-import-room`, `leave-import-room`, their arguments.
Does not know: files, queues, the database.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from hextrackr_server.errors import ErrorCode, ServiceError, invalid
from hextrackr_server.handlers.answers import principal_of, refusals_as_acks
from hextrackr_server.import_service import ImportOptions, ImportService
from hextrackr_server.principal import Principal
from hextrackr_server.progress_record import import_room
from hextrackr_server.upload_store import Upload, UploadStore
from socketio_core import Socket, SocketServer

MAXIMUM_ROOMS = 64
_NAMED_FIELD = re.compile(r"(?:field `|`\$\.)(\w+)`")


class _Options(msgspec.Struct, rename="camel", kw_only=True, tag_field="source"):
    vendor: str | None = None
    scan_date: str | None = None
    session_id: str | None = None
    scope: str | None = None

    def options(self) -> ImportOptions:
        return ImportOptions(self.vendor, self.scan_date, self.session_id, self.scope)


class FromUpload(_Options, rename="camel", kw_only=True, tag="upload"):
    """An import of a file that was uploaded before."""

    upload_id: str


class Inline(_Options, rename="camel", kw_only=True, tag="inline"):
    """An import of a small file that comes with the event."""

    filename: str
    csv: str


def register(
    io: SocketServer,
    imports: ImportService,
    uploads: UploadStore,
    maximum_rooms: int = MAXIMUM_ROOMS,
) -> None:
    """Answer the events of imports."""

    async def start_import(socket: Socket, payload: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            principal = principal_of(socket)
            request = parse_start(payload)
            upload = await _upload_of(request, uploads, principal)
            return await imports.submit(upload, principal, request.options())

    async def cancel_import(socket: Socket, import_id: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            return await imports.cancel(parse_import_id(import_id), principal_of(socket))

    async def join(socket: Socket, import_id: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            number, principal = parse_import_id(import_id), principal_of(socket)
            await imports.status(number, principal)
            await _join(socket, import_room(number), maximum_rooms)
            # Looked at again after joining: what happens from here on reaches the room.
            return {"success": True, "status": await imports.status(number, principal)}

    async def leave(socket: Socket, import_id: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            await socket.leave(import_room(parse_import_id(import_id)))
            return {"success": True}

    io.on("start-import", start_import)
    io.on("cancel-import", cancel_import)
    io.on("join-import-room", join)
    io.on("leave-import-room", leave)


def parse_start(payload: Any) -> FromUpload | Inline:
    """What to import, from the payload of `start-import`; ServiceError naming what is wrong."""
    try:
        return msgspec.convert(payload, FromUpload | Inline)
    except msgspec.ValidationError as error:
        named = _NAMED_FIELD.findall(str(error))
        path = named[-1] if named else "source"
        raise invalid("Invalid import request", [(path, str(error))]) from error


def parse_import_id(given: Any) -> int:
    """The id of an import: a number, or a text of digits."""
    if isinstance(given, str) and re.fullmatch(r"[0-9]{1,18}", given):
        given = int(given)
    if not isinstance(given, int) or isinstance(given, bool) or not 0 < given < 10**18:
        raise invalid("Invalid importId", [("importId", "must be the number of an import")])
    return given


async def _upload_of(
    request: FromUpload | Inline, uploads: UploadStore, principal: Principal
) -> Upload:
    if isinstance(request, FromUpload):
        return uploads.take(request.upload_id, principal)
    return await uploads.receive(_encoded(request.csv), request.filename, principal)


async def _encoded(text: str) -> AsyncIterator[bytes]:  # noqa: RUF029 -- a stream of one chunk
    yield text.encode("utf-8", "replace")


async def _join(socket: Socket, room: str, maximum: int) -> None:
    if room not in socket.rooms and len(socket.rooms) >= maximum:
        raise ServiceError(
            ErrorCode.CONFLICT, f"A socket is in {maximum} rooms at most: leave some"
        )
    await socket.join(room)

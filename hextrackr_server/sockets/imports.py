"""Starting an import, watching one, ending it early.

Knows: `start-import`, `cancel-import`, `join-import-room`, `leave-import-room`, their arguments.
Does not know: files, queues, the database.

`start-import` takes an object with one of these sources, and vendor, scanDate, sessionId, scope:

    {source: "upload", uploadId}                 a file that was uploaded before
    {source: "inline", filename, csv}            a small file that comes with the event
    {source: "inline", filename, rows: [{}]}     the same as objects, named as columns are
    {source: "path", path}                       a file in the inbox of the server; admins only
    {source: "external", totalRecords, filename} work that is done elsewhere, and reported
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import PurePath
from typing import Annotated, Any, TypeAlias

import msgspec

from hextrackr_server.errors import ErrorCode, ServiceError, invalid
from hextrackr_server.imports.inbox import ImportInbox
from hextrackr_server.imports.inline_rows import Cell, rows_as_csv
from hextrackr_server.imports.service import ImportOptions, ImportService
from hextrackr_server.imports.uploads import Upload, UploadStore
from hextrackr_server.rooms import import_room
from hextrackr_server.security.principal import Principal
from hextrackr_server.sockets.answers import principal_of, refusals_as_acks
from hextrackr_server.sockets.emitter import check_rooms
from socketio_core import Socket, SocketServer

MAXIMUM_ROOMS = 64
MAXIMUM_ROWS = 10_000
MAXIMUM_RECORDS = 2**53 - 1
#: For a file of the inbox to be copied: a disk that hangs must not hold its import for ever.
READ_SECONDS = 120.0
_READ_BYTES = 256 * 1024
_NAMED_FIELD = re.compile(r"(?:field `|`\$\.)(\w+(?:\[\d+\])?)")


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
    """An import of a small file that comes with the event, as text or as its rows."""

    filename: str
    csv: str | None = None
    rows: Annotated[list[dict[str, Cell]], msgspec.Meta(min_length=1, max_length=MAXIMUM_ROWS)] | (
        None
    ) = None


class FromPath(_Options, rename="camel", kw_only=True, tag="path"):
    """An import of a file in the inbox."""

    path: str


class External(_Options, rename="camel", kw_only=True, tag="external"):
    """An import that is done elsewhere."""

    total_records: Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_RECORDS)] | None = None
    filename: str = ""


Request: TypeAlias = FromUpload | Inline | FromPath | External


def register(
    io: SocketServer,
    imports: ImportService,
    uploads: UploadStore,
    inbox: ImportInbox,
    maximum_rooms: int = MAXIMUM_ROOMS,
) -> None:
    """Answer the events of imports."""

    async def start_import(socket: Socket, payload: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            principal = principal_of(socket)
            request = parse_start(payload)
            options = request.options()
            if isinstance(request, External):
                return await imports.submit_external(
                    principal, options, request.filename, request.total_records
                )
            upload = await _upload_of(request, uploads, inbox, principal)
            return await imports.submit(upload, principal, options)

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


def parse_start(payload: Any) -> Request:
    """What to import, from the payload of `start-import`; ServiceError naming what is wrong."""
    try:
        request: Request = msgspec.convert(payload, Request)
    except msgspec.ValidationError as error:
        named = _NAMED_FIELD.findall(str(error))
        path = named[-1] if named else "source"
        text = str(error)
        if path == "source":
            text = "must be one of upload, inline, path, external"
        raise invalid("Invalid import request", [(path, text)]) from error
    if isinstance(request, Inline) and (request.csv is None) == (request.rows is None):
        message = "must be there, or else rows: one of the two"
        raise invalid("Invalid import request", [("csv", message)])
    return request


def parse_import_id(given: Any) -> int:
    """The id of an import: a number, or a text of digits."""
    if isinstance(given, str) and re.fullmatch(r"[0-9]{1,18}", given):
        given = int(given)
    if not isinstance(given, int) or isinstance(given, bool) or not 0 < given < 10**18:
        raise invalid("Invalid importId", [("importId", "must be the number of an import")])
    return given


async def _upload_of(
    request: FromUpload | Inline | FromPath,
    uploads: UploadStore,
    inbox: ImportInbox,
    principal: Principal,
) -> Upload:
    if isinstance(request, FromUpload):
        return uploads.take(request.upload_id, principal)
    if isinstance(request, FromPath):
        return await _copy_of(request.path, uploads, inbox, principal)
    if request.rows is not None:
        chunks = rows_as_csv(request.rows)
    else:
        chunks = iter(((request.csv or "").encode("utf-8", "replace"),))
    return await uploads.receive(_in_thread(chunks), request.filename, principal)


async def _copy_of(
    path: str, uploads: UploadStore, inbox: ImportInbox, principal: Principal
) -> Upload:
    """A file of the inbox as if it had been uploaded: an import deletes what it has read."""
    if not principal.is_admin:
        raise ServiceError(ErrorCode.FORBIDDEN, "Only administrators import files by path")

    def read() -> Iterator[bytes]:
        with inbox.open(path) as file:
            while chunk := file.read(_READ_BYTES):
                yield chunk

    try:
        async with asyncio.timeout(READ_SECONDS):
            return await uploads.receive(_in_thread(read()), PurePath(path).name, principal)
    except TimeoutError as error:
        message = f"The file could not be read within {READ_SECONDS:g} seconds"
        raise ServiceError(ErrorCode.TIMEOUT, message) from error


async def _in_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """What takes a while to be read or made, without holding up the loop."""
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk


async def _join(socket: Socket, room: str, maximum: int) -> None:
    check_rooms(socket, room, maximum)
    await socket.join(room)

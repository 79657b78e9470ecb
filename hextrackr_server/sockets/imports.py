"""Events of imports: `start-import`, `cancel-import`, `undo-import`, and the rooms of imports.

`start-import` takes an object with one of these sources, and vendor, scanDate, sessionId, scope,
confirm, allowPartial, mapping:

    {source: "upload", uploadId}                 a file that was uploaded before
    {source: "inline", filename, csv}            a small file within the event
    {source: "inline", filename, rows: [{}]}     the rows as objects with column names as keys
    {source: "path", path}                       a file in the inbox of the server; admins only
    {source: "external", totalRecords, filename} an import that a producer does and reports
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
from hextrackr_server.imports.options import ImportOptions, parse_mapping
from hextrackr_server.imports.service import ImportService
from hextrackr_server.imports.uploads import Upload, UploadStore
from hextrackr_server.rooms import import_room
from hextrackr_server.security.principal import Principal
from hextrackr_server.sockets.answers import principal_of, refusals_as_acks
from hextrackr_server.sockets.emitter import check_rooms
from hextrackr_server.sockets.payloads.common import Success
from hextrackr_server.sockets.payloads.imports import (
    FollowedImport,
    ImportId,
    StartedImport,
    StoppedImport,
    UndoneImport,
)
from socketio_core import DocumentedAs, Socket, SocketServer

MAXIMUM_ROOMS = 64
MAXIMUM_ROWS = 10_000
MAXIMUM_RECORDS = 2**53 - 1
#: Time limit for copying a file of the inbox, so that a failing disk cannot block an import.
READ_SECONDS = 120.0
_READ_BYTES = 256 * 1024
_NAMED_FIELD = re.compile(r"(?:field `|`\$\.)(\w+(?:\[\d+\])?)")


class _Options(msgspec.Struct, rename="camel", kw_only=True, tag_field="source"):
    vendor: str | None = None
    scan_date: str | None = None
    session_id: str | None = None
    scope: str | None = None
    confirm: bool = False
    allow_partial: bool = False
    mapping: str | None = None

    def options(self) -> ImportOptions:
        return ImportOptions(
            self.vendor,
            self.scan_date,
            self.session_id,
            self.scope,
            self.confirm,
            self.allow_partial,
            self.mapping,
        )


class UploadImport(_Options, rename="camel", kw_only=True, tag="upload"):
    """Import of a file that was uploaded before."""

    upload_id: str


class InlineImport(_Options, rename="camel", kw_only=True, tag="inline"):
    """Import of a small file within the event, as text or as rows."""

    filename: str
    csv: str | None = None
    rows: Annotated[list[dict[str, Cell]], msgspec.Meta(min_length=1, max_length=MAXIMUM_ROWS)] | (
        None
    ) = None


class PathImport(_Options, rename="camel", kw_only=True, tag="path"):
    """Import of a file in the inbox."""

    path: str


class ExternalImport(_Options, rename="camel", kw_only=True, tag="external"):
    """Import that a producer does and reports."""

    total_records: Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_RECORDS)] | None = None
    filename: str = ""


Request: TypeAlias = UploadImport | InlineImport | PathImport | ExternalImport


def register(
    io: SocketServer,
    imports: ImportService,
    uploads: UploadStore,
    inbox: ImportInbox,
    maximum_rooms: int = MAXIMUM_ROOMS,
) -> None:
    """Handle the events of imports."""

    def connected(socket: Socket) -> None:
        # A recovered client receives missed events from the recovery.
        if not socket.recovered:
            for event, payload in imports.late_ends(principal_of(socket)):
                socket.emit(event, payload)

    async def start_import(
        socket: Socket, payload: Annotated[Any, DocumentedAs(Request)] = None
    ) -> Annotated[dict[str, Any], DocumentedAs(StartedImport)]:
        """Start the import of a file, or of the records of a producer."""
        with refusals_as_acks():
            principal = principal_of(socket)
            request = parse_start(payload)
            options = request.options()
            if isinstance(request, ExternalImport):
                return await imports.submit_external(
                    principal, options, request.filename, request.total_records
                )
            upload = await _upload_of(request, uploads, inbox, principal)
            return await imports.submit(upload, principal, options)

    async def cancel_import(
        socket: Socket, import_id: Annotated[Any, DocumentedAs(ImportId)] = None
    ) -> Annotated[dict[str, Any], DocumentedAs(StoppedImport)]:
        """Stop an import; its findings stay unchanged."""
        with refusals_as_acks():
            principal = principal_of(socket)
            return await imports.cancel(import_id, principal)

    async def undo_import(
        socket: Socket, import_id: Annotated[Any, DocumentedAs(ImportId)] = None
    ) -> Annotated[dict[str, Any], DocumentedAs(UndoneImport)]:
        """Undo the last import of a source; for administrators."""
        with refusals_as_acks():
            return await imports.undo(import_id, principal_of(socket))

    async def join(
        socket: Socket, import_id: Annotated[Any, DocumentedAs(ImportId)] = None
    ) -> Annotated[dict[str, Any], DocumentedAs(FollowedImport)]:
        """Receive the progress of an import."""
        with refusals_as_acks():
            principal = principal_of(socket)
            number = await imports.view.number_of(import_id, principal)
            await imports.status(number, principal)
            await _join(socket, import_room(number), maximum_rooms)
            # Read the status again after joining: all later changes are sent to the room.
            return {"success": True, "status": await imports.status(number, principal)}

    async def leave(
        socket: Socket, import_id: Annotated[Any, DocumentedAs(ImportId)] = None
    ) -> Annotated[dict[str, Any], DocumentedAs(Success)]:
        """Stop following an import."""
        with refusals_as_acks():
            number = await imports.view.number_of(import_id, principal_of(socket))
            await socket.leave(import_room(number))
            return {"success": True}

    io.on("connection", connected)
    io.on("start-import", start_import)
    io.on("cancel-import", cancel_import)
    io.on("undo-import", undo_import)
    io.on("join-import-room", join)
    io.on("leave-import-room", leave)


def parse_start(payload: Any) -> Request:
    """Return the request in the payload of `start-import`; ServiceError names invalid fields."""
    try:
        request: Request = msgspec.convert(payload, Request)
    except msgspec.ValidationError as error:
        named = _NAMED_FIELD.findall(str(error))
        path = named[-1] if named else "source"
        text = str(error)
        if path == "source":
            text = "must be one of upload, inline, path, external"
        raise invalid("Invalid import request", [(path, text)]) from error
    if isinstance(request, InlineImport) and (request.csv is None) == (request.rows is None):
        message = "must be present unless rows are: send one of both"
        raise invalid("Invalid import request", [("csv", message)])
    return request


async def _upload_of(
    request: UploadImport | InlineImport | PathImport,
    uploads: UploadStore,
    inbox: ImportInbox,
    principal: Principal,
) -> Upload:
    if isinstance(request, UploadImport):
        return uploads.take(request.upload_id, principal)
    if isinstance(request, PathImport):
        return await _copy_of(request.path, uploads, inbox, principal)
    if request.rows is not None:
        chunks = rows_as_csv(request.rows, parse_mapping(request.mapping))
    else:
        chunks = iter(((request.csv or "").encode("utf-8", "replace"),))
    return await uploads.receive(_in_thread(chunks), request.filename, principal)


async def _copy_of(
    path: str, uploads: UploadStore, inbox: ImportInbox, principal: Principal
) -> Upload:
    """Copy a file of the inbox to the uploads, because an import deletes its file."""
    if not principal.is_admin:
        raise ServiceError(ErrorCode.FORBIDDEN, "Only administrators may import files by path")

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
    """Yield chunks that are read or built in a thread, to keep the event loop free."""
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk


async def _join(socket: Socket, room: str, maximum: int) -> None:
    check_rooms(socket, room, maximum)
    await socket.join(room)

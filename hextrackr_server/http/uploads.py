"""Receiving of files in requests: multipart forms and plain bodies, with a size limit."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from hextrackr_server.errors import ServiceError, invalid
from hextrackr_server.imports.options import MAXIMUM_MAPPING, ImportOptions
from hextrackr_server.imports.uploads import Upload, UploadStore, too_large
from hextrackr_server.security.principal import Principal

FILE_FIELDS = ("csvFile", "file")
_ENVELOPE_BYTES = 64 * 1024 + 4 * MAXIMUM_MAPPING
# A mapping is the largest field.
_PART_BYTES = MAXIMUM_MAPPING
_SWITCHES = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_READ_BYTES = 256 * 1024
_MAX_PADDING = 256


class UploadReceiver:
    """Receiver that passes the file of a request to the upload store."""

    def __init__(self, uploads: UploadStore) -> None:
        self._uploads = uploads

    async def receive(
        self, request: Request, principal: Principal
    ) -> tuple[Upload, Mapping[str, str]]:
        """Store the file of a request, and return it with the other fields of the request."""
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self._uploads.maximum + _ENVELOPE_BYTES:
            raise too_large(self._uploads.maximum)
        with self._uploads.arriving(principal):
            return await self._receive(request, principal)

    async def _receive(
        self, request: Request, principal: Principal
    ) -> tuple[Upload, Mapping[str, str]]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            return await self._receive_form(request, principal)
        filename = request.query_params.get("filename", "upload.csv")
        try:
            upload = await self._uploads.receive(request.stream(), filename, principal)
        except ClientDisconnect as error:
            raise invalid("The upload is incomplete") from error
        if not upload.size:
            upload.path.unlink(missing_ok=True)
            raise _no_body()
        return upload, request.query_params

    async def _receive_form(
        self, request: Request, principal: Principal
    ) -> tuple[Upload, Mapping[str, str]]:
        parser = _FormParser(request, self._uploads.maximum + _ENVELOPE_BYTES)
        try:
            form = await parser.parse()
        except _TooLarge as error:
            raise too_large(self._uploads.maximum) from error
        except MultiPartException as error:
            if parser.is_empty:
                raise _no_body() from error
            raise invalid(f"The form is not valid: {error.message}") from error
        except FormParserError as error:
            # Older versions of Starlette pass the error of the parser on.
            raise invalid("The form is not valid: Invalid multipart data.") from error
        except ValueError as error:
            # Starlette (1.7) passes on errors of codecs that the client has chosen.
            raise invalid("The form is not valid: Invalid charset.") from error
        try:
            file = next((form[name] for name in FILE_FIELDS if name in form), None)
            if not isinstance(file, UploadFile):
                message = "must be a file; name the field " + " or ".join(FILE_FIELDS)
                raise invalid("The form contains no file", [(FILE_FIELDS[0], message)])
            upload = await self._uploads.receive(_read(file), file.filename or "", principal)
        finally:
            await form.close()
        return upload, {name: value for name, value in form.items() if isinstance(value, str)}


class _TooLarge(MultiPartException):
    """Error that passes through the form parser, which closes its files for this class only."""


class _FormParser(MultiPartParser):
    """Starlette's parser for one file, with a size limit and detection of truncated forms."""

    def __init__(self, request: Request, maximum: int) -> None:
        _, parameters = parse_options_header(request.headers["content-type"])
        boundary = parameters.get(b"boundary")  # the parser refuses a form without one
        chunks = self._capped(request, maximum)
        super().__init__(
            request.headers,
            self._complete(chunks if boundary is None else _simplify(chunks, boundary)),
            max_files=1,
            max_fields=10,
            max_part_size=_PART_BYTES,
        )
        self._ended = False
        self.is_empty = True

    def on_end(self) -> None:
        self._ended = True

    async def _capped(self, request: Request, maximum: int) -> AsyncGenerator[bytes, None]:
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                self.is_empty = not size
                if size > maximum:
                    raise _TooLarge("too large")
                yield chunk
        except ClientDisconnect as error:
            raise MultiPartException("the body is incomplete") from error

    async def _complete(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in chunks:
            yield chunk
        if not self._ended:
            raise MultiPartException("the final boundary is missing")


async def _simplify(
    chunks: AsyncGenerator[bytes, None], boundary: bytes
) -> AsyncGenerator[bytes, None]:
    """Remove the preamble of a form and the padding of its boundaries (RFC 2046, section 5.1.1).

    Not all versions of the form parser accept them.
    """
    delimiter = b"\r\n--" + boundary
    padded = re.compile(re.escape(delimiter) + rb"((?:--)?)[ \t]{1,%d}(?=\r\n)" % _MAX_PADDING)
    begin = re.compile(re.escape(delimiter) + rb"(?=\r\n|--)")
    # A delimiter with its padding may continue in the next chunk.
    kept = len(delimiter) + 2 + _MAX_PADDING + 2
    data = b"\r\n"  # a delimiter at the very beginning has no line end before it
    has_begun = False
    async for chunk in chunks:
        data += chunk
        if delimiter in data:
            data = padded.sub(lambda match: delimiter + match[1], data)
        if not has_begun:
            match = begin.search(data)
            if match is None:
                data = data[-kept:]
                continue
            has_begun = True
            data = data[match.start() + 2 :]
        if len(data) > kept:
            yield data[:-kept]
            data = data[-kept:]
    if has_begun:
        yield data


def _no_body() -> ServiceError:
    message = "must be a file, in a form or as the body of the request"
    return invalid("The request has no body", [(FILE_FIELDS[0], message)])


async def _read(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_READ_BYTES):
        yield chunk


def import_options(fields: Mapping[str, str], upload: Upload) -> ImportOptions:
    """Return the import options in the fields of a form or query.

    Raises ServiceError that names an invalid field, and deletes the upload then.
    """
    try:
        return _options(fields)
    except ServiceError:
        upload.path.unlink(missing_ok=True)
        raise


def _options(fields: Mapping[str, str]) -> ImportOptions:
    return ImportOptions(
        vendor=fields.get("vendor") or None,
        scan_date=fields.get("scanDate") or None,
        session_id=fields.get("sessionId") or None,
        scope=fields.get("scope") or None,
        confirm=_switch(fields, "confirm"),
        allow_partial=_switch(fields, "allowPartial"),
        mapping=fields.get("mapping") or None,
    )


def _switch(fields: Mapping[str, str], name: str) -> bool:
    value = fields.get(name) or "false"
    try:
        return _SWITCHES[value.lower()]
    except KeyError:
        raise invalid(f"Invalid {name}", [(name, "must be true or false")]) from None

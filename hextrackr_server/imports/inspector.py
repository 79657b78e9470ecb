"""Inspects uploaded files for users: how a file is read, and what its import would change.

The file is read in a process of its own, as in an import, and compared with the database in a
transaction that changes nothing. The upload stays stored, so that an import can follow. At most two
inspections run at a time, one per user; others wait.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from hextrackr_server.errors import ErrorCode, ImportInterruptedError, ServiceError
from hextrackr_server.findings.query_executor import QueryExecutor
from hextrackr_server.imports.forecast import Forecast, forecast
from hextrackr_server.imports.formats.csv_table import FileRefusedError
from hextrackr_server.imports.options import ImportOptions, checked_mapping, scan_date_of, vendor_of
from hextrackr_server.imports.pipeline import ReadFile, check_outcome, growth_limit, refusal_of
from hextrackr_server.imports.reading import MAXIMUM_DETAILS, ReadOutcome, ReadRequest
from hextrackr_server.imports.reading_process import read_in_process
from hextrackr_server.imports.result import column_notices
from hextrackr_server.imports.uploads import Upload, UploadStore
from hextrackr_server.security.principal import Principal
from hextrackr_server.storage.database import Database

#: Findings in the preview of a file.
PREVIEWED: Final = 20
#: Time limit of reading a file.
LIMIT_SECONDS: Final = 300.0
THREADS: Final = 2
#: Suffix of the stage file of an inspection, which is next to the upload.
STAGE_SUFFIX: Final = ".inspected"
#: Reasons to refuse a file; all other errors are those of the request or of the server.
_REFUSALS: Final = frozenset({ErrorCode.VALIDATION_ERROR, ErrorCode.IMPORT_FAILED})


class ImportInspector:
    """The service behind the inspection routes; used on the event loop's thread."""

    def __init__(
        self,
        database: Database,
        uploads: UploadStore,
        admit: Callable[[Principal], None] = lambda _: None,
        read: ReadFile = read_in_process,
    ) -> None:
        """Create a service; `admit` raises a ServiceError if a user may not inspect files now."""
        self._database = database
        self._uploads = uploads
        self._admit = admit
        self._read = read
        self._executor = QueryExecutor(THREADS, running_per_user=1)
        self._stop = threading.Event()

    async def inspect(
        self, upload_id: str, principal: Principal, options: ImportOptions
    ) -> dict[str, Any]:
        """Return how an upload is read, or why it is refused; a canceled call stops reading.

        Raises ServiceError VALIDATION_ERROR for invalid options, NOT_FOUND for an unknown upload,
        CONFLICT if the upload is being inspected, TIMEOUT, RATE_LIMITED or UNAVAILABLE.
        """
        self._admit(principal)
        with self._uploads.using(upload_id, principal) as upload:
            request = _request(upload, options)
            refused = inspection = None
            abandoned = threading.Event()
            try:
                user = principal.user_id
                inspection = await self._executor.run(user, self._inspect, request, abandoned)
            except asyncio.CancelledError:
                abandoned.set()
                raise
            except FileRefusedError as error:
                refused = _refusal(refusal_of(error))
            except ServiceError as error:
                if error.code not in _REFUSALS:
                    raise
                refused = _refusal(error)
            return {
                "success": True,
                "uploadId": upload.upload_id,
                "filename": upload.filename,
                "size": upload.size,
                "sha256": upload.sha256,
                "expiresInMs": round(self._uploads.seconds_left(upload) * 1000),
                "refused": refused,
                "inspection": inspection,
            }

    def close(self) -> None:
        """Stop running inspections, and drop waiting ones."""
        self._stop.set()
        self._executor.close()

    def _inspect(self, request: ReadRequest, abandoned: threading.Event) -> dict[str, Any]:
        deadline = time.monotonic() + LIMIT_SECONDS

        def check() -> None:
            if abandoned.is_set():
                raise ImportInterruptedError("the client does not wait for the inspection")
            if self._stop.is_set():
                text = "The server is stopping: try again later"
                raise ServiceError(ErrorCode.UNAVAILABLE, text)
            if time.monotonic() > deadline:
                text = f"The file could not be read within {LIMIT_SECONDS:g} seconds: split it"
                raise ServiceError(ErrorCode.TIMEOUT, text)

        stage = Path(request.stage)
        try:
            check()
            outcome = self._read(request, lambda _: check(), lambda *_: check(), check)
            check_outcome(outcome)
            check()
            return _describe(outcome, forecast(self._database, stage, outcome))
        finally:
            stage.unlink(missing_ok=True)


def _request(upload: Upload, options: ImportOptions) -> ReadRequest:
    return ReadRequest(
        path=str(upload.path),
        stage=str(upload.path) + STAGE_SUFFIX,
        scan_date=scan_date_of(options.scan_date, upload.filename),
        is_dated=options.scan_date is not None,
        vendor=vendor_of(options.vendor) or "",
        mapping=checked_mapping(options.mapping),
        allow_partial=options.allow_partial,
        maximum=growth_limit(upload.size),
        previewed=PREVIEWED,
    )


def _refusal(error: ServiceError) -> dict[str, Any]:
    refusal: dict[str, Any] = {"code": str(error.code), "message": error.message}
    if error.fields is not None:
        refusal["fields"] = error.fields
    return refusal


def _describe(outcome: ReadOutcome, expected: Forecast) -> dict[str, Any]:
    notices = column_notices(outcome)
    if outcome.incomplete:
        notices.append(f"the file is incomplete: {outcome.incomplete}")
    return {
        "profile": outcome.profile,
        "title": outcome.title,
        "scanDate": outcome.scan_date,
        "columns": outcome.fields,
        "unusedColumns": outcome.unused_columns,
        "rows": outcome.rows,
        "rowsSkipped": outcome.rows_skipped,
        "errors": outcome.errors,
        "errorDetails": msgspec.to_builtins(outcome.error_details),
        "warnings": outcome.warnings,
        "warningKinds": [
            {"column": column, "message": message, "count": count}
            for column, message, count in outcome.kinds
        ],
        "warningDetails": [*outcome.columns, *outcome.warning_details][:MAXIMUM_DETAILS],
        "notices": notices,
        "findings": outcome.distinct,
        "duplicates": outcome.findings - outcome.distinct,
        "vendors": outcome.vendors,
        "preview": msgspec.to_builtins(outcome.preview),
        **expected.as_json(),
    }

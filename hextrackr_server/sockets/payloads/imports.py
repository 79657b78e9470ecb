"""Types of the payloads of imports; all times are milliseconds since 1970 or durations in ms."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from hextrackr_server.errors import FieldProblem
from hextrackr_server.imports.progress_record import ImportStatus
from hextrackr_server.imports.reading import RowProblem

#: A number, or the text that a producer chose.
ImportId: TypeAlias = int | str
SessionStatus: TypeAlias = Literal["processing", "completed", "error", "cancelled"]


class StartedImport(TypedDict):
    """The acknowledgement of `start-import`."""

    success: Literal[True]
    importId: int
    sessionId: str
    status: Literal["queued"]
    totalRecords: int | None


class StoppedImport(TypedDict):
    """The acknowledgement of `cancel-import`."""

    success: Literal[True]
    importId: ImportId
    status: Literal["cancelled", "cancelling"]


class UndoneImport(TypedDict):
    """The acknowledgement of `undo-import`: the numbers of findings."""

    success: Literal[True]
    importId: int
    deleted: int
    restored: int


class ImportUndone(TypedDict):
    """The import whose findings are as they were before it."""

    importId: int
    deleted: int
    restored: int
    timestamp: int


class Absence(TypedDict):
    """The findings that are missing from the file and were resolved, or would be if confirmed."""

    scope: str
    reason: str
    missing: int
    openInScope: int
    openOfAll: int
    namedHosts: int
    confirmationRequired: bool


class WarningCount(TypedDict):
    """The number of warnings of a kind."""

    column: str
    message: str
    count: int


class ImportCounts(TypedDict, total=False):
    """Numbers of rows and findings of an import; those of a producer may have other fields."""

    notices: list[str]
    profile: str
    rows: int
    rowsSkipped: int
    findings: int
    duplicates: int
    inserted: int
    updated: int
    reopened: int
    resolved: int
    withheld: int
    adopted: int
    withoutSource: int
    absence: Absence
    warnings: list[WarningCount]
    vendors: list[str]
    scanDate: str
    scope: str


class FileWarning(TypedDict):
    """A value that was not understood; null stands for a whole row, column or file."""

    column: str | None
    row: int | None
    value: str | None
    message: str


class ImportResult(TypedDict, total=False):
    """The result of an ended import; a failed one has a code and a message only."""

    totalProcessed: int
    errors: int
    errorDetails: list[RowProblem]
    warnings: int
    warningDetails: list[FileWarning]
    summary: ImportCounts
    code: str
    message: str
    fields: list[FieldProblem]
    details: Any
    detailsOmitted: bool


class ImportState(TypedDict):
    """The current state of an import."""

    importId: ImportId
    sessionId: str
    status: ImportStatus
    processed: int
    total: int | None
    percentage: int
    overall: int
    elapsedTime: int
    etaMs: int | None
    rate: float
    timestamp: int
    message: str
    seq: int
    result: NotRequired[ImportResult]


class FollowedImport(TypedDict):
    """The acknowledgement of `join-import-room`."""

    success: Literal[True]
    status: ImportState


class ImportStarted(TypedDict):
    """An import that has started."""

    importId: ImportId
    sessionId: str
    totalRecords: int | None
    filename: str
    vendor: str | None
    timestamp: int


class ImportStep(TypedDict):
    """The progress of an import, as a part of `import-progress`."""

    processed: int
    total: int | None
    percentage: int
    status: ImportStatus
    timestamp: int


class ImportProgress(ImportState):
    """The progress of an import; `late` and `interrupted` mark events sent at a connection."""

    progress: ImportStep
    late: NotRequired[Literal[True]]
    interrupted: NotRequired[Literal[True]]


class ImportEnded(ImportResult):
    """The end of an import; `late` marks an event that is sent at a connection."""

    importId: ImportId
    sessionId: str
    status: ImportStatus
    duration: int
    timestamp: int
    processed: NotRequired[int]
    total: NotRequired[int | None]
    late: NotRequired[Literal[True]]


class SessionMetadata(TypedDict, total=False):
    """Details of a session; those of a producer may have other fields."""

    operation: str
    message: str
    importId: ImportId
    filename: str
    vendor: str | None
    scanDate: str | None
    totalSteps: int
    currentStep: int
    rowCount: int | None
    processedRows: int
    success: bool
    stagingErrors: int
    insertedToCurrent: int
    updatedInCurrent: int
    reopenedCount: int
    resolvedCount: int
    importSummary: dict[str, Any]
    importSummaryOmitted: bool


class ProgressStatus(TypedDict):
    """The state of a session, as the dialog of HexTrackr's front end names it."""

    sessionId: str
    progress: int
    status: SessionStatus
    message: str
    metadata: SessionMetadata
    late: NotRequired[Literal[True]]
    interrupted: NotRequired[Literal[True]]


class FollowedSession(TypedDict):
    """The acknowledgement of `join-progress`; the status is null before the session begins."""

    success: Literal[True]
    status: ProgressStatus | None


class ProgressUpdate(TypedDict):
    """The progress of a session; `eta` is in seconds."""

    sessionId: str
    progress: int
    status: SessionStatus
    message: str
    metadata: SessionMetadata
    timestamp: int
    stage: str
    current: int
    total: int | None
    eta: int | None


class ProgressComplete(TypedDict):
    """The end of a completed session."""

    sessionId: str
    progress: int
    status: SessionStatus
    message: str
    metadata: SessionMetadata
    timestamp: int
    duration: int


class ProgressFailure(TypedDict, total=False):
    """The reason why a session ended early."""

    code: str
    message: str


class ProgressError(TypedDict):
    """The end of a failed or cancelled session."""

    sessionId: str
    progress: int
    status: SessionStatus
    message: str
    metadata: SessionMetadata
    timestamp: int
    error: ProgressFailure

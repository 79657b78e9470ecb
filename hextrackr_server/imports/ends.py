"""Stores the ends of imports that fail, also if the database does not work at that time.

An error does not prove that an import changed nothing: the connection may be lost during the
commit. The stored job decides, because it changes in the transaction of the findings. All methods
block; the threads of imports and the writer of jobs call them.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from hextrackr_server.errors import DatabaseFileLostError
from hextrackr_server.imports.store import ImportJob, ImportStore
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.failures import is_database_gone, log_failure

logger = logging.getLogger(__name__)

#: Attempts, one per second, to read the state of an import whose connection was lost.
ATTEMPTS: Final = 15
_PAUSE_SECONDS: Final = 1.0

Failure = dict[str, Any]


class ImportEnds:
    """The ends of imports, and those that the database has not accepted yet."""

    def __init__(self, store: ImportStore, stop: threading.Event) -> None:
        """Create an object without ends; no attempt is repeated after `stop` is set."""
        self._store = store
        self._stop = stop
        self._mutex = threading.Lock()
        self._unstored: dict[int, tuple[ImportJob, Failure]] = {}

    def store(
        self, job: ImportJob, failure: Failure, error: BaseException | None = None
    ) -> dict[str, Any] | None:
        """Store a failure; return the result instead if the import is completed after all.

        After an `error` of a lost connection, the method waits until the database answers again,
        at most ATTEMPTS seconds. A failure that the database does not accept is kept for
        `store_late`.
        """
        attempts = ATTEMPTS if error is not None and is_database_gone(error) else 1
        for number in range(1, attempts + 1):
            try:
                return self._store.end_job(job.import_id, failure)
            except Exception as problem:
                is_last = number == attempts or isinstance(problem, DatabaseFileLostError)
                if is_last or self._stop.wait(_PAUSE_SECONDS):
                    log_failure(
                        logger, "storing the end of an import failed", problem,
                        importId=job.import_id,
                    )  # fmt: skip
                    break
        with self._mutex:
            self._unstored[job.import_id] = (job, failure)
        return None

    def store_late(self) -> list[tuple[ImportJob, dict[str, Any]]]:
        """Store the failures that the database did not accept before.

        Returns the imports that are completed although clients received a failure.
        """
        completed = []
        with self._mutex:
            unstored = dict(self._unstored)
        for number, (job, failure) in unstored.items():
            try:
                result = self._store.end_job(number, failure)
            except Exception as problem:
                log_failure(logger, "storing the end of an import failed", problem, importId=number)
                break
            if result is not None:
                logger.warning(
                    "import completed, although a failure was reported",
                    extra=log_setup.fields(importId=number, user=job.user_id),
                )
                completed.append((job, result))
            with self._mutex:
                del self._unstored[number]
        return completed

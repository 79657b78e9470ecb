"""Computes what an import of a staged file would change, without a change of the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

from hextrackr_server.imports import absence, merge
from hextrackr_server.imports.absence import SCOPES
from hextrackr_server.imports.merge import MergeCounts
from hextrackr_server.imports.reading import ReadOutcome
from hextrackr_server.imports.result import Absence, bounded_absence
from hextrackr_server.storage.database import Database

#: A statement that takes longer is aborted.
LIMIT_SECONDS: Final = 30.0


class Forecast(NamedTuple):
    """The changes by the rows of a file, and the findings that each scope resolves by absence."""

    changes: MergeCounts
    absences: dict[str, Absence]

    def as_json(self) -> dict[str, Any]:
        """Return `changes` and `absence` of an inspection."""
        names = ("inserted", "updated", "reopened", "resolved")
        return {
            "changes": {name: getattr(self.changes, name) for name in names},
            "absence": {
                kind: each.as_json() | {"withheld": each.withheld}
                for kind, each in self.absences.items()
            },
        }


def forecast(database: Database, stage: Path, outcome: ReadOutcome) -> Forecast:
    """Return what an import of a staged file would do now.

    The numbers are those of the import, unless another import changes the findings before it.
    Raises ServiceError TIMEOUT.
    """
    absences: dict[str, Absence] = {}
    with database.previewing(stage, LIMIT_SECONDS) as connection:
        changes = merge.forecast(connection, outcome.scan_date)
        unreported = absence.unreported_by_stage(outcome.scan_date)
        for kind in SCOPES:
            found = absences[kind] = bounded_absence(kind, outcome)
            scope = found.scope
            if scope.kind == "none":
                continue
            found.open = absence.count_open(connection, scope)
            found.missing = absence.count_absent(connection, unreported, scope, meant=False)
            if outcome.has_mentions:
                found.withheld = absence.count_absent(connection, unreported, scope, meant=True)
            found.is_held_back = found.exceeds_share()
    return Forecast(changes, absences)

"""The result of an import: counts of rows and of findings, and what a user must read first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from hextrackr_server.imports.absence import AbsenceScope, OpenCounts
from hextrackr_server.imports.merge import MergeCounts
from hextrackr_server.imports.reading import MAXIMUM_DETAILS, ReadOutcome
from hextrackr_server.imports.store import ImportJob

#: The shares of open findings, of those in scope and of all, above which absence needs a
#: confirmation. There is no minimum: one of three findings is more than a fifth.
SHARE_IN_SCOPE, SHARE_OF_ALL = 0.5, 0.2


@dataclass(slots=True)
class Absence:
    """The effect of findings that are missing in the file, or the effect after a confirmation."""

    scope: AbsenceScope
    reason: str
    open: OpenCounts | None = None
    missing: int = 0
    withheld: int = 0
    is_held_back: bool = False

    def exceeds_share(self) -> bool:
        """Return whether the missing findings need a confirmation to be resolved."""
        found = self.open
        return found is not None and (
            self.missing > found.in_scope * SHARE_IN_SCOPE
            or self.missing > found.all * SHARE_OF_ALL
        )

    def as_json(self) -> dict[str, Any]:
        """Return the `absence` of the summary."""
        found = self.open or OpenCounts(0, 0, 0)
        return {
            "scope": self.scope.kind,
            "reason": self.reason,
            "missing": self.missing,
            "openInScope": found.in_scope,
            "openOfAll": found.all,
            "namedHosts": found.hosts,
            "confirmationRequired": self.is_held_back,
        }

    def notice(self) -> str:
        """Return the text that explains a missing confirmation."""
        found = self.open
        assert found is not None
        where = "in the scope of this import"
        if self.scope.kind in {"auto", "hosts"}:
            where = f"on the {found.hosts:,} named hosts"
        return (
            f"not confirmed, so nothing was resolved by absence: the file lacks {self.missing:,} "
            f"of {found.in_scope:,} open findings {where}; there are {found.all:,} open findings "
            "in all. If the file is complete, import it again with --yes (in events and forms: "
            "confirm) to resolve them"
        )


def bounded_absence(kind: str, outcome: ReadOutcome) -> Absence:
    """Return what an import in a scope may resolve by absence, bounded by its file."""
    reason = ""
    rule, why_not = outcome.absence
    # An incomplete file proves nothing, whatever the user requests.
    if outcome.incomplete or (kind == "auto" and rule == "none"):
        kind, reason = "none", why_not
    return Absence(AbsenceScope(kind, outcome.profile, outcome.vendors), reason)


def column_notices(outcome: ReadOutcome) -> list[str]:
    """Return the warnings on whole columns."""
    return [
        f"{each['column']}: {each['message']}" if each["column"] else each["message"]
        for each in outcome.columns
    ]


def _kept_notice(kept: int, scan_date: str) -> str:
    """Return the notice about findings that an older scan does not change."""
    if kept == 1:
        subject, objects = "1 finding keeps its state and its severity", "it"
    else:
        subject, objects = f"{kept:,} findings keep their state and their severity", "them"
    return f"{subject}, because a scan later than {scan_date} reported or resolved {objects}"


def result_of(
    job: ImportJob, outcome: ReadOutcome, counts: MergeCounts, absence: Absence
) -> dict[str, Any]:
    """Return the result that `import-completed` carries.

    The first entry of its `summary` is what a user must read first: columns that were not
    understood, and a confirmation that is missing.
    """
    notices = column_notices(outcome)
    if outcome.incomplete:
        notices.append(
            f"the file is incomplete: {outcome.incomplete}; the rows that are there were imported, "
            "and nothing was resolved by absence"
        )
    if absence.is_held_back:
        notices.append(absence.notice())
    if counts.kept:
        notices.append(_kept_notice(counts.kept, job.scan_date))
    return {
        "totalProcessed": outcome.rows,
        "errors": outcome.errors,
        "errorDetails": msgspec.to_builtins(outcome.error_details),
        "warnings": outcome.warnings,
        "warningDetails": [*outcome.columns, *outcome.warning_details][:MAXIMUM_DETAILS],
        "summary": {
            "notices": notices,
            "profile": outcome.profile,
            "rows": outcome.rows,
            "rowsSkipped": outcome.rows_skipped,
            "findings": outcome.distinct,
            "duplicates": outcome.findings - outcome.distinct,
            "inserted": counts.inserted,
            "updated": counts.updated,
            "reopened": counts.reopened,
            "resolved": counts.resolved,
            "withheld": absence.withheld,
            "absence": absence.as_json(),
            "warnings": [
                {"column": column, "message": message, "count": count}
                for column, message, count in outcome.kinds
            ],
            "vendors": outcome.vendors,
            "scanDate": job.scan_date,
            "scope": job.scope,
        },
    }

"""Resolves findings that an import no longer reports, within the scope of the import.

All functions run in the transaction of a merge, after `merge` has updated the reported findings, or
count for `forecast` what a merge would resolve. They compare with the staged hosts, and with the
values of rows without a finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    column,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    table,
    update,
)

from hextrackr_server.imports.staging import ANYTHING
from hextrackr_server.imports.store import ImportJob
from hextrackr_server.storage.encoding import RESOLVED, day_number
from hextrackr_server.storage.finding_tables import (
    STATE_COLUMNS,
    finding_assets,
    finding_definitions,
    finding_hosts,
    finding_identities,
    finding_journal,
    findings,
)

#: The scopes of an import; findings that its rows report as closed are resolved in all scopes.
SCOPES = ("auto", "hosts", "vendor", "full", "none")
NOT_PRESENT = "not_present_in_scan"

_hosts = table("staged_hosts", column("id"))
_known = table("staged_known", column("finding_id"))
_mentions = table("staged_mentions", column("kind"), column("value"))
_is_open = findings.c.lifecycle < RESOLVED


@dataclass(frozen=True, slots=True)
class AbsenceScope:
    """The open findings that an import resolves if it does not report them.

    `kind` is the scope of the import, or "none" if the file may not resolve anything by absence.
    Findings without a source are never in scope.
    """

    kind: str
    source: str
    vendors: Sequence[str]


class OpenCounts(NamedTuple):
    """The numbers of open findings before a merge, and the number of hosts in the file."""

    in_scope: int
    all: int
    hosts: int


def count_open(connection: Connection, scope: AbsenceScope) -> OpenCounts:
    """Return the numbers of open findings; called before the merge."""
    counts = select(func.count(case((_in_scope(scope), 1))), func.count()).where(_is_open)
    in_scope, all_open = connection.execute(counts).one()
    hosts = connection.scalar(select(func.count()).select_from(_hosts))
    return OpenCounts(in_scope, all_open, hosts or 0)


def count_absent(
    connection: Connection,
    unreported: ColumnElement[bool],
    scope: AbsenceScope,
    *,
    meant: bool,
) -> int:
    """Return the number of unreported findings in scope.

    `meant` selects those to which a row without a finding may refer, or the others.
    """
    refers = _meant_by_rejected()
    absent = and_(_in_scope(scope), unreported)
    query = select(func.count()).select_from(findings)
    return connection.scalar(query.where(absent, refers if meant else ~refers)) or 0


def resolve_absent(connection: Connection, job: ImportJob, scope: AbsenceScope) -> int:
    """Resolve the findings in scope that an import no longer reports; return their number.

    A finding stays open if a later scan reported it, because that scan is more recent than this
    import, or if a row without a finding may refer to it. In the scope `auto`, a finding that other
    formats report too stays open and loses the source of this import.
    """
    condition = and_(_in_scope(scope), unreported_by(job), ~_meant_by_rejected())
    _journal(connection, job, condition)
    resolved = connection.execute(
        update(findings)
        .where(condition)
        .values(
            lifecycle=RESOLVED,
            resolved_date=day_number(job.scan_date),
            resolution_reason=NOT_PRESENT,
            changed_import_id=job.import_id,
        )
    )
    if scope.kind == "auto":
        _drop_source(connection, job, scope.source)
    return resolved.rowcount


def _drop_source(connection: Connection, job: ImportJob, source: str) -> None:
    """Remove a source from findings that it no longer reports, but others do."""
    listed = literal(",") + findings.c.source + ","
    rest = func.replace(listed, literal(f",{source},"), ",")
    condition = and_(
        unreported_by(job),
        findings.c.source != source,
        rest != listed,
        findings.c.host_id.in_(_named_hosts()),
        ~_meant_by_rejected(),
    )
    _journal(connection, job, condition)
    without = func.ltrim(func.rtrim(rest, ","), ",")
    connection.execute(update(findings).where(condition).values(source=without))


def _journal(connection: Connection, job: ImportJob, condition: ColumnElement[bool]) -> None:
    """Copy the findings of a condition to the journal of an import."""
    rows = select(
        literal(job.import_id),
        findings.c.id,
        findings.c.import_id,
        *(findings.c[name] for name in STATE_COLUMNS),
    ).where(condition)
    names = ["import_id", "finding_id", "former_import_id", *STATE_COLUMNS]
    connection.execute(insert(finding_journal).from_select(names, rows))


def unreported_by(job: ImportJob) -> ColumnElement[bool]:
    """Return the condition for open findings that neither an import nor a later scan reports."""
    return and_(
        _is_open,
        findings.c.import_id != job.import_id,
        findings.c.scan_date <= day_number(job.scan_date),
    )


def unreported_by_stage(scan_date: str) -> ColumnElement[bool]:
    """Return the same condition for a staged file that is not merged, after `merge.forecast`."""
    return and_(
        _is_open,
        findings.c.id.not_in(select(_known.c.finding_id)),
        findings.c.scan_date <= day_number(scan_date),
    )


def _meant_by_rejected() -> ColumnElement[bool]:
    """Return the condition for findings that a row without a finding may refer to."""

    def values(kind: str) -> Select[Any]:
        return select(_mentions.c.value).where(_mentions.c.kind == kind)

    assets, definitions, identities = finding_assets, finding_definitions, finding_identities
    key = identities.c.identity + literal("|host:") + finding_hosts.c.host_key
    mentioned_keys = (
        select(literal(1))
        .where(
            identities.c.id == findings.c.identity_id,
            finding_hosts.c.id == findings.c.host_id,
            key.in_(values("unique_key")),
        )
        .correlate(findings)
    )
    return or_(
        values(ANYTHING[0]).exists(),
        *(
            findings.c.asset_id.in_(select(assets.c.id).where(assets.c[kind].in_(values(kind))))
            for kind in ("hostname", "ip_address")
        ),
        findings.c.identity_id.in_(
            select(identities.c.id).where(identities.c.cve.in_(values("cve")))
        ),
        *(
            findings.c.definition_id.in_(
                select(definitions.c.id).where(definitions.c[kind].in_(values(kind)))
            )
            for kind in ("plugin_id", "plugin_name")
        ),
        and_(values("unique_key").exists(), mentioned_keys.exists()),
    )


def _in_scope(scope: AbsenceScope) -> ColumnElement[bool]:
    """Return the condition for findings within the scope of an import."""
    has_source = findings.c.source.is_not(None)
    match scope.kind:
        case "none":
            return false()
        case "vendor":
            mine = finding_definitions.c.vendor.in_(scope.vendors)
            return and_(
                has_source,
                findings.c.definition_id.in_(select(finding_definitions.c.id).where(mine)),
            )
        case "hosts":
            return and_(has_source, findings.c.host_id.in_(_named_hosts()))
        case "auto":
            return and_(findings.c.source == scope.source, findings.c.host_id.in_(_named_hosts()))
        case _:
            return has_source


def _named_hosts() -> Select[Any]:
    # Hosts without an ID are new, in a file that is not merged.
    return select(_hosts.c.id).where(_hosts.c.id.is_not(None))

"""Reads the lists of findings, and single findings.

A page is read in two steps: the IDs of its rows in their order, from the narrow rows of `findings`,
and then all columns of these rows. To sort by a column of a dictionary, such as the host name, the
first step reads only findings whose dictionary entries can be on the page, if these are few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    case,
    func,
    select,
)

from hextrackr_server.findings.filters import IS_OPEN, STATES, conditions
from hextrackr_server.findings.pages import Page, PageRequest, Sort, parse_sort
from hextrackr_server.storage.finding_tables import (
    finding_assets,
    finding_definitions,
    finding_identities,
    findings,
    vulnerabilities_current,
)
from hextrackr_server.storage.schema import kev_status as kev

current = vulnerabilities_current

_LISTED: Final = (
    "id", "hostname", "ip_address", "cve", "severity", "vpr_score", "cvss_score", "plugin_id",
    "plugin_name", "vendor", "vulnerability_date", "first_seen", "last_seen", "scan_date", "state",
    "lifecycle_state", "resolved_date", "resolution_reason", "source",
)  # fmt: skip
_DETAILS: Final = ("description", "solution", "operating_system", "import_id")
#: With fewer findings than this, a page is sorted from all findings.
_FEW_FINDINGS: Final = 20_000
#: Dictionary entries that may be on a page are read if they are a smaller share than this.
_FEW_ENTRIES: Final = 0.25
_MINIMUM_ENTRIES: Final = 50
#: Findings differ in number per entry: entries are read for this many times the page.
_MARGIN: Final = 4


class _Dictionary(NamedTuple):
    """A dictionary of findings: its table, and the column of findings that refers to it."""

    table: Table
    reference: Column[int]


_ASSETS = _Dictionary(finding_assets, findings.c.asset_id)
_IDENTITIES = _Dictionary(finding_identities, findings.c.identity_id)
_DEFINITIONS = _Dictionary(finding_definitions, findings.c.definition_id)
_DICTIONARY_OF: Final[Mapping[str, _Dictionary]] = {
    "hostname": _ASSETS,
    "ip_address": _ASSETS,
    "cve": _IDENTITIES,
    "plugin_id": _DEFINITIONS,
    "plugin_name": _DEFINITIONS,
    "vendor": _DEFINITIONS,
    "vulnerability_date": _DEFINITIONS,
}


def _column(name: str) -> ColumnElement[Any]:
    if (dictionary := _DICTIONARY_OF.get(name)) is not None:
        return dictionary.table.c[name]
    # Numbers are stored in the order of the words for them.
    return findings.c["lifecycle" if name == "lifecycle_state" else name]


_SORTABLE: Final = {name: _column(name) for name in _LISTED}


def list_findings(connection: Connection, request: PageRequest) -> Page:
    """Return a page of the findings in a state, by default those with the highest VPR first."""
    return _page(connection, request, STATES[request.state], "-vpr_score")


def resolved_findings(connection: Connection, request: PageRequest) -> Page:
    """Return a page of the resolved findings, by default the latest first."""
    return _page(connection, request, STATES["resolved"], "-resolved_date")


def single_finding(connection: Connection, finding_id: int) -> dict[str, Any] | None:
    """Return a finding with its details, or None if its ID does not exist."""
    query = _rows(*_DETAILS).where(current.c.id == finding_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else _finding(row)


def sources(connection: Connection) -> dict[str, int]:
    """Return the number of open findings by format, also of formats with resolved findings only."""
    query = select(findings.c.source, func.count(case((IS_OPEN, 1)))).group_by(findings.c.source)
    numbers: dict[str, int] = {}
    for listed, number in connection.execute(query):
        # Findings of 0.1.0 have no source.
        for source in listed.split(",") if listed else ():
            numbers[source] = numbers.get(source, 0) + number
    return dict(sorted(numbers.items()))


def _page(
    connection: Connection, request: PageRequest, state: ColumnElement[bool], default: str
) -> Page:
    sort = parse_sort(request, _SORTABLE, default)
    matching = [state, *conditions(request.filters)]
    total = connection.scalar(select(func.count()).select_from(findings).where(*matching)) or 0
    if total <= request.offset:
        return Page([], total)
    ids = _sorted_ids(connection, request, sort, matching, total)
    rows = connection.execute(_rows().where(current.c.id.in_(ids))).mappings()
    found = {row["id"]: _finding(row) for row in rows}
    return Page([found[each] for each in ids], total)


def _rows(*more: str) -> Select[Any]:
    return select(
        *(current.c[name] for name in (*_LISTED, "host_key", *more)),
        kev.c.due_date.label("kev_due_date"),
        kev.c.known_ransomware_use,
        kev.c.required_action.label("kev_required_action"),
    ).outerjoin(kev, kev.c.cve_id == current.c.cve)


def _finding(row: Any) -> dict[str, Any]:
    """Return a finding in the format of HexTrackr's REST API."""
    return dict(row) | {"isKev": "No" if row["kev_due_date"] is None else "Yes"}


def _sorted_ids(
    connection: Connection,
    request: PageRequest,
    sort: Sort,
    matching: Sequence[ColumnElement[bool]],
    total: int,
) -> list[int]:
    """Return the IDs of a page in their order."""
    query = select(findings.c.id).where(*matching)
    dictionary = _DICTIONARY_OF.get(sort.name)
    if dictionary is not None:
        query = query.select_from(
            findings.join(dictionary.table, dictionary.table.c.id == dictionary.reference)
        )
    wanted = min(request.limit, total - request.offset)
    if request.offset > total / 2:
        # Sorting keeps only the rows up to the end of the page, so count from the nearer end.
        query = query.order_by(sort.backwards(sort.column), findings.c.id.desc())
        query = query.limit(wanted).offset(total - request.offset - wanted)
        return list(connection.scalars(query))[::-1]
    query = query.order_by(sort.by(sort.column), findings.c.id)
    query = query.limit(request.limit).offset(request.offset)
    if dictionary is not None and total > _FEW_FINDINGS:
        first = _first_entries(connection, request, sort, dictionary.table, total)
        if first is not None:
            ids = list(connection.scalars(query.where(dictionary.reference.in_(first))))
            if len(ids) == wanted:
                return ids
    return list(connection.scalars(query))


def _first_entries(
    connection: Connection, request: PageRequest, sort: Sort, table: Table, total: int
) -> Select[tuple[int]] | None:
    """Select the dictionary entries with the first values of the sort order.

    Findings of all other entries come after the findings of these. Returns None if the page is
    probably further back.
    """
    entries = connection.scalar(select(func.count()).select_from(table)) or 0
    number = _MARGIN * entries * (request.offset + request.limit) // total + _MINIMUM_ENTRIES
    if number > entries * _FEW_ENTRIES:
        return None
    column = table.c[sort.name]
    ordered = select(column).order_by(sort.by(column)).limit(1).offset(number)
    last = connection.scalar(ordered)
    if last is None:
        return None
    within = column >= last if sort.descending else column <= last
    return select(table.c.id).where(within)

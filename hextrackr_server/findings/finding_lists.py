"""Reads the lists of findings, and single findings.

A page is read in two steps: the IDs of its rows in their order, from the narrow rows of `findings`,
and then all columns of these rows. To sort by a column of a dictionary, such as the host name, the
first step reads only findings whose dictionary entries can be on the page, if these are few. For a
page in the middle, a sample of the findings gives the values between which the page lies.
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
    or_,
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
#: A page is in the middle if this share of all findings is before and behind it. Sorting up to a
#: page that is nearer to an end costs less than a sample.
_MIDDLE: Final = 0.15
_SAMPLED: Final = 2000
#: Part of the sample that is read before and behind the page: 3.6 standard errors of a share.
_SAMPLE_MARGIN: Final = 0.04
#: The findings between two values are sorted if they are a smaller share than this.
_NARROW: Final = 0.3


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


class _Slice(NamedTuple):
    """The rows of a page, counted from the nearer end of the list.

    Sorting keeps only the rows up to the end of the page.
    """

    offset: int
    number: int
    #: Whether the list is read from its end; NULL then comes first.
    is_backward: bool
    is_descending: bool
    order: tuple[ColumnElement[Any], ...]

    def is_before(self, column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
        """Return the condition for rows before all rows with a value, which is not None."""
        condition = column > value if self.is_descending else column < value
        return or_(condition, column.is_(None)) if self.is_backward else condition


def _slice(request: PageRequest, sort: Sort, total: int) -> _Slice:
    number = min(request.limit, total - request.offset)
    if request.offset > total / 2:
        offset = total - request.offset - number
        backwards = (sort.backwards(sort.column), findings.c.id.desc())
        return _Slice(offset, number, True, not sort.descending, backwards)
    order = (sort.by(sort.column), findings.c.id)
    return _Slice(request.offset, number, False, sort.descending, order)


def _sorted_ids(
    connection: Connection,
    request: PageRequest,
    sort: Sort,
    matching: Sequence[ColumnElement[bool]],
    total: int,
) -> list[int]:
    """Return the IDs of a page in their order."""
    part = _slice(request, sort, total)
    query = select(findings.c.id).where(*matching)
    page = query.order_by(*part.order).limit(part.number).offset(part.offset)
    ids: list[int] = []
    dictionary = _DICTIONARY_OF.get(sort.name)
    if dictionary is not None:
        joined = findings.join(dictionary.table, dictionary.table.c.id == dictionary.reference)
        query, page = query.select_from(joined), page.select_from(joined)
        if total > _FEW_FINDINGS:
            if part.offset > total * _MIDDLE:
                ids = _middle_ids(connection, sort.column, part, query, dictionary, total)
            elif not part.is_backward:
                first = _first_entries(connection, request, sort, dictionary.table, total)
                if first is not None:
                    ids = list(connection.scalars(page.where(dictionary.reference.in_(first))))
    if len(ids) != part.number:
        ids = list(connection.scalars(page))
    return ids[::-1] if part.is_backward else ids


def _middle_ids(
    connection: Connection,
    column: ColumnElement[Any],
    part: _Slice,
    query: Select[tuple[int]],
    dictionary: _Dictionary,
    total: int,
) -> list[int]:
    """Return the IDs of a page from the findings with values near those of the page.

    A sample gives a value that is probably before the page, and one behind it. The page then begins
    at a known row of the findings between them. Returns fewer IDs if it does not lie there.
    """
    step = max(1, total // _SAMPLED)
    sample = query.with_only_columns(column).where(findings.c.id % step == 0)
    values = list(connection.scalars(sample.order_by(part.order[0])))
    size = len(values)
    start = int(size * (part.offset / total - _SAMPLE_MARGIN))
    stop = int(size * ((part.offset + part.number) / total + _SAMPLE_MARGIN)) + 1
    if stop >= size or values[start] is None or values[stop] is None:
        return []
    first, last = values[start], values[stop]
    # Equal values are next to each other.
    number = stop - start + values.count(first) + values.count(last)
    if first == last or number <= size * _NARROW:
        return _ids_between(connection, column, part, query, dictionary, first, last)
    # With few values, such as vendors, the page is probably within one of the two.
    for value in (last, first):
        ids = _ids_between(connection, column, part, query, dictionary, value, value)
        if len(ids) == part.number:
            return ids
    return []


def _ids_between(
    connection: Connection,
    column: ColumnElement[Any],
    part: _Slice,
    query: Select[tuple[int]],
    dictionary: _Dictionary,
    first: Any,
    last: Any,
) -> list[int]:
    """Return the IDs of a page from the findings with values from `first` to `last`."""
    before = query.with_only_columns(func.count()).where(part.is_before(column, first))
    offset = part.offset - (connection.scalar(before) or 0)
    if offset < 0:
        return []
    bounds = (last, first) if part.is_descending else (first, last)
    entries = select(dictionary.table.c.id).where(column.between(*bounds))
    # Findings with one value are stored in the order of their IDs, so that nothing is sorted.
    order = part.order[1:] if first == last else part.order
    page = query.where(dictionary.reference.in_(entries)).order_by(*order)
    return list(connection.scalars(page.limit(part.number).offset(offset)))


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

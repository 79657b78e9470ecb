"""Requests for pages of lists, and the sort order of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, UnaryExpression, func, select

from hextrackr_server.errors import invalid
from hextrackr_server.findings.filters import Filters


class PageRequest(NamedTuple):
    """The requested page of a resource; all values but the sort column are validated."""

    resource: str
    filters: Filters = ()
    page: int = 1
    limit: int = 50
    sort: str | None = None
    #: Owner of the imports to return; None for all owners.
    user_id: str | None = None
    #: Lifecycle state of the findings to return, a key of `filters.STATES`.
    state: str = "open"

    @property
    def offset(self) -> int:
        """The number of rows before the page."""
        return (self.page - 1) * self.limit


class Page(NamedTuple):
    """The rows of a page, and the number of rows on all pages."""

    rows: list[dict[str, Any]]
    total: int


class Sort(NamedTuple):
    """A sort order: the name of its column, its expression, and the direction."""

    name: str
    column: ColumnElement[Any]
    descending: bool

    def by(self, column: ColumnElement[Any]) -> UnaryExpression[Any]:
        """Return the order of a column in this direction.

        Databases sort NULL differently; here NULL always comes last.
        """
        return (column.desc() if self.descending else column.asc()).nulls_last()

    def backwards(self, column: ColumnElement[Any]) -> UnaryExpression[Any]:
        """Return the opposite order of a column, with NULL first."""
        return (column.asc() if self.descending else column.desc()).nulls_first()


def parse_sort(
    request: PageRequest, sortable: Mapping[str, ColumnElement[Any]], default: str
) -> Sort:
    """Return the requested order: the name of a column, with `-` before it if descending.

    Raises ServiceError VALIDATION_ERROR for an unknown column.
    """
    wanted = request.sort or default
    name = wanted.removeprefix("-")
    if name not in sortable:
        raise invalid("Invalid sort", [("sort", "must be one of: " + ", ".join(sorted(sortable)))])
    return Sort(name, sortable[name], wanted.startswith("-"))


def read_page(
    connection: Connection,
    request: PageRequest,
    query: Select[Any],
    sortable: Mapping[str, ColumnElement[Any]],
    default: str,
    tie: ColumnElement[Any],
) -> tuple[list[Any], int]:
    """Return the rows of a page and the total number of rows; `tie` orders equal rows."""
    sort = parse_sort(request, sortable, default)
    total = connection.scalar(select(func.count()).select_from(query.subquery())) or 0
    ordered = query.order_by(sort.by(sort.column), tie)
    rows = connection.execute(ordered.limit(request.limit).offset(request.offset))
    return list(rows.mappings()), total

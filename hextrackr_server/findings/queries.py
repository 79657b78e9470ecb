"""Validates and answers `get-data` requests.

findings                     filters of get-vulnerability-stats, and state
vulnerabilities, resolved    filters of get-vulnerability-stats
devices                      the same filters
vulnerability, import        one, by its ID
sources                      the formats that report findings
imports                      the user's own, all for administrators; filters status, vendor
progress                     of these, the running and recently ended ones; filter ended
kev                          filters search, matched
tickets                      filters search, status
trends                       filters vendor, startDate, endDate
editors                      current editors; filters resourceType, resourceId
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Protocol, get_args

import msgspec

from hextrackr_server.collaboration.presence import RESOURCE_TYPES, EditingSessions
from hextrackr_server.errors import MAXIMUM_PROBLEMS, ErrorCode, ServiceError, invalid
from hextrackr_server.findings.filters import MAXIMUM_SEARCH, STATES, Filters, parse_filters
from hextrackr_server.findings.pages import Page, PageRequest
from hextrackr_server.findings.query_executor import QueryExecutor
from hextrackr_server.findings.query_store import QueryStore
from hextrackr_server.security.principal import Principal
from hextrackr_server.text import clean, iso_date

MAXIMUM_LIMIT = 500
MAXIMUM_PAGE = 100_000
MAXIMUM_ID = 2**31 - 1

Resource = Literal[
    "findings", "vulnerabilities", "vulnerability", "resolved", "devices", "imports", "import",
    "kev", "progress", "sources", "tickets", "trends", "editors",
]  # fmt: skip
_KINDS: Mapping[str, Mapping[str, str]] = {
    "imports": {"status": "text", "vendor": "text"},
    "kev": {"search": "text", "matched": "switch"},
    "progress": {"ended": "switch"},
    "sources": {},
    "tickets": {"search": "text", "status": "text"},
    "trends": {"vendor": "text", "startDate": "date", "endDate": "date"},
    "editors": {"resourceType": "type", "resourceId": "id"},
}
_ENDED = frozenset({"completed", "failed", "cancelled"})
_EDITOR_COLUMNS = ("resourceId", "resourceType", "startTime", "userId", "username")
_NAMED_FIELD = re.compile(r"`\$\.(\w+)")


class DataRequest(msgspec.Struct):
    """A request for a page of a resource, or for one record by its ID."""

    resource: Resource
    id: int | str | None = None
    filters: dict[str, Any] | None = None
    page: Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_PAGE)] = 1
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_LIMIT)] = 50
    sort: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class Imports(Protocol):
    """The states of imports: `imports.status.ImportView`."""

    async def status(self, import_id: Any, principal: Principal) -> dict[str, Any]:
        """Return the state of an import; raise ServiceError NOT_FOUND or VALIDATION_ERROR."""

    def progress(self, principal: Principal) -> list[dict[str, Any]]:
        """Return the states of the running and recently ended imports that a user may see."""


class QueryService:
    """The service behind `get-data`; database queries run in the query executor.

    `titles` maps the IDs of formats to their titles.
    """

    def __init__(
        self,
        store: QueryStore,
        imports: Imports,
        editing: EditingSessions,
        executor: QueryExecutor,
        titles: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._store = store
        self._imports = imports
        self._editing = editing
        self._executor = executor
        self._titles = titles

    async def answer(
        self, payload: Any, principal: Principal, rooms: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return `{data, pagination?}` for a request.

        `rooms` are the rooms of the requesting socket, which decide the editors that it may see.
        Raises ServiceError VALIDATION_ERROR, NOT_FOUND, TIMEOUT or RATE_LIMITED.
        """
        request = _parse(payload)
        match request.resource:
            case "import":
                return {"data": await self._import(request.id, principal)}
            case "vulnerability":
                find, user = self._store.vulnerability, principal.user_id
                found = await self._executor.run(user, find, _id(request))
                if found is None:
                    raise ServiceError(ErrorCode.NOT_FOUND, "There is no such vulnerability")
                return {"data": found}
            case "editors":
                page = _editors(self._editing.visible(rooms), request)
                return {"data": page.rows, "pagination": _pagination(request, page.total)}
            case "progress":
                rows = _unless_ended(self._imports.progress(principal), request)
                return _cut(rows, request)
            case "sources":
                return _cut(await self._sources(request, principal), request)
            case _:
                return await self._page(request, principal)

    async def _import(self, import_id: int | str | None, principal: Principal) -> dict[str, Any]:
        try:
            state = await self._imports.status(import_id, principal)
        except ServiceError as refusal:
            if refusal.code is not ErrorCode.VALIDATION_ERROR:
                raise
            problem = ("id", "must be the number or text of an import")
            raise invalid("Invalid request", [problem]) from refusal
        number = state["importId"]
        if not isinstance(number, int):
            return state | {"job": None}
        job = await self._executor.run(principal.user_id, self._store.import_job, number)
        return state | {"job": job}

    async def _sources(self, request: DataRequest, principal: Principal) -> list[dict[str, Any]]:
        _filters(request)
        found = await self._executor.run(principal.user_id, self._store.sources)
        return [
            {"source": source, "title": self._titles.get(source, source), "findings": number}
            for source, number in found.items()
        ]

    async def _page(self, request: DataRequest, principal: Principal) -> dict[str, Any]:
        state = _take_state(request)
        page_request = PageRequest(
            request.resource,
            _filters(request),
            request.page,
            request.limit,
            request.sort,
            None if principal.is_admin else principal.user_id,
            state,
        )
        page = await self._executor.run(principal.user_id, self._store.page, page_request)
        return {"data": page.rows, "pagination": _pagination(request, page.total)}


def _pagination(request: DataRequest, total: int) -> dict[str, int]:
    return {
        "page": request.page,
        "limit": request.limit,
        "total": total,
        "pages": math.ceil(total / request.limit),
    }


def _cut(rows: list[dict[str, Any]], request: DataRequest) -> dict[str, Any]:
    """Return the requested page of a list that has one order only."""
    if request.sort is not None:
        raise invalid("Invalid sort", [("sort", f"{request.resource} cannot be sorted")])
    first = (request.page - 1) * request.limit
    page = rows[first : first + request.limit]
    return {"data": page, "pagination": _pagination(request, len(rows))}


def _unless_ended(rows: list[dict[str, Any]], request: DataRequest) -> list[dict[str, Any]]:
    """Return the imports that the filter `ended` selects."""
    wanted = dict(_filters(request)).get("ended")
    return [row for row in rows if wanted is None or (row["status"] in _ENDED) == wanted]


def _editors(editors: list[dict[str, Any]], request: DataRequest) -> Page:
    """Return a page of the editors that match the filters, by default the latest first."""
    sort = request.sort or "-startTime"
    column = sort.removeprefix("-")
    if column not in _EDITOR_COLUMNS:
        known = ", ".join(_EDITOR_COLUMNS)
        raise invalid("Invalid sort", [("sort", f"must be one of: {known}")])
    wanted = _filters(request)
    found = [
        editor for editor in editors if all(str(editor[name]) == value for name, value in wanted)
    ]
    # IDs may be numbers and strings, which Python does not compare.
    found.sort(key=lambda editor: str(editor[column]), reverse=sort.startswith("-"))
    first = (request.page - 1) * request.limit
    return Page(found[first : first + request.limit], len(found))


def _parse(payload: Any) -> DataRequest:
    try:
        return msgspec.convert(payload, DataRequest)
    except msgspec.ValidationError as error:
        named = _NAMED_FIELD.search(str(error))
        path = named.group(1) if named else "resource"
        text = str(error)
        if path == "resource":
            text = "must be one of " + ", ".join(get_args(Resource))
        raise invalid("Invalid request", [(path, text)]) from error


def _id(request: DataRequest) -> int:
    value = request.id
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value):
        value = int(value)
    if not isinstance(value, int) or not 0 < value <= MAXIMUM_ID:
        raise invalid("Invalid request", [("id", f"must be a whole number of 1 to {MAXIMUM_ID}")])
    return value


def _take_state(request: DataRequest) -> str:
    """Return the state of the findings that a request selects, and remove it from the filters."""
    if request.resource != "findings" or not request.filters:
        return "open"
    filters = dict(request.filters)
    state = filters.pop("state", None) or "open"
    if not isinstance(state, str) or state not in STATES:
        raise invalid("Invalid filters", [("state", "must be one of: " + ", ".join(STATES))])
    request.filters = filters
    return state


def _filters(request: DataRequest) -> Filters:
    kinds = _KINDS.get(request.resource)
    if kinds is None:
        return parse_filters(request.filters)
    parsed: dict[str, Any] = {}
    problems = []
    for name, value in (request.filters or {}).items():
        if value is None or value == "":
            continue
        try:
            if name not in kinds:
                raise ValueError("is not a known filter; use one of: " + ", ".join(kinds))
            parsed[name] = _filter(kinds[name], value)
        except ValueError as error:
            problems.append((name[:64], str(error)))
            if len(problems) == MAXIMUM_PROBLEMS:
                break
    if problems:
        raise invalid("Invalid filters", problems)
    return tuple(sorted(parsed.items()))


def _filter(kind: str, value: Any) -> Any:
    match kind:
        case "text":
            if not isinstance(value, str) or len(value) > MAXIMUM_SEARCH:
                raise ValueError(f"must be a text of at most {MAXIMUM_SEARCH} characters")
            # Stored texts contain no control characters, so the filter needs none.
            return clean(value, MAXIMUM_SEARCH)
        case "type":
            if not isinstance(value, str) or value not in RESOURCE_TYPES:
                raise ValueError("must be one of " + ", ".join(sorted(RESOURCE_TYPES)))
            return value
        case "id":
            is_number = isinstance(value, int) and not isinstance(value, bool)
            if not is_number and not isinstance(value, str):
                raise ValueError("must be a number or a text")
            return str(value)
        case "switch":
            if not isinstance(value, bool):
                raise ValueError("must be true or false")
            return value
        case _:
            day = iso_date(value) if isinstance(value, str) else None
            if day is None:
                raise ValueError("must be a date such as 2025-09-30")
            return day

"""Events of dashboards: `get-vulnerability-stats` and `get-data`."""

from __future__ import annotations

from typing import Annotated, Any

from hextrackr_server.findings.queries import DataRequest, QueryService
from hextrackr_server.findings.statistics import StatisticsService
from hextrackr_server.sockets.answers import principal_of, refusals_as_acks
from hextrackr_server.sockets.payloads.findings import (
    FindingFilters,
    NestedFilters,
    StatisticsAnswer,
)
from hextrackr_server.sockets.payloads.lists import DataAnswer
from socketio_core import DocumentedAs, Socket, SocketServer


def register(io: SocketServer, statistics: StatisticsService, queries: QueryService) -> None:
    """Handle the events of dashboards."""

    async def get_vulnerability_stats(
        socket: Socket,
        filters: Annotated[
            Any, DocumentedAs(FindingFilters | NestedFilters | None, optional=True)
        ] = None,
    ) -> Annotated[dict[str, Any], DocumentedAs(StatisticsAnswer)]:
        """Return statistics of the open findings that match filters."""
        with refusals_as_acks():
            user = principal_of(socket).user_id
            return {"success": True, "data": await statistics.statistics(filters, user)}

    async def get_data(
        socket: Socket, query: Annotated[Any, DocumentedAs(DataRequest)] = None
    ) -> Annotated[dict[str, Any], DocumentedAs(DataAnswer)]:
        """Return a page of a list, or one record."""
        with refusals_as_acks():
            answer = await queries.answer(query, principal_of(socket), socket.rooms)
            return {"success": True, **answer}

    io.on("get-vulnerability-stats", get_vulnerability_stats)
    io.on("get-data", get_data)

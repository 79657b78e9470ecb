"""Events of dashboards: `get-vulnerability-stats` and `get-data`."""

from __future__ import annotations

from typing import Any

from hextrackr_server.findings.queries import QueryService
from hextrackr_server.findings.statistics import StatisticsService
from hextrackr_server.sockets.answers import principal_of, refusals_as_acks
from socketio_core import Socket, SocketServer


def register(io: SocketServer, statistics: StatisticsService, queries: QueryService) -> None:
    """Handle the events of dashboards."""

    async def get_vulnerability_stats(socket: Socket, filters: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            user = principal_of(socket).user_id
            return {"success": True, "data": await statistics.statistics(filters, user)}

    async def get_data(socket: Socket, query: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            answer = await queries.answer(query, principal_of(socket), socket.rooms)
            return {"success": True, **answer}

    io.on("get-vulnerability-stats", get_vulnerability_stats)
    io.on("get-data", get_data)

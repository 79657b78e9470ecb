"""Questions about the findings.

Knows: `get-vulnerability-stats`, `get-data` and their arguments.
Does not know: SQL, caching, which resources there are.
"""

from __future__ import annotations

from typing import Any

from hextrackr_server.findings.queries import QueryService
from hextrackr_server.findings.statistics import StatisticsService
from hextrackr_server.sockets.answers import principal_of, refusals_as_acks
from socketio_core import Socket, SocketServer


def register(io: SocketServer, statistics: StatisticsService, queries: QueryService) -> None:
    """Answer the questions of dashboards."""

    async def get_vulnerability_stats(socket: Socket, filters: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            user = principal_of(socket).user_id
            return {"success": True, "data": await statistics.statistics(filters, user)}

    async def get_data(socket: Socket, question: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            answer = await queries.answer(question, principal_of(socket), socket.rooms)
            return {"success": True, **answer}

    io.on("get-vulnerability-stats", get_vulnerability_stats)
    io.on("get-data", get_data)

"""Questions about the findings.

Knows: `get-vulnerability-stats` and its arguments.  Does not know: SQL, caching.
"""

from __future__ import annotations

from typing import Any

from hextrackr_server.handlers.answers import refusals_as_acks
from hextrackr_server.statistics_service import StatisticsService
from socketio_core import Socket, SocketServer


def register(io: SocketServer, statistics: StatisticsService) -> None:
    """Answer the questions of dashboards."""

    async def get_vulnerability_stats(socket: Socket, filters: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            return {"success": True, "data": await statistics.statistics(filters)}

    io.on("get-vulnerability-stats", get_vulnerability_stats)

"""The pages of the hub: the dashboard, and the playground of developers."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.routing import BaseRoute

from hextrackr_server.feature import Context, Feature
from hextrackr_server.http.dashboard_files import HOW_TO_BUILD, DashboardFiles
from hextrackr_server.http.dashboard_routes import dashboard_routes
from hextrackr_server.http.playground_routes import playground_routes

logger = logging.getLogger(__name__)


class DashboardFeature(Feature):
    """Serves the files of the dashboard and, in development, the playground."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._files = DashboardFiles()

    def register(self) -> Sequence[BaseRoute]:
        """Return the routes of the pages."""
        return [
            *dashboard_routes(self.context.services.identity, self._files),
            *playground_routes(self.context.settings),
        ]

    def announce_start(self) -> None:
        """Log how to build the dashboard if it is not built."""
        if not self._files:
            logger.info(HOW_TO_BUILD)

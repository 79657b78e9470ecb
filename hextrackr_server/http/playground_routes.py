"""Routes of the playground, with which developers try out events of the hub in a browser."""

from __future__ import annotations

from starlette.routing import BaseRoute, Mount, Route

from hextrackr_server.config.settings import Settings
from socketio_core import playground

PATH = "/playground"


def playground_routes(settings: Settings) -> list[BaseRoute]:
    """Return the routes in development, or if the setting `playground` is on; else an empty list.

    The page requires no login: the namespaces that it connects to do.
    """
    if not (settings.dev or settings.playground):
        return []
    page = playground(path=PATH)
    return [Route(PATH, page), Mount(PATH, page)]

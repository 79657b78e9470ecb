"""Reports of producers, such as HexTrackr's Express backend, through the ingest API."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute

from hextrackr_server.feature import Feature
from hextrackr_server.http.ingest.endpoints import IngestPaths
from hextrackr_server.http.ingest.routes import ingest_routes
from hextrackr_server.http.ingest.service import IngestService
from hextrackr_server.security.idempotency import IdempotencyKeys
from hextrackr_server.security.producer_tokens import IngestAuthority


class IngestFeature(Feature):
    """Accepts reports of producers and passes them to the services of other features."""

    def register(self) -> Sequence[BaseRoute]:
        """Return the routes of the ingest API."""
        context, settings, services = self.context, self.context.settings, self.context.services
        paths = IngestPaths(
            IngestService(context.rooms, services.tracker),
            services.notifications,
            services.maintenance,
            services.authenticator.revoke,
            services.vulnerabilities,
            context.rooms,
            context.clock,
        )
        authority = IngestAuthority(
            settings.ingest_tokens, context.clock, signed_only=settings.ingest_signed_only
        )
        keys = IdempotencyKeys(context.clock.monotonic)
        return ingest_routes(authority, keys, paths.paths())

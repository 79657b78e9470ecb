"""Authentication and rate limits, which apply to all namespaces and routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.routing import BaseRoute

from engineio_core.accounts import Ledger
from hextrackr_server.config.roles import names_of_roles
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.feature import Context, Feature
from hextrackr_server.security.identity import IdentityService
from hextrackr_server.security.principal import Principal, TokenAuthority, TokenRules
from hextrackr_server.security.session_cookie import SessionCookies
from hextrackr_server.security.session_store import session_store
from hextrackr_server.sockets import limits
from hextrackr_server.sockets.authenticator import REPLACED, Authenticator


class SecurityFeature(Feature):
    """Lets clients connect, limits them, and disconnects them when their login ends.

    The constructor registers the middlewares and listeners: they must run before the listeners of
    other features, which expect an authenticated socket in its rooms.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        settings, services = context.settings, context.services
        cookies = store = None
        if settings.session_secrets:
            cookies = SessionCookies(settings.session_cookie, settings.session_secrets)
            store = session_store(settings)
        rules = TokenRules(
            algorithms=settings.jwt_algorithms,
            public_key=settings.jwt_public_key,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            leeway=settings.jwt_leeway,
            user_claims=settings.jwt_user_claims,
            max_age=settings.jwt_max_age,
            role_names=names_of_roles(settings.role_names),
        )
        services.authority = TokenAuthority(settings.jwt_secret, rules)
        services.identity = IdentityService(
            services.authority, context.clock, cookies, store, self._limit_requests
        )
        services.authenticator = Authenticator(
            context.io, services.identity, context.metrics, context.clock
        )
        services.authenticator.register(strict_http_auth=settings.strict_http_auth)
        limits.register(context.io, context.limiter, context.users, services.authenticator)
        context.recovery_checks.append(self._may_recover)

    def register(self) -> Sequence[BaseRoute]:
        """Add the gauges of the rate limiter, and of the accounts of users and addresses."""
        limiter = self.context.limiter
        metrics = self.context.metrics
        metrics.gauge("events_total", lambda: limiter.allowed, "Events within the rate limits")
        metrics.gauge(
            "events_refused_total", lambda: limiter.refused, "Events beyond the rate limits"
        )
        self._add_accounts("user", "users", self.context.users)
        self._add_accounts("address", "addresses", self.context.io.engine._addresses)
        return ()

    def _add_accounts(self, one: str, many: str, ledger: Ledger) -> None:
        gauge = self.context.metrics.gauge
        gauge(
            f"{one}_accounts", lambda: len(ledger.accounts),
            f"{many.capitalize()} with connections or running handlers",
        )  # fmt: skip
        gauge(
            f"{one}_most_connections", lambda: ledger.read_largest().sessions,
            f"Highest number of connections of one {one}",
        )  # fmt: skip
        gauge(
            f"{one}_most_buffered_bytes", lambda: ledger.read_largest().buffered,
            f"Highest number of buffered bytes of one {one}",
        )  # fmt: skip
        gauge(
            f"{one}_most_handlers", lambda: ledger.read_largest().handlers,
            f"Highest number of running handlers of one {one}",
        )  # fmt: skip
        gauge(
            f"{one}_limits_applied_total", lambda: sum(ledger.limited.values()),
            f"How often a limit of one {one} was applied: connections, buffers or handlers",
        )  # fmt: skip

    async def start(self) -> None:
        """Give each registered event a limit of its own, and re-validate logins regularly."""
        limits.add_known_events(self.context.io, self.context.limiter)
        interval = self.context.settings.recheck_interval
        self.context.services.authenticator.start(interval)

    async def stop(self) -> None:
        """Stop the re-validation of logins, and end the threads of logins."""
        await self.context.services.authenticator.stop()
        self.context.services.identity.close()

    def _limit_requests(self, principal: Principal) -> None:
        if self.context.limiter.request(principal.user_id):
            raise ServiceError(ErrorCode.RATE_LIMITED, limits.TOO_MANY)

    def _may_recover(self, data: dict[str, Any]) -> bool:
        return REPLACED not in data and self.context.services.identity.is_current(data["principal"])

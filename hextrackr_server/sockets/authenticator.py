"""Authentication of connections, the rooms that follow from it, and the end of logins.

`security.identity` verifies cookies and tokens; this module connects it to namespaces and the
engine.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable

from engineio_core.http.message import JSON, HttpRequest, HttpResponse
from hextrackr_server.clock import Clock, Timer
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.rooms import AUTHENTICATED, NAMESPACES
from hextrackr_server.security.identity import IdentityService
from hextrackr_server.security.principal import Principal
from hextrackr_server.sockets.answers import principal_of
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.metrics import Metrics
from socketio_core import ConnectError, Namespace, Socket, SocketServer

logger = logging.getLogger(__name__)

#: A connection is closed after this many rejected CONNECT packets.
MAXIMUM_REFUSALS = 10
#: A key in the data of a socket whose session must not be restored.
REPLACED = "replaced"


class Authenticator:
    """Middleware that authenticates sockets, and timers that disconnect expired logins."""

    def __init__(
        self, io: SocketServer, identity: IdentityService, metrics: Metrics, clock: Clock
    ) -> None:
        self._io = io
        self._metrics = metrics
        self._identity = identity
        self._clock = clock
        self._ends: dict[Socket, Timer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweep: Timer | None = None

    def register(self, *, strict_http_auth: bool) -> None:
        """Authenticate the sockets of all namespaces; with `strict_http_auth`, handshakes too."""
        for name in NAMESPACES:
            namespace = self._io.of(name)
            namespace.use(self.authenticate)
            if name == "/admin":
                namespace.use(self._admins_only)
            namespace.on("connection", self._connected)
            namespace.on("disconnect", self._disconnected)
        self._io.engine.use(self._same_login)
        if strict_http_auth:
            self._io.engine.use(self._check_handshake)

    async def authenticate(self, socket: Socket) -> None:
        """Authenticate a socket or raise ConnectError; a recovered socket must keep its user."""
        handshake, former = socket.handshake, socket.data.get("principal")
        state = socket.session.request.state
        try:
            principal = await self._identity.from_handshake(handshake.headers, handshake.auth)
            known = former.user_id if former else state.get("user_id", principal.user_id)
            if former is not None and (known, former.role) != (principal.user_id, principal.role):
                # Else the server keeps the session, and refuses this client at each return.
                socket.data[REPLACED] = True
            if known != principal.user_id:
                raise ServiceError(ErrorCode.UNAUTHORIZED, "Unauthorized")
            if former is not None and former.role != principal.role:
                # The recovered rooms were joined in the former role.
                text = "The role has changed: connect again"
                raise ServiceError(ErrorCode.FORBIDDEN, text)
        except ServiceError as refusal:
            raise self.refused(refusal, socket) from refusal
        state["user_id"] = principal.user_id
        if principal.session_id is not None:
            state["session_id"] = principal.session_id
        socket.data["principal"] = principal

    def _admins_only(self, socket: Socket) -> None:
        if not principal_of(socket).is_admin:
            raise self.refused(ServiceError(ErrorCode.FORBIDDEN, "Unauthorized"), socket)

    def refused(self, refusal: ServiceError, socket: Socket) -> ConnectError:
        """Log a rejected connection, and return its error: `{message, data: {code, type}}`."""
        self._metrics.error("connect")
        logger.info(
            "connection rejected",
            extra=log_setup.fields(
                address=socket.handshake.address,
                namespace=socket.namespace.name,
                code=str(refusal.code),
                reason=refusal.message,
            ),
        )
        state = socket.session.request.state
        state["refusals"] = state.get("refusals", 0) + 1
        if state["refusals"] >= MAXIMUM_REFUSALS:
            # Close after the answer is sent. A client that guesses tokens must open a new session,
            # and handshakes are rate limited.
            asyncio.get_running_loop().call_soon(socket.session.close)
        data = {"code": str(refusal.code), "type": "UnauthorizedError"}
        return ConnectError(refusal.message, data=data)

    async def _connected(self, socket: Socket) -> None:
        principal = principal_of(socket)
        self._schedule_end(socket, principal)
        await socket.join([principal.room, AUTHENTICATED])

    def _disconnected(self, socket: Socket) -> None:
        timer = self._ends.pop(socket, None)
        if timer is not None:
            timer.cancel()

    # -- HTTP requests of the engine

    def _same_login(self, request: HttpRequest) -> HttpResponse | None:
        """Reject a request for the session of another login: the sid alone grants no access."""
        session = self._io.engine.sessions.get(request.query.get("sid", ""))
        if session is None:
            return None
        login = session.request.state.get("session_id")
        if login is None or self._identity.session_id(request.headers) == login:
            return None
        return HttpResponse(403, b'{"code":4,"message":"Forbidden"}', [JSON])

    async def _check_handshake(self, request: HttpRequest) -> HttpResponse | None:
        """Reject a handshake without a login with status 401; an empty sid is a handshake."""
        if request.query.get("sid"):
            return None
        try:
            await self._identity.from_handshake(request.headers, {})
        except ServiceError as refusal:
            headers = [JSON, ("WWW-Authenticate", "Bearer")]
            return HttpResponse(401, json.dumps(refusal.body()).encode(), headers)
        return None

    # -- the end of a login

    def start(self, interval: float) -> None:
        """Re-validate the logins of all sockets every `interval` seconds."""

        def sweep() -> None:
            self._sweep = self._clock.call_later(interval, sweep)
            self._revalidate(list(self._sockets()))

        self._sweep = self._clock.call_later(interval, sweep)

    async def stop(self) -> None:
        """Stop all timers and wait for running checks."""
        if self._sweep is not None:
            self._sweep.cancel()
        for timer in self._ends.values():
            timer.cancel()
        self._ends.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def revoke(self, *, session_id: str | None = None, user_id: str | None = None) -> int:
        """Revoke a session or a user's logins; return the number of disconnected sockets."""
        self._identity.revoke(session_id=session_id, user_id=user_id)
        return self._disconnect_all(
            self._identity.is_revoked, "This login was revoked: log in again"
        )

    def _schedule_end(self, socket: Socket, principal: Principal) -> None:
        left = self._identity.seconds_left(principal)
        if left is None:
            return
        # A prolonged session is still valid at this time, so the login is re-validated.
        timer = self._clock.call_later(left, lambda: self._revalidate([socket]))
        self._ends[socket] = timer

    def _revalidate(self, sockets: list[Socket]) -> None:
        principals = [principal_of(each) for each in sockets]

        async def check() -> None:
            invalid = {id(each) for each in await self._identity.recheck(principals)}
            if invalid:
                self._disconnect_all(
                    lambda each: id(each) in invalid, "The session has expired: log in again"
                )

        task = asyncio.get_running_loop().create_task(check(), name="hextrackr recheck")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _disconnect_all(self, applies: Callable[[Principal], bool], message: str) -> int:
        """Disconnect the matching sockets with their connections, after an error event."""
        matching = [each for each in self._sockets() if applies(principal_of(each))]
        for socket in matching:
            logger.info(
                "login ended",
                extra=log_setup.fields(socket=socket.id, user=principal_of(socket).user_id),
            )
            body = {"code": ErrorCode.SESSION_EXPIRED, "message": message}
            socket.emit("application-error", body | {"timestamp": self._clock.epoch_ms()})
            socket.disconnect(close=True)
        return len(matching)

    def _sockets(self) -> Iterable[Socket]:
        return [each for name in NAMESPACES for each in self._io.of(name).sockets.values()]


def namespaces(io: SocketServer) -> list[Namespace]:
    """Return the namespaces of the application."""
    return [io.of(name) for name in NAMESPACES]

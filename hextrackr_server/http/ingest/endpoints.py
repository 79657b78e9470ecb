"""Endpoints of the ingest API: path, scope and service of each report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from hextrackr_server.clock import Clock
from hextrackr_server.collaboration.maintenance import Maintenance
from hextrackr_server.collaboration.notifications import Notifications
from hextrackr_server.config.producers import IngestToken
from hextrackr_server.errors import invalid
from hextrackr_server.findings.events import Change, VulnerabilityEvents
from hextrackr_server.http.converters import IMPORT_ID
from hextrackr_server.http.ingest.routes import Path
from hextrackr_server.http.ingest.service import IngestService, parse_user
from hextrackr_server.rooms import Announcer

KEV_STATES = ("started", "fetching", "processing", "completed", "failed", "skipped")
#: Digits of the number of an import.
MAXIMUM_DIGITS = 18
_KEV_NUMBERS = ("newEntries", "total", "matchedCount")
MAXIMUM_CHANGES = 1000

Params = Mapping[str, Any]
Body = dict[str, Any]


class Revoke(Protocol):
    """Function that ends the logins of a session or of a user."""

    def __call__(self, *, session_id: str | None, user_id: str | None) -> int:
        """Disconnect the affected sockets, and return their number."""


class IngestPaths:
    """The paths of the ingest API over their services."""

    def __init__(
        self,
        service: IngestService,
        notifications: Notifications,
        maintenance: Maintenance,
        revoke: Revoke,
        changes: VulnerabilityEvents,
        announcer: Announcer,
        clock: Clock,
    ) -> None:
        self._service = service
        self._notifications = notifications
        self._maintenance = maintenance
        self._revoke_logins = revoke
        self._changes = changes
        self._announcer = announcer
        self._clock = clock

    def paths(self) -> list[Path]:
        """Return all paths of the ingest API."""
        service = self._service
        return [
            Path(
                "POST",
                "emit",
                None,
                lambda producer, _, body: service.emit(producer, body),
                may_end=True,
            ),
            Path(
                "POST",
                "progress/{session_id}",
                "progress",
                lambda _, params, body: service.progress(params["session_id"], body),
                may_end=True,
            ),
            Path("POST", "imports", "progress", lambda _, __, body: service.start_import(body)),
            Path(
                "PATCH",
                f"imports/{{key:{IMPORT_ID}}}",
                "progress",
                lambda _, params, body: service.update_import(_key(params), body),
            ),
            Path(
                "POST",
                f"imports/{{key:{IMPORT_ID}}}/complete",
                "progress",
                lambda _, params, body: service.complete_import(_key(params), body),
                may_end=True,
            ),
            Path(
                "POST",
                f"imports/{{key:{IMPORT_ID}}}/fail",
                "progress",
                lambda _, params, body: service.fail_import(_key(params), body),
                may_end=True,
            ),
            Path(
                "POST",
                f"imports/{{key:{IMPORT_ID}}}/cancel",
                "progress",
                lambda _, params, body: service.cancel_import(_key(params), body),
                may_end=True,
            ),
            Path("POST", "notifications", "broadcast", self._notify_all),
            Path("POST", "users/{user_id}/notifications", "notify", self._notify_user),
            Path("POST", "announcements", "admin", self._announce),
            Path("POST", "maintenance", "admin", self._maintain),
            Path("POST", "sessions/revoke", "admin", self._revoke),
            Path("POST", "vulnerabilities/changes", "broadcast", self._change),
            Path("POST", "kev/sync", "broadcast", self._kev),
        ]

    def _notify_all(self, _: IngestToken, __: Params, body: Body) -> Body:
        return {"id": self._notifications.system(body.get("type"), body.get("message"))}

    def _notify_user(self, _: IngestToken, params: Params, body: Body) -> Body:
        number = self._notifications.user(
            params["user_id"], body.get("type"), body.get("message"), body.get("data")
        )
        return {"id": number}

    def _announce(self, producer: IngestToken, _: Params, body: Body) -> Body:
        number = self._notifications.announce(
            body.get("message"), body.get("priority"), producer.name
        )
        return {"id": number}

    def _maintain(self, producer: IngestToken, _: Params, body: Body) -> Body:
        number = self._maintenance.schedule(
            body.get("startTime"), body.get("duration"), body.get("message"), producer.name
        )
        return {"id": number}

    def _revoke(self, _: IngestToken, __: Params, body: Body) -> Body:
        session, user = body.get("sessionId"), body.get("userId")
        if user is not None:
            user = parse_user("userId", user)
        if not isinstance(session or user, str) or not isinstance(user or session, str):
            raise invalid("Invalid revocation", [("sessionId", "sessionId or userId is required")])
        return {"disconnected": self._revoke_logins(session_id=session, user_id=user)}

    def _change(self, _: IngestToken, __: Params, body: Body) -> Body:
        value = body.get("changes")
        if not isinstance(value, list) or not 0 < len(value) <= MAXIMUM_CHANGES:
            text = f"must be a list of 1 to {MAXIMUM_CHANGES}"
            raise invalid("Invalid changes", [("changes", text)])
        changes = [_change_of(index, each) for index, each in enumerate(value)]
        self._changes.publish(changes)
        return {"accepted": len(changes)}

    def _kev(self, _: IngestToken, __: Params, body: Body) -> Body:
        status = body.get("status")
        if status not in KEV_STATES:
            known = ", ".join(KEV_STATES)
            raise invalid("Invalid status", [("status", f"must be one of {known}")])
        numbers = {"processedCount": body.get("processed", body.get("processedCount", 0))}
        numbers |= {name: body[name] for name in _KEV_NUMBERS if name in body}
        for name, value in numbers.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise invalid(f"Invalid {name}", [(name, "must be a whole number")])
        payload = {"status": status, "newEntries": 0, **numbers}
        for name in ("catalogVersion", "error"):
            if isinstance(body.get(name), str):
                payload[name] = body[name][:500]
        payload["timestamp"] = self._clock.epoch_ms()
        self._announcer.to_all("kev-sync-update", payload)
        return {}


def _change_of(index: int, value: Any) -> Change:
    data = value.get("data") if isinstance(value, dict) else None
    users = value.get("affectedUsers", []) if isinstance(value, dict) else None
    if not isinstance(data, dict) or not isinstance(users, list):
        text = "must be {type, data, affectedUsers?}"
        raise invalid("Invalid changes", [(f"changes[{index}]", text)])
    return Change(value.get("type", ""), data, tuple(str(user) for user in users))


def _key(params: Params) -> int | str:
    """Return the import in a path: its number, or the text that the producer chose."""
    text = params["key"]
    return int(text) if text.isdecimal() and len(text) <= MAXIMUM_DIGITS else text

"""Sends `vulnerability-*` events for changed vulnerabilities.

up to 50 changes     one event per change to all logged-in users, and to the affected users
more                 one summary at once, and the changes in `batch-updates`
an import            one summary; `vulnerability-updated` for each of the 50 most severe findings
                     that the import changed, and up to `MAXIMUM_CHANGES` in `batch-updates`
an undone import     one summary, and `import-undone` to its followers and administrators
restored data        one summary
a KEV catalog        the same `vulnerability-updated` for open findings of its new CVEs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hextrackr_server.clock import Clock
from hextrackr_server.errors import invalid
from hextrackr_server.findings.batcher import UpdateBatcher
from hextrackr_server.rooms import (
    ADMINISTRATORS,
    AUTHENTICATED,
    Emitter,
    import_room,
    user_room,
)

CHANGE_TYPES = ("created", "updated", "deleted", "status_changed")
#: With more changes than this, clients receive a summary first.
THRESHOLD = 50
MAXIMUM_AFFECTED_USERS = 100
#: Changed findings of one import that clients receive, unless the settings contain another number.
MAXIMUM_CHANGES = 500

#: The properties of a vulnerability that clients may receive; all others are removed.
PUBLIC_KEYS = frozenset({
    "id", "hostname", "ip_address", "cve", "severity", "vpr_score", "cvss_score", "plugin_id",
    "plugin_name", "vendor", "first_seen", "last_seen", "scan_date", "state", "lifecycle_state",
    "resolved_date", "resolution_reason", "status", "isKev", "dueDate",
    "knownRansomwareCampaignUse", "hosts", "countsDelta",
})  # fmt: skip
_TYPE_OF_STATE = {"active": "created", "reopened": "status_changed", "resolved": "status_changed"}


class Change(NamedTuple):
    """One change of one vulnerability, and the affected users, who receive a personal event."""

    type: str
    data: dict[str, Any]
    affected_users: tuple[str, ...] = ()


class VulnerabilityEvents:
    """The sender of change events to all logged-in sockets."""

    def __init__(self, emitter: Emitter, batcher: UpdateBatcher, clock: Clock) -> None:
        self._emitter = emitter
        self._batcher = batcher
        self._clock = clock

    def publish(self, changes: Sequence[Change]) -> None:
        """Send changes; if one is malformed, raise ServiceError and send none."""
        checked = [_checked(index, change) for index, change in enumerate(changes)]
        if len(checked) > THRESHOLD:
            self._summarize({name: _count(checked, name) for name in CHANGE_TYPES})
            for change in checked:
                self._batcher.add(AUTHENTICATED, "vulnerability-change", self._payload(change))
            return
        for change in checked:
            payload = self._payload(change)
            self._emitter.emit(AUTHENTICATED, "vulnerability-change", payload)
            if change.type in {"updated", "status_changed"} and "id" in change.data:
                self.updated(change.data["id"], change.data)
            if change.affected_users:
                # One broadcast to all rooms: a socket in several rooms receives one event.
                rooms = tuple(user_room(user) for user in change.affected_users)
                notification = payload | {"personalized": True}
                self._emitter.emit(rooms, "vulnerability-notification", notification)

    def updated(self, vulnerability_id: int | str, data: Mapping[str, Any]) -> None:
        """Send the current properties of a vulnerability to clients that display it."""
        payload = {
            "id": vulnerability_id,
            "data": _public(data),
            "timestamp": self._clock.epoch_ms(),
        }
        self._emitter.emit(AUTHENTICATED, "vulnerability-updated", payload)

    def import_committed(
        self, import_id: int, summary: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> None:
        """Send the changes of an import; `changes` is the value of `Importer.changes`."""
        rows = changes["rows"]
        self._summarize(
            {
                "importId": import_id,
                "created": summary["inserted"],
                "updated": summary["updated"],
                "resolved": summary["resolved"],
                "reopened": summary["reopened"],
                "topCritical": [_public(row) for row in changes["topCritical"]],
                "changes": {"sent": len(rows), "more": changes["total"] - len(rows)},
            }
        )
        self.findings_updated(rows)
        if changes["total"] <= THRESHOLD:
            for row in rows:
                change = Change(_TYPE_OF_STATE[row["lifecycle_state"]], _public(row))
                self._batcher.add(AUTHENTICATED, "vulnerability-change", self._payload(change))

    def import_undone(self, import_id: int, user_id: str, counts: Mapping[str, int]) -> None:
        """Send the numbers of findings that the undo of an import deleted and restored.

        `import-undone` goes to the room of the import, its user and administrators; all users
        receive a summary.
        """
        rooms = (import_room(import_id), user_room(user_id), ADMINISTRATORS)
        payload = {"importId": import_id, **counts, "timestamp": self._clock.epoch_ms()}
        self._emitter.emit(rooms, "import-undone", payload)
        self._summarize({"importId": import_id, "undone": True, **counts})

    def data_restored(self, backup_ms: int) -> None:
        """Send a summary: all data were replaced by a backup of that time, in ms since 1970."""
        self._summarize({"dataRestored": True, "backupTime": backup_ms})

    def findings_updated(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Send `vulnerability-updated` for findings, the most severe first, each with its `id`.

        The first 50 are events, the others are in `batch-updates`.
        """
        for row in rows[:THRESHOLD]:
            self.updated(row["id"], row)
        for row in rows[THRESHOLD:]:
            update = {"id": row["id"], "data": _public(row), "timestamp": self._clock.epoch_ms()}
            self._batcher.add(AUTHENTICATED, "vulnerability-updated", update)

    def _summarize(self, counts: Mapping[str, Any]) -> None:
        payload = self._payload(Change("updated", {"summary": True, **counts}))
        self._emitter.emit(AUTHENTICATED, "vulnerability-change", payload)

    def _payload(self, change: Change) -> dict[str, Any]:
        return {"type": change.type, "data": change.data, "timestamp": self._clock.epoch_ms()}


def _checked(index: int, change: Change) -> Change:
    problems = []
    if change.type not in CHANGE_TYPES:
        problems.append(("type", "must be one of: " + ", ".join(CHANGE_TYPES)))
    if change.type == "deleted" and "id" not in change.data:
        problems.append(("data.id", "must identify the deleted vulnerability"))
    if len(change.affected_users) > MAXIMUM_AFFECTED_USERS:
        problems.append(("affectedUsers", f"must name at most {MAXIMUM_AFFECTED_USERS} users"))
    if problems:
        named = [(f"changes[{index}].{path}", message) for path, message in problems]
        raise invalid("Invalid changes", named)
    data = {"id": change.data["id"]} if change.type == "deleted" else _public(change.data)
    users = tuple(dict.fromkeys(change.affected_users))
    return Change(change.type, data, users)


def _public(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name in PUBLIC_KEYS}


def _count(changes: Sequence[Change], change_type: str) -> int:
    return sum(change.type == change_type for change in changes)

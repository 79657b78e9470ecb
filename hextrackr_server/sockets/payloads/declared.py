"""The events that the hub sends, with their payloads.

Producers may relay events of the same names; the hub does not check their payloads.
"""

from __future__ import annotations

from hextrackr_server.sockets.payloads.collaboration import (
    EditingChange,
    MaintenanceWindow,
    SystemAnnouncement,
    SystemNotification,
    UserNotification,
)
from hextrackr_server.sockets.payloads.common import ApplicationError
from hextrackr_server.sockets.payloads.findings import (
    BatchUpdates,
    KevSyncUpdate,
    VulnerabilityChange,
    VulnerabilityUpdate,
)
from hextrackr_server.sockets.payloads.imports import (
    ImportEnded,
    ImportProgress,
    ImportStarted,
    ImportUndone,
    ProgressComplete,
    ProgressError,
    ProgressStatus,
    ProgressUpdate,
)
from socketio_core import SocketServer, server_event


@server_event("import-started")
def import_started(started: ImportStarted) -> None:
    """Report the start of an import to its user."""


@server_event("import-progress")
def import_progress(progress: ImportProgress) -> None:
    """Report the progress of an import to its room, and in coarse steps to its user."""


@server_event("import-completed")
def import_completed(end: ImportEnded) -> None:
    """Report a completed import to its room."""


@server_event("import-finished")
def import_finished(end: ImportEnded) -> None:
    """Report a completed import to its user."""


@server_event("import-failed")
def import_failed(end: ImportEnded) -> None:
    """Report a failed import to its room and its user."""


@server_event("import-cancelled")
def import_cancelled(end: ImportEnded) -> None:
    """Report a cancelled import to its room and its user."""


@server_event("import-undone")
def import_undone(undone: ImportUndone) -> None:
    """Report an undone import to its room, its user and administrators."""


@server_event("progress-update")
def progress_update(progress: ProgressUpdate) -> None:
    """Report the progress of a session to the sockets that joined the session."""


@server_event("progress-complete")
def progress_complete(end: ProgressComplete) -> None:
    """Report a completed session to the sockets that joined the session."""


@server_event("progress-error")
def progress_error(error: ProgressError) -> None:
    """Report a failed session to the sockets that joined the session."""


@server_event("progress-status")
def progress_status(status: ProgressStatus) -> None:
    """Report the state of a session at its end, and when a socket joins the session."""


@server_event("vulnerability-change")
def vulnerability_change(change: VulnerabilityChange) -> None:
    """Report a changed finding, or the summary of many, to all users."""


@server_event("vulnerability-updated")
def vulnerability_updated(update: VulnerabilityUpdate) -> None:
    """Send the current properties of a finding to all users."""


@server_event("vulnerability-notification")
def vulnerability_notification(change: VulnerabilityChange) -> None:
    """Report a changed finding to an affected user."""


@server_event("batch-updates")
def batch_updates(updates: BatchUpdates) -> None:
    """Send further changes of findings, by type of event, to all users."""


@server_event("kev-sync-update")
def kev_sync_update(update: KevSyncUpdate) -> None:
    """Report the progress of a synchronization of the KEV catalog to all users."""


@server_event("system-notification")
def system_notification(notification: SystemNotification) -> None:
    """Send a notification to all users."""


@server_event("user-notification")
def user_notification(notification: UserNotification) -> None:
    """Notify one user; with HEXTRACKR_NOTIFICATION_ACKS=true, the client acknowledges."""


@server_event("user-started-editing")
def user_started_editing(change: EditingChange) -> None:
    """Report a user who edits a resource to all other users, or to its watchers."""


@server_event("user-stopped-editing")
def user_stopped_editing(change: EditingChange) -> None:
    """Report a user who stopped editing to all other users, or to the watchers."""


@server_event("pong")
def pong() -> None:
    """Answer the event `ping`."""


@server_event("application-error")
def application_error(error: ApplicationError) -> None:
    """Report an error that no acknowledgement contains to the affected client."""


@server_event("system-announcement")
def system_announcement(announcement: SystemAnnouncement) -> None:
    """Send a message of an administrator in every namespace."""


@server_event("maintenance-scheduled")
def maintenance_scheduled(window: MaintenanceWindow) -> None:
    """Announce a maintenance window in every namespace."""


#: Events of the namespace "/" only.
MAIN_EVENTS = (
    import_started, import_progress, import_completed, import_finished, import_failed,
    import_cancelled, import_undone, progress_update, progress_complete, progress_error,
    progress_status, vulnerability_change, vulnerability_updated, vulnerability_notification,
    batch_updates, kev_sync_update, system_notification, user_notification, user_started_editing,
    user_stopped_editing, pong,
)  # fmt: skip
#: Events of all namespaces.
SHARED_EVENTS = (application_error, system_announcement, maintenance_scheduled)


def declare(io: SocketServer, namespaces: tuple[str, ...]) -> None:
    """Add the events to the documents of a server with these namespaces."""
    io.declare(*MAIN_EVENTS)
    for name in namespaces:
        io.of(name).declare(*SHARED_EVENTS)

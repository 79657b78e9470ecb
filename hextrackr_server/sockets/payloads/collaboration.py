"""Types of the payloads of presence, notifications and maintenance."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

ResourceType: TypeAlias = Literal["ticket", "vulnerability", "device", "import", "template"]
ResourceId: TypeAlias = int | str
Priority: TypeAlias = Literal["low", "normal", "high", "critical"]


class Editor(TypedDict):
    """A user who edits a resource; `socketId` is that of the receiving socket."""

    userId: str
    username: str
    startTime: int
    socketId: NotRequired[str]


class Editors(TypedDict):
    """The acknowledgement with the editors of a resource."""

    success: Literal[True]
    currentEditors: list[Editor]


class EditingUser(TypedDict):
    """The ID and the name of a user."""

    id: str
    username: str


class EditingChange(TypedDict):
    """A user who started or stopped editing a resource."""

    resourceType: ResourceType
    resourceId: ResourceId
    userId: str
    user: EditingUser
    timestamp: int


class SystemNotification(TypedDict):
    """A notification for all users; one of a maintenance has the ID of its window."""

    id: str
    type: str
    message: str
    timestamp: int
    maintenanceId: NotRequired[str]


class UserNotification(TypedDict):
    """A notification for one user; it may arrive twice with the same ID."""

    id: str
    type: str
    message: str
    timestamp: int
    data: NotRequired[Any]


class Announcement(TypedDict):
    """A message of an administrator."""

    message: str
    priority: NotRequired[Priority | None]


# A class cannot declare `from`, a keyword of Python.
SystemAnnouncement = TypedDict(
    "SystemAnnouncement",
    {"id": str, "message": str, "priority": Priority, "timestamp": int, "from": str},
)


class MaintenanceRequest(TypedDict):
    """A maintenance window; the duration is in milliseconds, the start may be ISO 8601 text."""

    startTime: int | str
    duration: int
    message: NotRequired[str | None]


class MaintenanceWindow(TypedDict):
    """A planned or active maintenance window; times are milliseconds."""

    id: str
    startTime: int
    duration: int
    scheduledBy: str
    isActive: bool
    timestamp: int
    message: NotRequired[str]


class Created(TypedDict):
    """The acknowledgement with the ID of a new object."""

    success: Literal[True]
    id: str

"""Types of the rows and records that `get-data` and the lists of administrators return."""

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias, TypedDict

from hextrackr_server.sockets.payloads.collaboration import MaintenanceWindow
from hextrackr_server.sockets.payloads.imports import ImportState


class Vulnerability(TypedDict):
    """A row of the lists of open and resolved findings."""

    id: int
    hostname: str
    ip_address: str
    cve: str
    severity: str
    vpr_score: float | None
    cvss_score: float | None
    plugin_id: str
    plugin_name: str
    vendor: str
    vulnerability_date: str | None
    first_seen: str
    last_seen: str
    scan_date: str
    state: str
    lifecycle_state: Literal["active", "reopened", "resolved"]
    resolved_date: str | None
    resolution_reason: str | None
    source: str
    host_key: str
    kev_due_date: str | None
    known_ransomware_use: int | None
    kev_required_action: str | None
    isKev: Literal["Yes", "No"]


class VulnerabilityDetails(Vulnerability):
    """The columns of one finding, with its texts."""

    description: str
    solution: str
    operating_system: str
    import_id: int


class Device(TypedDict):
    """A host with its open vulnerabilities."""

    hostname: str
    hostKey: str
    totalCount: int
    totalVPR: float
    criticalCount: int
    criticalVPR: float
    highCount: int
    highVPR: float
    mediumCount: int
    mediumVPR: float
    lowCount: int
    lowVPR: float
    hasKev: bool


class ImportJob(TypedDict):
    """An import in the list of imports."""

    import_id: int
    session_id: str
    user_id: str
    filename: str
    vendor: str | None
    scan_date: str | None
    scope: str | None
    status: str
    total: int | None
    processed: int
    errors: int
    error_code: str | None
    error_message: str | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    undone_at: int | None
    profile: str | None
    findings: int | None
    inserted: int | None
    updated: int | None
    reopened: int | None
    resolved: int | None
    withheld: int | None
    warnings: int | None
    confirmation_required: bool | None


class ImportRecord(ImportState):
    """The state of one import, and its row in the list of imports."""

    job: ImportJob | None


class ImportEntry(ImportState):
    """A running or recently ended import; `external` is one that a producer does."""

    userId: str | None
    filename: str
    vendor: str | None
    external: bool
    interrupted: bool


class Source(TypedDict):
    """A format that reports findings, with the number of its open findings."""

    source: str
    title: str
    findings: int


class KevEntry(TypedDict):
    """An entry of the KEV catalog; `matched` is whether it has open findings."""

    cve_id: str
    date_added: str
    vulnerability_name: str
    vendor_project: str
    product: str
    short_description: str
    required_action: str
    due_date: str
    known_ransomware_use: int
    notes: str
    cwes: str
    last_synced: int
    matched: bool
    open_findings: int
    hosts: int
    max_severity: str | None


class Ticket(TypedDict):
    """A ticket as the list of tickets contains it."""

    id: str
    xt_number: str | None
    date_submitted: str | None
    date_due: str | None
    hexagon_ticket: str | None
    service_now_ticket: str | None
    location: str
    devices: str | None
    supervisor: str | None
    tech: str | None
    status: str | None
    notes: str | None
    site: str | None
    job_type: str | None
    created_at: str | None
    updated_at: str | None


class DayTotals(TypedDict):
    """Open vulnerabilities of a severity on a day."""

    count: int
    total_vpr: float


class TrendDay(TypedDict):
    """The totals of a scan day."""

    date: str
    Critical: DayTotals
    High: DayTotals
    Medium: DayTotals
    Low: DayTotals
    resolved: int
    reopened: int


class ResourceEditor(TypedDict):
    """A user who edits a resource."""

    resourceType: str
    resourceId: int | str
    userId: str
    username: str
    startTime: int


class Pagination(TypedDict):
    """The place of a page among all rows."""

    page: int
    limit: int
    total: int
    pages: int


Rows: TypeAlias = (
    list[Vulnerability]
    | list[Device]
    | list[ImportJob]
    | list[ImportEntry]
    | list[Source]
    | list[KevEntry]
    | list[Ticket]
    | list[TrendDay]
    | list[ResourceEditor]
)


class DataAnswer(TypedDict):
    """The acknowledgement of `get-data`: the rows of a list, or one record."""

    success: Literal[True]
    data: Rows | VulnerabilityDetails | ImportRecord
    pagination: NotRequired[Pagination]


# -- lists of administrators


class ConnectedClient(TypedDict):
    """A connected socket; `since` is its time in milliseconds."""

    id: str
    userId: str
    username: str
    role: str
    namespace: str
    address: str
    transport: str
    since: int
    recovered: bool
    userAgent: str
    rooms: list[str]


class ClientList(TypedDict):
    """The acknowledgement of `list-clients`."""

    success: Literal[True]
    data: list[ConnectedClient]
    pagination: Pagination


class DisconnectedClient(TypedDict):
    """The acknowledgement of `disconnect-client`."""

    success: Literal[True]
    id: str
    userId: str


class MaintenanceList(TypedDict):
    """The acknowledgement of `list-maintenance`."""

    success: Literal[True]
    data: list[MaintenanceWindow]


class Metrics(TypedDict):
    """Numbers of the server since its start; gauges are present values."""

    totalConnections: int
    activeConnections: int
    reconnections: int
    errors: int
    errorsByType: dict[str, int]
    uptimeSeconds: float
    memoryBytes: int
    gauges: dict[str, float | bool]
    timestamp: int


class MetricsAnswer(TypedDict):
    """The acknowledgement of `get-metrics`."""

    success: Literal[True]
    data: Metrics

"""Types of the payloads of findings: filters, statistics and changes; `lists` has the lists."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

Severity: TypeAlias = Literal["critical", "high", "medium", "low", "info", "unknown"]
Severities: TypeAlias = Severity | str | list[Severity]


class FindingFilters(TypedDict, total=False):
    """Filters of findings; an empty or missing one selects all. Dates look like 2025-09-30."""

    severity: Severities | None
    isKev: bool | None
    vendor: str | None
    source: str | None
    cve: str | None
    host: str | None
    hostname: str | None
    search: str | None
    scanDate: str | None
    since: str | None


class NestedFilters(TypedDict):
    """The same filters, inside an object."""

    filters: FindingFilters | None


class SeverityTotals(TypedDict):
    """Open vulnerabilities of a severity; dates look like 2025-09-30."""

    count: int
    total_vpr: float
    avg_vpr: float
    earliest: str | None
    latest: str | None


class Totals(TypedDict):
    """Numbers of open vulnerabilities, findings, devices and CVEs."""

    vulnerabilities: int
    findings: int
    total_vpr: float
    devices: int
    cves: int


class SeverityChange(TypedDict):
    """The difference between the last two scan days."""

    count_change: int
    vpr_change: float


class Trend(TypedDict):
    """The differences of all severities between the last two scan days."""

    Critical: SeverityChange
    High: SeverityChange
    Medium: SeverityChange
    Low: SeverityChange


class KevNumbers(TypedDict):
    """Numbers of entries of the KEV catalog: all, with ransomware use, open, overdue."""

    total_kevs: int
    ransomware_kevs: int
    matched_kevs: int
    overdue_kevs: int


class VendorTotals(TypedDict):
    """Open vulnerabilities of a vendor."""

    vendor: str
    count: int
    avgVpr: float
    maxVpr: float
    affectedDevices: int


class LastImport(TypedDict):
    """The last completed import."""

    importId: int
    filename: str
    vendor: str | None
    scanDate: str | None
    rowCount: int | None


class SeverityNumbers(TypedDict):
    """The totals of all severities."""

    critical: SeverityTotals
    high: SeverityTotals
    medium: SeverityTotals
    low: SeverityTotals
    info: SeverityTotals
    unknown: SeverityTotals


class Statistics(TypedDict):
    """Statistics of open findings; `trend` is null with filters."""

    bySeverity: SeverityNumbers
    totals: Totals
    trend: Trend | None
    kev: KevNumbers
    vendors: list[VendorTotals]
    lastImport: LastImport | None
    generatedAt: int


class StatisticsAnswer(TypedDict):
    """The acknowledgement of `get-vulnerability-stats`."""

    success: Literal[True]
    data: Statistics


class FindingProperties(TypedDict, total=False):
    """Properties of a changed finding, or of a CVE in the KEV catalog."""

    id: int | str
    hostname: str
    ip_address: str
    cve: str
    severity: str
    vpr_score: float | None
    cvss_score: float | None
    plugin_id: str
    plugin_name: str
    vendor: str
    first_seen: str
    last_seen: str
    scan_date: str
    state: str
    lifecycle_state: Literal["active", "reopened", "resolved"]
    resolved_date: str | None
    resolution_reason: str | None
    status: str
    isKev: bool
    dueDate: str
    knownRansomwareCampaignUse: bool
    hosts: int | list[str]
    countsDelta: dict[str, Any]


class SentChanges(TypedDict):
    """The numbers of changed findings that the hub sent and did not send."""

    sent: int
    more: int


class ChangeSummary(TypedDict):
    """The summary of many changes; an import has all numbers of its findings."""

    summary: Literal[True]
    importId: NotRequired[int]
    created: NotRequired[int]
    updated: NotRequired[int]
    deleted: NotRequired[int]
    status_changed: NotRequired[int]
    resolved: NotRequired[int]
    reopened: NotRequired[int]
    restored: NotRequired[int]
    undone: NotRequired[Literal[True]]
    dataRestored: NotRequired[Literal[True]]
    backupTime: NotRequired[int]
    topCritical: NotRequired[list[FindingProperties]]
    changes: NotRequired[SentChanges]


class VulnerabilityChange(TypedDict):
    """A change of a finding, or the summary of many; `personalized` marks one for its user."""

    type: Literal["created", "updated", "deleted", "status_changed"]
    data: ChangeSummary | FindingProperties
    timestamp: int
    personalized: NotRequired[Literal[True]]


class VulnerabilityUpdate(TypedDict):
    """The current properties of a finding."""

    id: int | str
    data: FindingProperties
    timestamp: int


BatchUpdates = TypedDict(
    "BatchUpdates",
    {
        "vulnerability-change": NotRequired[list[VulnerabilityChange]],
        "vulnerability-updated": NotRequired[list[VulnerabilityUpdate]],
    },
)


class KevSyncUpdate(TypedDict):
    """The progress of a synchronization of the KEV catalog."""

    status: Literal["started", "fetching", "processing", "completed", "failed", "skipped"]
    processedCount: int
    newEntries: int
    timestamp: int
    total: NotRequired[int]
    matchedCount: NotRequired[int]
    catalogVersion: NotRequired[str | None]
    changes: NotRequired[SentChanges]
    problemEntries: NotRequired[int]
    error: NotRequired[str]

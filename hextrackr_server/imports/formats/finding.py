"""The finding that every format is mapped to: one vulnerability on one host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from hextrackr_server.imports.formats.profile import Severity

ClosedAs = Literal["fixed", "accepted", "false_positive", "inactive"]


@dataclass(slots=True)
class Finding:
    """One vulnerability on one host.

    `host_key` identifies the host: its address, otherwise its whole name. `identity` identifies the
    finding on the host: the CVE, otherwise the plugin's id, otherwise the plugin's name. Scores are
    0 to 10, days are YYYY-MM-DD. `extra` holds values that not every format has.
    """

    row_number: int
    hostname: str
    ip_address: str
    host_key: str
    cve: str
    severity: Severity
    cvss_score: float | None
    vpr_score: float | None
    plugin_id: str
    plugin_name: str
    description: str
    solution: str
    vendor: str
    first_seen: str
    last_seen: str
    vulnerability_date: str | None
    state: str
    closed_as: ClosedAs | None
    operating_system: str
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Return the value that identifies this finding on its host."""
        return self.cve or self.plugin_id or self.plugin_name

    @property
    def lifecycle_state(self) -> Literal["active", "resolved"]:
        """Return whether the finding is open."""
        return "active" if self.closed_as is None else "resolved"

    def as_json(self) -> dict[str, Any]:
        """Return the finding with the keys of the HTTP API and of `inspect --json`."""
        extra = dict(self.extra)
        if self.closed_as is not None:
            extra["closed_as"] = self.closed_as
        return {
            "hostname": self.hostname,
            "ip_address": self.ip_address,
            "host_key": self.host_key,
            "cve": self.cve,
            "severity": self.severity,
            "cvss_score": self.cvss_score,
            "vpr_score": self.vpr_score,
            "plugin_id": self.plugin_id,
            "plugin_name": self.plugin_name,
            "vendor": self.vendor,
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "vulnerability_date": self.vulnerability_date,
            "state": self.state,
            "lifecycle_state": self.lifecycle_state,
            "operating_system": self.operating_system,
            "extra": extra,
        }


_WEIGHTS = {"Critical": 5, "High": 4, "Medium": 3, "Low": 2, "Info": 1, "Unknown": 0}


def weight(finding: Finding) -> tuple[bool, int, float]:
    """Return the order by which one of several findings with one identity is kept.

    An open finding outweighs a closed one, then the severity counts, then the score.
    """
    return finding.closed_as is None, _WEIGHTS[finding.severity], finding.cvss_score or 0.0

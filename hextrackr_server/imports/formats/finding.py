"""The finding that every format is mapped to: one vulnerability on one host."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Literal

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


_WEIGHTS: Final = {"Critical": 5, "High": 4, "Medium": 3, "Low": 2, "Info": 1, "Unknown": 0}
_OPEN: Final = 1_000_000


def weight(finding: Finding) -> int:
    """Return the weight by which one of several findings with one identity is kept.

    An open finding outweighs a closed one, then the severity counts, then the score.
    """
    is_open = _OPEN if finding.closed_as is None else 0
    return is_open + _WEIGHTS[finding.severity] * 1000 + round((finding.cvss_score or 0.0) * 10)


def unique_key(cve: str, plugin_id: str, plugin_name: str, host_key: str, ids: str) -> str:
    """Return the key that identifies a finding in all imports."""
    return f"{identity_key(cve, plugin_id, plugin_name, ids)}|host:{host_key}"


def identity_key(cve: str, plugin_id: str, plugin_name: str, ids: str) -> str:
    """Return the part of the key that identifies a finding on its host.

    The CVE identifies it, otherwise the plugin's id among those of one tool (`ids`), otherwise the
    plugin's name. Descriptions and vendors differ from export to export.
    """
    if cve:
        return f"cve:{cve}"
    if plugin_id:
        return f"plugin:{ids}:{plugin_id}"
    digest = blake2b(plugin_name.lower().encode("utf-8", "replace"), digest_size=16).hexdigest()
    return f"name:{digest}"

"""Maps one row of a scanner export to the findings that it reports.

The module owns the column names of Tenable exports and their aliases, the normalization of values
and the key that identifies a finding across imports. A finding is one vulnerability on one host; a
row with three CVEs contains three findings. Reading files is up to `csv_reader`, storing findings
to `store`.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TypedDict

from hextrackr_server.text import clean, clean_text, iso_date

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "cve": ("definition.cve", "cve"),
    "hostname": ("asset.name", "hostname", "Host", "Device"),
    "ip_address": (
        "asset.display_ipv4_address",
        "asset.ipv4_addresses",
        "ip_address",
        "IP Address",
    ),
    "severity": ("severity",),
    "vpr_score": (
        "definition.vpr.score",
        "definition.vpr_v2.score",
        "vpr_score",
        "VPR Score",
        "vpr",
    ),
    "cvss_score": (
        "cvss_score",
        "CVSS Score",
        "cvss",
        "definition.cvss3.base_score",
        "definition.cvss_score",
    ),
    "vendor": ("definition.family", "vendor"),
    "plugin_id": ("definition.id", "plugin_id", "Plugin ID"),
    "plugin_name": ("definition.name", "plugin_name", "description"),
    "description": ("definition.description", "definition.name", "plugin_name", "description"),
    "vulnerability_date": (
        "definition.plugin_published",
        "definition.plugin_updated",
        "definition.vulnerability_published",
        "vulnerability_date",
        "plugin_published",
    ),
    "first_seen": ("first_seen", "First Seen"),
    "last_seen": ("last_seen", "Last Seen"),
    "state": ("state",),
    "operating_system": ("asset.operating_systems",),
    "solution": ("definition.solution", "solution"),
    "asset_id": ("asset.id", "asset_id", "Asset ID"),
}
# A file must have one column of each group; a description alone identifies no finding.
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "host": (*COLUMNS["hostname"], *COLUMNS["ip_address"]),
    "vulnerability": (*COLUMNS["cve"], *COLUMNS["plugin_id"], "definition.name", "plugin_name"),
}
_SEVERITY_WORDS = {
    "critical": "Critical",
    "high": "High",
    "medium": "Medium",
    "moderate": "Medium",
    "low": "Low",
    "info": "Info",
    "informational": "Info",
    "none": "Info",
}
_SEVERITY_WEIGHT = {"Critical": 5, "High": 4, "Medium": 3, "Low": 2, "Info": 1, "Unknown": 0}
_FIXED_STATES = frozenset({"FIXED", "REMEDIATED", "RESOLVED", "CLOSED"})
_NAME, _SHORT = 500, 255
#: CVEs taken from one row; each becomes a finding with all texts of the row.
MAXIMUM_ADVISORIES = 500

_ADVISORY = re.compile(r"\bCVE-\d{4}-\d{4,19}(?!\d)|\bcisco-sa-[a-z0-9_-]{3,100}", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?\d{1,20}(?:\.\d{0,20})?(?:[eE][+-]?\d{1,3})?")


class Finding(TypedDict):
    """One vulnerability on one host with normalized values and its identifying key."""

    row_number: int
    hostname: str
    ip_address: str
    cve: str
    severity: str
    vpr_score: float | None
    cvss_score: float | None
    plugin_id: str
    plugin_name: str
    description: str
    solution: str
    vendor: str
    vulnerability_date: str | None
    first_seen: str
    last_seen: str
    state: str
    operating_system: str
    unique_key: str
    dedup_tier: int
    confidence_score: int
    lifecycle_state: str
    weight: int


#: A value that a rejected row contains: a column of the findings table, and its value.
Mention = tuple[str, str]


class RowRejected(Exception):
    """A row without a usable finding: the column at fault and the reason.

    `mentions` contains the values that could be read. The row may refer to any finding with one of
    these values, and to every finding if `mentions` is empty.
    """

    def __init__(self, column: str, message: str, mentions: Sequence[Mention] = ()) -> None:
        super().__init__(message)
        self.column = column
        self.message = message
        self.mentions = [mention for mention in mentions if mention[1]]


def missing_columns(header: Sequence[str]) -> list[tuple[str, str]]:
    """Return the required columns that a header lacks, as (group, message with the names)."""
    present = {name.lower() for name in header}
    return [
        (group, "one of these columns is needed: " + ", ".join(names))
        for group, names in _REQUIRED.items()
        if present.isdisjoint(name.lower() for name in names)
    ]


class RowMapper:
    """A mapper for the rows of one file, which looks up the header once."""

    __slots__ = ("_default_vendor", "_indexes", "_names", "_scan_date", "warnings")

    def __init__(self, header: Sequence[str], scan_date: str, default_vendor: str = "") -> None:
        positions: dict[str, int] = {}
        for index, name in enumerate(header):
            positions.setdefault(name.lower(), index)
        self._indexes = {
            field: tuple(positions[name.lower()] for name in names if name.lower() in positions)
            for field, names in COLUMNS.items()
        }
        self._names = tuple(header)
        self._scan_date = scan_date
        self._default_vendor = default_vendor
        #: Values of the last mapped row that were left out, as (column, message).
        self.warnings: list[tuple[str, str]] = []

    def findings(self, number: int, cells: list[str]) -> list[Finding]:
        """Return the findings of a row; raise RowRejected if the row contains none."""
        self.warnings = []
        self._check_length(cells)
        hostname, ip_address = self._host(cells)
        severity = self._severity(cells)
        vpr_score = self._score(cells, "vpr_score")
        plugin_id = clean(self._first(cells, "plugin_id"), _SHORT)
        plugin_name = clean(self._first(cells, "plugin_name"), _NAME)
        advisories = self._advisories(cells)
        if not (advisories or plugin_id or plugin_name):
            mentions = [("hostname", hostname), ("ip_address", ip_address)]
            message = "the row names no CVE and no plugin"
            if cell := clean(self._first(cells, "cve"), 40):
                message = (
                    f"{cell!r} is not a CVE ID (expected e.g. CVE-2024-1000), "
                    "and the row names no plugin"
                )
            raise RowRejected(self._column("cve"), message, mentions)
        description = clean_text(self._first(cells, "description"))
        state = clean(self._first(cells, "state"), 64) or "ACTIVE"
        fixed = state.upper() in _FIXED_STATES
        finding = Finding(
            row_number=number,
            hostname=hostname,
            ip_address=ip_address,
            cve="",
            severity=severity,
            vpr_score=vpr_score,
            cvss_score=self._score(cells, "cvss_score"),
            plugin_id=plugin_id,
            plugin_name=plugin_name,
            description=description,
            solution=clean_text(self._first(cells, "solution")),
            vendor=vendor_group(self._first(cells, "vendor") or self._default_vendor),
            vulnerability_date=iso_date(self._first(cells, "vulnerability_date")),
            first_seen=iso_date(self._first(cells, "first_seen")) or self._scan_date,
            last_seen=iso_date(self._first(cells, "last_seen")) or self._scan_date,
            state=state,
            operating_system=clean(self._first(cells, "operating_system"), _SHORT),
            unique_key="",
            dedup_tier=0,
            confidence_score=0,
            lifecycle_state="resolved" if fixed else "active",
            weight=_weight(severity, vpr_score, fixed),
        )
        return self._per_advisory(
            finding, advisories, clean(self._first(cells, "asset_id"), _SHORT)
        )

    def _first(self, cells: list[str], field: str) -> str:
        """Return the first nonempty cell among the columns of a field."""
        for index in self._indexes[field]:
            if index < len(cells) and (value := cells[index].strip()):
                return value
        return ""

    def _column(self, field: str) -> str:
        """Return the name of a field's column in this file."""
        indexes = self._indexes[field]
        return self._names[indexes[0]] if indexes else field

    def _check_length(self, cells: list[str]) -> None:
        # A row that is too short lacks optional cells; in one that is too long, cells are shifted.
        expected = len(self._names)
        if len(cells) > expected and any(cells[expected:]):
            message = f"the row has {len(cells)} cells, the header {expected}"
            raise RowRejected("", message)

    def _host(self, cells: list[str]) -> tuple[str, str]:
        ip_address = first_address(self._first(cells, "ip_address"))
        hostname = host_name(self._first(cells, "hostname")) or ip_address
        if not hostname:
            # Without a limit: findings of an omitted CVE would count as absent and be resolved.
            named = advisories_in(self._first(cells, "cve"))
            named = named or advisories_in(self._first(cells, "plugin_name"))
            mentions = [("cve", each) for each in named]
            mentions.append(("plugin_id", clean(self._first(cells, "plugin_id"), _SHORT)))
            raise RowRejected(self._column("hostname"), "the row names no host", mentions)
        return hostname, ip_address

    def _severity(self, cells: list[str]) -> str:
        cell = self._first(cells, "severity")
        severity = _SEVERITY_WORDS.get(cell.lower(), "Unknown")
        if severity == "Unknown" and cell:
            self._warn("severity", f"{clean(cell, 40)!r} is not a known severity")
        return severity

    def _score(self, cells: list[str], field: str) -> float | None:
        cell = self._first(cells, field)
        value = score(cell)
        if value is None and cell:
            self._warn(field, f"{clean(cell, 40)!r} is not a number; the score is left out")
        return value

    def _advisories(self, cells: list[str]) -> list[str]:
        """Return the CVEs or Cisco advisories of a row, or else those in its plugin name."""
        cell = self._first(cells, "cve")
        found = advisories_in(cell)
        if len(found) > MAXIMUM_ADVISORIES:
            message = f"the row has {len(found)} CVEs; the first {MAXIMUM_ADVISORIES} are imported"
            self._warn("cve", message)
            del found[MAXIMUM_ADVISORIES:]
        if not found:
            found = advisories_in(self._first(cells, "plugin_name"))[:1]
            if cell:
                self._warn("cve", f"{clean(cell, 40)!r} is not a CVE ID")
        return found

    def _warn(self, field: str, message: str) -> None:
        self.warnings.append((self._column(field), message))

    @staticmethod
    def _per_advisory(finding: Finding, advisories: list[str], asset_id: str) -> list[Finding]:
        if not advisories:
            return [_with_unique_key(finding, asset_id)]
        description = finding["description"]
        findings = []
        for advisory in advisories:
            copy = finding.copy()
            copy["cve"] = advisory
            if len(advisories) > 1:
                copy["description"] = f"{description} ({advisory})".strip()
            findings.append(_with_unique_key(copy, asset_id))
        return findings


def _with_unique_key(finding: Finding, asset_id: str) -> Finding:
    """Set the key that identifies a finding in later imports, and return the finding.

    The CVE takes precedence over the asset and the plugin: a row with three CVEs has one asset and
    one plugin, and two plugins that report one CVE on one host report one finding.
    """
    host = finding["ip_address"] or finding["hostname"]
    cve, plugin_id = finding["cve"], finding["plugin_id"]
    if cve:
        key, tier, confidence = f"cve:{cve}|host:{host}", 2, 85
    elif asset_id and plugin_id:
        key, tier, confidence = f"asset:{asset_id}|plugin:{plugin_id}", 1, 95
    elif plugin_id:
        key, tier, confidence = f"plugin:{plugin_id}|host:{host}|vendor:{finding['vendor']}", 3, 70
    else:
        text = finding["description"] or finding["plugin_name"]
        digest = blake2b(text[:50].encode(), digest_size=8).hexdigest()
        key, tier, confidence = f"desc:{digest}|host:{host}", 4, 50
    finding["unique_key"] = key
    finding["dedup_tier"] = tier
    finding["confidence_score"] = confidence
    return finding


def _weight(severity: str, vpr_score: float | None, fixed: bool) -> int:
    """Return the severity order of findings; of two with one key, the heavier one is kept.

    An open finding outweighs every fixed one.
    """
    open_weight = 0 if fixed else 1_000_000
    return open_weight + _SEVERITY_WEIGHT[severity] * 1000 + round((vpr_score or 0) * 10)


def advisories_in(text: str) -> list[str]:
    """Return the distinct CVE IDs and Cisco advisory IDs in a text, in canonical spelling."""
    if not text:
        return []
    found = (match.group() for match in _ADVISORY.finditer(text))
    spelled = (each.upper() if each[:4].upper() == "CVE-" else each.lower() for each in found)
    return list(dict.fromkeys(spelled))


def host_name(text: str) -> str:
    """Return the short name of a host in lower case, or an IP address in canonical form."""
    return _host_name(clean(text, _SHORT))


def first_address(text: str) -> str:
    """Return the first valid IPv4 or IPv6 address of a list, or an empty string."""
    return _first_address(text[:1024])


def vendor_group(family: str) -> str:
    """Return the vendor group of a plugin family: CISCO, Palo Alto or Other."""
    return _vendor_group(family[:_SHORT])


def score(text: str) -> float | None:
    """Return a VPR or CVSS score clamped to 0 to 10, or None if the text is not a number."""
    return _score(text[:_SHORT])


# Hosts, dates and scores repeat from row to row. The caches store short texts only, so that a
# hostile file cannot fill them with its longest cells.


@lru_cache(maxsize=4096)
def _host_name(text: str) -> str:
    return _address(text) or text.split(".", 1)[0].lower()


@lru_cache(maxsize=4096)
def _first_address(text: str) -> str:
    for part in re.split(r"[,;\s]+", text):
        if address := _address(part):
            return address
    return ""


@lru_cache(maxsize=1024)
def _vendor_group(family: str) -> str:
    text = family.lower()
    if "cisco" in text:
        return "CISCO"
    if re.search(r"palo[\s_-]*alto", text):
        return "Palo Alto"
    return "Other"


@lru_cache(maxsize=4096)
def _score(text: str) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return min(10.0, max(0.0, value)) if math.isfinite(value) else None


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""

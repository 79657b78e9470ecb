"""Lists of tools without a format of their own, and usual names in known formats."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from hextrackr_server.imports.formats.profile import load_profiles
from tests.hextrackr_server.imports.formats.exports import (
    check_findings,
    expect,
    inspect_text,
    messages,
)

ADDRESS, CVE, FIRST, LAST = "192.0.2.1", "CVE-2030-1001", "2030-05-14", "2030-05-29"
USUAL = {"hostname": "web1", "cve": CVE}

# Column names with a cell each, and the values of the finding.
LISTS: dict[str, tuple[dict[str, str], dict[str, object]]] = {
    "agents": (
        {"@timestamp": "x", "agent.name": "web1", "agent.ip": ADDRESS, "vulnerability.id": CVE,
         "vulnerability.severity": "High", "vulnerability.score.base": "7.5",
         "vulnerability.detected_at": "2030-05-14T10:00:00.000Z",
         "vulnerability.published_at": "2030-01-02T00:00:00Z", "host.os.full": "Example 1"},
        {"plugin_id": CVE, "cvss_score": 7.5, "first_seen": FIRST,
         "vulnerability_date": "2030-01-02", "operating_system": "Example 1"},
    ),
    "endpoints": (
        {"Application": "App", "CVE ID": CVE, "Severity": "High", "NVD Base Score": "8.8",
         "CVSS Version": "3.1", "Endpoint Name": "WEB1", "Local IP": ADDRESS, "OS Name": "Ex",
         "Detection Date": "2030-05-14T10:00:00Z", "Last Scan Date": "2030-05-29T10:00:00Z",
         "Status": "Active", "Mitigation Status": "Not mitigated", "Published Date": "2030-01-02"},
        {"cvss_score": 8.8, "first_seen": FIRST, "last_seen": LAST, "state": "Active",
         "vulnerability_date": "2030-01-02", "operating_system": "Ex",
         "extra": {"cvss_version": "3"}},
    ),
    "patch_manager": (
        {"Vulnerability ID": "90001", "Vulnerability Name": "App RCE", "CVE IDs": CVE,
         "CVSS 3.0 Score": "8.8", "CVSS 2.0 Score": "6.8", "Severity": "Important",
         "Computer Name": "WEB1", "IP Address": ADDRESS, "Discovered Date": "May 14, 2030 10:00 AM",
         "Published Date": "Jan 02, 2030", "Vulnerability Status": "Unpatched"},
        {"plugin_id": "90001", "plugin_name": "App RCE", "cvss_score": 8.8, "first_seen": FIRST,
         "vulnerability_date": "2030-01-02", "state": "Unpatched"},
    ),
    "risk_platform": (
        {"Host Name": "web1", "IP Address": ADDRESS, "Title": "A", "Severity": "7.5",
         "Severity Group": "High", "Status": "Open", "First Discovered On": FIRST,
         "Last Found On": LAST, "CVEs": CVE, "CVSS v3": "7.5", "Operating System Name": "Ex"},
        {"plugin_name": "A", "cvss_score": 7.5, "first_seen": FIRST, "last_seen": LAST,
         "state": "Open", "operating_system": "Ex"},
    ),
    "cloud": (
        {"Name": CVE, "CVSSSeverity": "Critical", "FindingStatus": "Open", "VendorSeverity": "High",
         "FirstDetected": f"{FIRST}T10:00:00Z", "LastDetected": f"{LAST}T10:00:00Z",
         "AssetName": "web1", "Status": "Inactive", "IpAddresses": '["192.0.2.1"]'},
        {"plugin_name": CVE, "first_seen": FIRST, "last_seen": LAST, "state": "Open"},
    ),
    "collector": (
        {"finding_name": "A", "finding_severity": "High", "finding_cve": CVE, "asset_name": "web1",
         "ip_address": ADDRESS, "finding_discovered": FIRST, "finding_last_seen": LAST,
         "finding_status": "Fixed", "finding_solution": "Patch."},
        {"plugin_name": "A", "first_seen": FIRST, "last_seen": LAST, "state": "Fixed",
         "lifecycle_state": "resolved"},
    ),
    "advisories": (
        {"Device Name": "web1", "Device IP": ADDRESS, "Advisory ID": "cisco-sa-2030-x", "CVE": CVE,
         "Advisory Title": "DoS", "Severity Rating": "High", "CVSS Base": "8.6",
         "Status": "Vulnerable"},
        {"plugin_id": "cisco-sa-2030-x", "plugin_name": "DoS", "vendor": "CISCO",
         "cvss_score": 8.6, "state": "Vulnerable"},
    ),
    "tickets": (
        {"DNS Name": "web1", "ip_address": ADDRESS, "vulnerability": "A",
         "vulnerability.cves": CVE, "risk_rating": "2 - High", "state": "In Progress",
         "Date First Seen": FIRST, "Date Last Seen": LAST, "EPSS Probability": "0.1"},
        {"plugin_name": "A", "first_seen": FIRST, "last_seen": LAST, "state": "In Progress",
         "extra": {"epss": 0.1}},
    ),
    "templates": (
        {"template-id": CVE.lower(), "severity": "high", "host": "https://web1/", "ip": ADDRESS,
         "name": "A"},
        {"plugin_id": CVE.lower(), "plugin_name": "A"},
    ),
}  # fmt: skip


def as_csv(cells: dict[str, str]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows([list(cells), list(cells.values())])
    return file.getvalue()


@pytest.mark.parametrize("name", LISTS)
def test_list_of_a_tool_is_read_by_its_usual_names(tmp_path: Path, name: str) -> None:
    cells, values = LISTS[name]
    inspection = inspect_text(tmp_path, as_csv(cells))
    assert inspection.profile == "hub"
    check_findings(inspection, expect(ADDRESS, **USUAL | values))
    assert "no known format; columns are read by their usual names" in str(inspection.warnings[0])


def test_usual_names_of_the_hub_stand_for_one_field_each() -> None:
    hub = load_profiles()["hub"]
    fields = {field: set(names) for field, names in hub.normalized.items()}
    fields["description"] -= fields["plugin_name"]
    names = [name for each in fields.values() for name in each]
    assert len(names) == len(set(names))
    assert hub.guesses <= set(names)


KNOWN = {
    "tenable_sc": "Plugin,Plugin Name,IP Address",
    "nessus": "Plugin ID,Risk,Host,Name",
    "qualys_vm": "IP,QID,Title,IP Status",
    "qualys_vmdr": "Asset IPV4,QID,Title,Asset Name",
    "rapid7_template": "Asset IP Address,Vulnerability Title,Vulnerability Severity Level",
    "greenbone": "IP,NVT Name,NVT OID",
    "defender_tvm": "DeviceName,CveId,SoftwareName",
    "crowdstrike": "Hostname,CVE ID,Host ID",
    "saint": "IP Address,Severity Level,Severity,Vulnerability Check ID,Description",
    "alert_logic": "Asset Name,Vulnerability,Protocol/Port",
}


@pytest.mark.parametrize("profile", KNOWN)
def test_usual_names_are_read_in_known_formats(tmp_path: Path, profile: str) -> None:
    names = KNOWN[profile].split(",")
    cells = {name: {"CVE ID": CVE, "CveId": CVE}.get(name, "x1") for name in names}
    cells = {
        name: ADDRESS if "IP" in name.split() or "IPV4" in name else cell
        for name, cell in cells.items()
    }
    more = {
        "First Found": FIRST, "Last Found": LAST, "Published On": "2030-01-02", "EPSS": "0.25",
        "VPR": "5.9", "CVSS v3.1 Score": "7.5", "Operating System": "Example 1",
    }  # fmt: skip
    inspection = inspect_text(tmp_path, as_csv(cells | more))
    assert inspection.profile == profile
    (finding,) = inspection.findings
    assert (finding.first_seen, finding.last_seen) == (FIRST, LAST)
    assert (finding.cvss_score, finding.vpr_score, finding.extra["epss"]) == (7.5, 5.9, 0.25)
    assert (finding.vulnerability_date, finding.operating_system) == ("2030-01-02", "Example 1")


def test_temporal_score_of_qualys_is_not_read_as_a_base_score(tmp_path: Path) -> None:
    text = f"IP,QID,Title,IP Status,Severity,CVSS3,CVSS3 Base\n{ADDRESS},9,A,x,5,6.5 (E:U),\n"
    (finding,) = inspect_text(tmp_path, text).findings
    assert (finding.cvss_score, finding.severity) == (None, "Critical")


def test_new_names_of_crowdstrike_are_read(tmp_path: Path) -> None:
    cells = {
        "Hostname": "web1", "LocalIP": ADDRESS, "MAC address": "00-00-5E-00-53-01", "CVE ID": CVE,
        "Severity": "HIGH", "Status": "Closed", "CVSS base score": "8.1", "CVSS version": "3.1",
        "Product": "App", "Created timestamp": f"{FIRST}T00:00:00Z",
        "Updated timestamp": f"{LAST}T00:00:00Z", "Closed timestamp": "2030-05-30T00:00:00Z",
    }  # fmt: skip
    inspection = inspect_text(tmp_path, as_csv(cells))
    check_findings(
        inspection,
        expect(ADDRESS, **USUAL, plugin_name=f"App: {CVE}", cvss_score=8.1, state="Closed",
               first_seen=FIRST, last_seen=LAST, lifecycle_state="resolved",
               extra={"mac": "00-00-5e-00-53-01", "fixed_on": "2030-05-30"}),
    )  # fmt: skip
    assert messages(inspection) == []


def test_asset_search_of_qualys_has_levels_and_resolves_nothing(tmp_path: Path) -> None:
    header = "IP,DNS,NetBIOS,Tracking Method,OS,QID,Title,Severity,Status,First Found,Last Found"
    text = f"{header}\n{ADDRESS},web1,-,IP,Ex,9,A,4,Fixed,05/14/2030 01:00:00,05/29/2030 01:00:00\n"
    inspection = inspect_text(tmp_path, text)
    assert (inspection.profile, inspection.resolve) == ("qualys_vm", "none")
    check_findings(
        inspection,
        expect(ADDRESS, hostname="web1", plugin_id="9", plugin_name="A", first_seen=FIRST,
               last_seen=LAST, state="Fixed", lifecycle_state="resolved", operating_system="Ex"),
    )  # fmt: skip


def test_threat_of_greenbone_is_the_severity(tmp_path: Path) -> None:
    text = f"IP,NVT Name,NVT OID,Threat,CVSS\n{ADDRESS},A,1.3.6.1,Log,0.0\n"
    inspection = inspect_text(tmp_path, text)
    check_findings(
        inspection,
        expect(ADDRESS, plugin_id="1.3.6.1", plugin_name="A", severity="Info", cvss_score=0.0),
    )


@pytest.mark.parametrize(
    ("word", "severity"),
    [("2 - High", "High"), ("1: critical", "Critical"), ("4.) Low", None), ("High risk", "High"),
     ("Medium severity", "Medium"), ("Critical (9.8)", "Critical"), ("Low (2,1)", "Low"),
     ("High-ish", None), ("5 - Urgent", None), ("7.5", None), ("low medium", None),
     ("5 (Critical)", "Critical"), ("CRIT", "Critical"), ("med", "Medium")],
)  # fmt: skip
def test_severity_is_found_among_numbers_and_usual_words(
    tmp_path: Path, word: str, severity: str | None
) -> None:
    inspection = inspect_text(tmp_path, as_csv({"host": "h1", "cve": CVE, "severity": word}))
    assert inspection.findings[0].severity == (severity or "Unknown")
    is_unknown = any(each[2] == word for each in messages(inspection))
    assert is_unknown == (severity is None)


@pytest.mark.parametrize(
    ("word", "closed_as"),
    [("Opened", None), ("Not Fixed", None), ("unremediated", None), ("Detected", None),
     ("in-progress", None), ("Won't fix", "accepted"), ("WONTFIX", "accepted"),
     ("Waived", "accepted"), ("Risk Acceptance", "accepted")],
)  # fmt: skip
def test_states_of_other_tools_are_known(tmp_path: Path, word: str, closed_as: str | None) -> None:
    cells = {"host": "h1", "cve": CVE, "severity": "High", "state": word}
    inspection = inspect_text(tmp_path, as_csv(cells))
    assert (inspection.findings[0].closed_as, messages(inspection)) == (closed_as, [])

"""Variants of CrowdStrike, Alert Logic, SAINT, Trustwave, DefectDojo, VMDR, PCI and Nexpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hextrackr_server.imports.formats.exports import (
    check_findings,
    expect,
    inspect_text,
    make_csv,
    messages,
)


@pytest.mark.parametrize(
    ("value", "is_available"), [("0", False), ("30", True), ("60", True), ("90", True)]
)
def test_crowdstrike_exploit_values_and_states_are_read(
    tmp_path: Path, value: str, is_available: bool
) -> None:
    header = (
        "Hostname,LocalIP,Product,CVE ID,Status,Severity,Created Date,Base Score,CVSS Version,"
        "Exploit status value,ExPRT Rating,Is Suppressed,Last Scan Time"
    )
    row = {
        "Hostname": "SRV11", "LocalIP": "192.0.2.111", "Product": "Cisco Client",
        "CVE ID": "CVE-2030-11001", "Status": "Expired", "Severity": "NONE",
        "Created Date": "2030-02-02T01:02:03Z", "Last Scan Time": "2030-05-30", "Base Score": "5.5",
        "Exploit status value": value, "ExPRT Rating": "High", "Is Suppressed": "False",
    }  # fmt: skip
    suppressed = row | {"CVE ID": "CVE-2030-11002", "Is Suppressed": "True", "Status": "Open"}
    again = row | {"CVE ID": "CVE-2030-11003", "Status": "reopen"}
    inspection = inspect_text(tmp_path, make_csv(header, row, suppressed, again))
    usual = {
        "hostname": "srv11", "severity": "Info", "cvss_score": 5.5, "vendor": "CISCO",
        "first_seen": "2030-02-02", "last_seen": "2030-05-30",
    }  # fmt: skip
    check_findings(
        inspection,
        expect("192.0.2.111", **usual, cve="CVE-2030-11001", state="Expired",
               plugin_name="Cisco Client: CVE-2030-11001",
               extra={"exploit_available": is_available}),
        expect("192.0.2.111", **usual, cve="CVE-2030-11002", state="Open",
               plugin_name="Cisco Client: CVE-2030-11002", lifecycle_state="resolved",
               extra={"closed_as": "accepted"}),
        expect("192.0.2.111", **usual, cve="CVE-2030-11003", state="reopen",
               plugin_name="Cisco Client: CVE-2030-11003"),
    )  # fmt: skip
    assert messages(inspection) == []


@pytest.mark.parametrize(
    ("written", "version", "severity"),
    [("3.1", "3", "Critical"), ("2.0", "2", "High"), ("CVSSv4", "4", "Critical"),
     ("CVSS:3.1", "3", "Critical"), ("", None, "Critical"), ("31", None, "Critical")],
)  # fmt: skip
def test_crowdstrike_version_of_the_score_is_read(
    tmp_path: Path, written: str, version: str | None, severity: str
) -> None:
    header = "Hostname,LocalIP,CVE ID,Severity,Base Score,CVSS Version,Host ID"
    row = {
        "Hostname": "SRV11", "LocalIP": "192.0.2.111", "CVE ID": "CVE-2030-11001",
        "Severity": "UNKNOWN", "Base Score": "9.5", "CVSS Version": written, "Host ID": "1",
    }  # fmt: skip
    (finding,) = inspect_text(tmp_path, make_csv(header, row)).findings
    assert (finding.extra.get("cvss_version"), finding.severity) == (version, severity)


def test_alert_logic_cells_have_line_ends_and_two_addresses(tmp_path: Path) -> None:
    text = (
        "\ufeffVulnerability,CVSS Score,Severity,Asset Name,IP Address,Protocol/Port,First Seen,"
        "Last Scanned,CVE,Description,Vulnerability ID,Published Date\n"
        'Example,,High,srv12,"2001:db8::12, 192.0.2.12",TCP/443,12/10/29 14:00,5/9/30 1:05,'
        'CVE-2030-12001,"one\r\ntwo",77,1/1/97\r\n'
    )
    inspection = inspect_text(tmp_path, text)
    check_findings(
        inspection,
        expect("192.0.2.12", hostname="srv12", cve="CVE-2030-12001", plugin_id="77",
               plugin_name="Example", first_seen="2029-12-10", last_seen="2030-05-09",
               vulnerability_date="1997-01-01",
               extra={"port": 443, "protocol": "tcp", "other_addresses": ["2001:db8::12"]}),
    )  # fmt: skip


def test_saint_rows_that_are_cut_are_rejected_alone(tmp_path: Path) -> None:
    text = (
        '"IP Address","Hostname","Severity Level","Severity","CVSSv3 Rating",'
        '"Vulnerability Check ID","Description","CVEs"\n'
        '"192.0.2.130","192.0.2.130","Area of Concern","possible","","a","A",'
        '"<a href=""https://x.test/?n=CVE-2030-13001"">CVE-2030-13001</a><br>CVE-2030-13002"\n'
        '"192.0.2.131","srv131"\n'
        '"192.0.2.132","SRV132","Service","service","","b","B",""\n'
    )
    inspection = inspect_text(tmp_path, text)
    usual = {"severity": "Medium", "plugin_id": "a", "plugin_name": "A"}
    check_findings(
        inspection,
        expect("192.0.2.130", **usual, cve="CVE-2030-13001"),
        expect("192.0.2.130", **usual, cve="CVE-2030-13002"),
        expect("192.0.2.132", hostname="srv132", severity="Info", plugin_id="b", plugin_name="B"),
    )
    assert (inspection.rows_rejected, [each[1] for each in messages(inspection)][-1]) == (1, 3)


def test_trustwave_malformed_cve_is_a_warning(tmp_path: Path) -> None:
    text = (
        '"Status","IP","Target Name","Domain","Vulnerability Name","Severity","CVE","Port"\n'
        '"","192.0.2.140","t","www.example.test","Example","C","CVE-3011-32","443"\n'
    )
    inspection = inspect_text(tmp_path, text)
    check_findings(
        inspection,
        expect("192.0.2.140", hostname="www", severity="Critical", plugin_name="Example"),
    )
    assert [each[:3] for each in messages(inspection)] == [("CVE", 2, "CVE-3011-32")]


def test_cves_without_a_separator_are_found_without_a_warning(tmp_path: Path) -> None:
    cell = "CVE-2030-10000cve-2030-20000CVE-2030-10000"
    inspection = inspect_text(tmp_path, f"hostname,cve,severity\nh,{cell},High\n")
    found = [each.cve for each in inspection.findings]
    assert (found, messages(inspection)) == (["CVE-2030-10000", "CVE-2030-20000"], [])


def test_defectdojo_names_have_blanks_and_dates_have_one_order(tmp_path: Path) -> None:
    text = (
        "Date,Title,CweId, Url,Severity, Description,Mitigation,Active,FalsePositive,Duplicate\n"
        "03/04/2030,A,1,127.0.0.1:80,High,d,,TRUE,FALSE,FALSE\n"
        "28/02/2030,B,1,foo.example.test/path,Low,d,,FALSE,FALSE,FALSE\n"
        "2030-01-02,C,1,https://[2001:db8::1]:8443/x,Info,d,,true,false,true\n"
        "2030-01-02,D,1,,Info,d,,true,false,false\n"
    )
    inspection = inspect_text(tmp_path, text)
    check_findings(
        inspection,
        expect("127.0.0.1", plugin_name="A", first_seen="2030-04-03", extra={"port": 80}),
        expect("foo.example.test", plugin_name="B", severity="Low", first_seen="2030-02-28",
               lifecycle_state="resolved"),
        expect("2001:db8::1", plugin_name="C", severity="Info", first_seen="2030-01-02",
               lifecycle_state="resolved", extra={"port": 8443}),
    )  # fmt: skip
    assert inspection.rows_rejected == 1


@pytest.mark.parametrize(
    ("word", "closed_as", "is_known"),
    [("TRUE", None, True), ("T", None, True), ("tr", None, True), ("False", "inactive", True),
     ("0", "inactive", True), ("", None, True), ("maybe", None, False)],
)  # fmt: skip
def test_defectdojo_finding_is_closed_only_by_a_word_for_no(
    tmp_path: Path, word: str, closed_as: str | None, is_known: bool
) -> None:
    text = f"Title,Url,Severity,Description,Active\nA,http://192.0.2.1/,Low,d,{word}\n"
    inspection = inspect_text(tmp_path, text)
    (finding,) = inspection.findings
    assert finding.closed_as == closed_as
    expected = ("Active", 2, word, "neither true nor false; the finding counts as open")
    assert messages(inspection) == ([] if is_known else [expected])


def test_wrapped_rows_are_read_when_empty_cells_follow(tmp_path: Path) -> None:
    text = (
        "Asset Vuln Datalist Report,04 Feb 2030,1\n"
        '"QID,""Title"",""Severity"",""Asset Name""",,\n'
        '"940006,""Example"",""5"",""SRV6""",,\n'
    )
    inspection = inspect_text(tmp_path, text)
    check_findings(
        inspection,
        expect("srv6", plugin_id="940006", plugin_name="Example", severity="Critical"),
    )
    assert messages(inspection) == []


def test_vmdr_rows_wrapped_below_a_plain_preamble_have_lenient_quotes(tmp_path: Path) -> None:
    text = (
        "Asset Vuln Datalist Report,04 Feb 2030 10:00AM GMT-0500,1\nExampleOrg,x\n"
        '"QID,""Title"",""Severity"",""Last Detected"",""First Detected"",""Status"",'
        '""Asset Name"",""Asset IPV4"",""RTI"",""Results"","\n'
        '"940005,""Example"",""4"",""Feb 03, 2030 07:00 AM"",""Jan 02, 2030 07:00 PM"",'
        '""ACTIVE"",""WG\\SRV5"",""192.0.2.51,198.51.100.1"",""High Lateral Movement"",'
        '""<table cols=""3"">\nrow</table>"","\n'
    )
    inspection = inspect_text(tmp_path, text)
    assert inspection.profile == "qualys_vmdr"
    check_findings(
        inspection,
        expect("192.0.2.51", hostname="srv5", plugin_id="940005", plugin_name="Example",
               state="ACTIVE", first_seen="2030-01-02", last_seen="2030-02-03",
               extra={"other_addresses": ["198.51.100.1"], "exploit_available": False}),
    )  # fmt: skip


def test_qualys_pci_dates_are_day_first_and_letters_are_severities(tmp_path: Path) -> None:
    text = (
        "IP,HOSTNAME,LAST SCAN,QID,VULN TITLE,TYPE,SEVERITY,FALSE POSITIVE STATUS,CVSS_BASE,CVEID\n"
        "192.0.2.60,-,05/04/2030 13:01,940006,A,CONFIRMED,M,Requested,6.1,-\n"
        "192.0.2.60,-,22/05/2030 13:01,940007,B,INFORMATION,H,Approved,6.1,CVE-2030-6001\n"
    )
    inspection = inspect_text(tmp_path, text)
    check_findings(
        inspection,
        expect("192.0.2.60", plugin_id="940006", plugin_name="A", severity="Medium",
               cvss_score=6.1, first_seen="2030-04-05", last_seen="2030-04-05",
               state="CONFIRMED"),
        expect("192.0.2.60", plugin_id="940007", plugin_name="B", severity="Info",
               cvss_score=6.1, first_seen="2030-05-22", last_seen="2030-05-22",
               cve="CVE-2030-6001", state="INFORMATION", lifecycle_state="resolved"),
    )  # fmt: skip
    assert inspection.warnings == []


@pytest.mark.parametrize(
    ("level", "severity"),
    [("1", "Info"), ("2", "Low"), ("3", "Medium"), ("4", "High"), ("5", "Critical")],
)
def test_qualys_pci_level_counts_when_the_severity_is_empty(
    tmp_path: Path, level: str, severity: str
) -> None:
    text = (
        "IP,HOSTNAME,LAST SCAN,QID,VULN TITLE,TYPE,SEVERITY,FALSE POSITIVE STATUS,CVSS_BASE,"
        f"Q_SEVERITY\n192.0.2.60,-,22/05/2030 13:01,940006,A,CONFIRMED,-,-,-,{level}\n"
    )
    inspection = inspect_text(tmp_path, text)
    (finding,) = inspection.findings
    assert finding.severity == severity
    assert inspection.warnings == []


def test_nexpose_ids_of_another_case_and_unknown_tests_are_read(tmp_path: Path) -> None:
    text = """<NexposeReport version="1.0"><scans><scan startTime="20300530T162340221"/></scans>
<nodes><node address="2001:DB8:0::42" hardware-address="00005E005342"><names><name>SRV42</name>
</names><fingerprints><os certainty="0.5" vendor="A"/><os certainty="1.0" product="B"/>
</fingerprints><tests/><endpoints><endpoint protocol="tcp" port="22"><services>
<service name="SSH"><fingerprints><fingerprint certainty="1.0" product="x"/></fingerprints><tests>
<test id="SSH-Example" status="vulnerable-new-word" vulnerable-since="20300211T163822649"/>
<test id="other" status="vulnerable-potential"/><test id="e" status="skipped-other"/></tests>
</service></services></endpoint></endpoints></node></nodes><VulnerabilityDefinitions>
<vulnerability id="ssh-example" title="Example" severity="8" cvssScore="7.5"><references>
<reference source="CVE">CVE-2030-14201</reference></references></vulnerability>
</VulnerabilityDefinitions></NexposeReport>"""
    inspection = inspect_text(tmp_path, text)
    usual = {
        "hostname": "srv42", "operating_system": "B", "last_seen": "2030-05-30",
    }  # fmt: skip
    check_findings(
        inspection,
        expect("2001:db8::42", **usual, cve="CVE-2030-14201", plugin_id="SSH-Example",
               plugin_name="Example", cvss_score=7.5, first_seen="2030-02-11",
               state="vulnerable-new-word", extra={"port": 22, "protocol": "tcp"}),
        expect("2001:db8::42", **usual, plugin_id="other", plugin_name="other",
               first_seen="2030-05-30", severity="Unknown", state="vulnerable-potential"),
    )  # fmt: skip
    assert inspection.rows_skipped == 1


@pytest.mark.parametrize(
    ("word", "severity"),
    [("5", "Critical"), ("5.0", "Critical"), ("4.0", "High"), ("5.5", "Low"), ("5,0", "Critical")],
)
def test_level_with_a_decimal_zero_is_the_level(tmp_path: Path, word: str, severity: str) -> None:
    row = {"IP": "192.0.2.1", "QID": "1", "Title": "T", "Severity": word, "CVSS3 Base": "2.0"}
    text = make_csv("IP,QID,Title,Vuln Status,Severity,CVSS3 Base", row)
    inspection = inspect_text(tmp_path, text)
    assert [each.severity for each in inspection.findings] == [severity]
    assert len(inspection.warnings) == (2 if word == "5.5" else 0)

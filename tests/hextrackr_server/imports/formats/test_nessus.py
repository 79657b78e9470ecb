"""Nessus CSV and XML: variants of the header and of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.hextrackr_server.imports.formats.exports import (
    check_findings,
    expect,
    inspect_text,
    make_csv,
    messages,
)

DEFAULT = (
    "Plugin ID,CVE,CVSS,Risk,Host,Protocol,Port,Name,Synopsis,Description,Solution,See Also,"
    "Plugin Output"
)
ALL_8 = (
    f"{DEFAULT},STIG Severity,CVSS v3.0 Base Score,CVSS Temporal Score,CVSS v3.0 Temporal Score,"
    "Risk Factor,BID,XREF,MSKB,Plugin Publication Date,Plugin Modification Date,Metasploit,"
    "Core Impact,CANVAS"
)
ALL_10 = ALL_8.replace("CVSS,Risk", "CVSS v2.0 Base Score,Risk").replace(
    "CVSS Temporal Score", "CVSS v2.0 Temporal Score"
).replace("Risk Factor", "VPR Score,Risk Factor")  # fmt: skip
ALL_10_8 = ALL_10.replace(
    "VPR Score", "CVSS v4.0 Base Score,CVSS v4.0 Base+Threat Score,VPR Score,EPSS Score"
)
ROW = {
    "Plugin ID": 900101, "CVE": "CVE-2030-1101", "Risk": "High", "Host": "192.0.2.11",
    "Protocol": "tcp", "Port": 443, "Name": "Example < 1.2 RCE", "Synopsis": "s",
    "Description": "An example.\nOf two lines.", "Solution": "n/a", "See Also": "https://a\nhttps://b",
}  # fmt: skip
FOUND: dict[str, Any] = {
    "cve": "CVE-2030-1101", "plugin_id": "900101", "plugin_name": "Example < 1.2 RCE",
}  # fmt: skip


def test_default_export_has_version_2_scores(tmp_path: Path) -> None:
    inspection = inspect_text(tmp_path, make_csv(DEFAULT, ROW | {"CVSS": "7.5"}))
    assert (inspection.profile, inspection.resolve) == ("nessus", "none")
    extra = {"cvss_version": "2", "port": 443, "protocol": "tcp"}
    check_findings(inspection, expect("192.0.2.11", **FOUND, cvss_score=7.5, extra=extra))
    assert inspection.findings[0].description == "An example.\nOf two lines."
    assert inspection.findings[0].solution == ""


def test_all_columns_of_version_8_are_read(tmp_path: Path) -> None:
    more = {
        "CVSS": "10.0", "CVSS v3.0 Base Score": "8.8", "CVSS v3.0 Temporal Score": "7.7",
        "Risk Factor": "Critical", "XREF": "IAVA:2030-A-1;CISA-KNOWN-EXPLOITED:2030/02/01",
        "Plugin Publication Date": "2030/01/02", "Metasploit": "TRUE",
    }  # fmt: skip
    inspection = inspect_text(tmp_path, make_csv(ALL_8, ROW | more, end="\r\n"))
    extra = {"cvss_version": "3", "kev_due": "2030-02-01", "exploit_available": True}
    check_findings(
        inspection,
        expect("192.0.2.11", **FOUND, cvss_score=8.8, vulnerability_date="2030-01-02", extra=extra),
    )


@pytest.mark.parametrize("header", [ALL_10, ALL_10_8])
def test_versions_10_are_read_with_and_without_the_newest_scores(
    tmp_path: Path, header: str
) -> None:
    more = {
        "CVSS v2.0 Base Score": "9.3", "CVSS v2.0 Temporal Score": "8.1", "VPR Score": "6.7",
        "CVSS v3.0 Base Score": "8.8", "Metasploit": "false",
    }  # fmt: skip
    if header == ALL_10_8:
        more |= {
            "CVSS v4.0 Base Score": "8.7", "CVSS v4.0 Base+Threat Score": "7.0",
            "EPSS Score": "0.9438",
        }  # fmt: skip
    inspection = inspect_text(tmp_path, make_csv(header, ROW | more, quotes_all=True))
    extra = {"epss": 0.9438 if header == ALL_10_8 else None, "exploit_available": False}
    check_findings(
        inspection, expect("192.0.2.11", **FOUND, cvss_score=8.8, vpr_score=6.7, extra=extra)
    )


def test_version_4_score_counts_before_version_2(tmp_path: Path) -> None:
    scores = {"CVSS v2.0 Base Score": "5.0", "CVSS v4.0 Base Score": "9.2"}
    inspection = inspect_text(tmp_path, make_csv(ALL_10_8, ROW | scores))
    extra = {"cvss_version": "4"}
    check_findings(inspection, expect("192.0.2.11", **FOUND, cvss_score=9.2, extra=extra))


def test_valid_score_of_another_version_replaces_an_invalid_one(tmp_path: Path) -> None:
    scores = {"CVSS v2.0 Base Score": "5.0", "CVSS v3.0 Base Score": "98"}
    inspection = inspect_text(tmp_path, make_csv(ALL_10_8, ROW | scores))
    extra = {"cvss_version": "2"}
    check_findings(inspection, expect("192.0.2.11", **FOUND, cvss_score=5.0, extra=extra))
    assert [value for _, row, value, _ in messages(inspection) if row] == ["98"]


def test_web_scan_has_lower_case_risks_and_no_ports(tmp_path: Path) -> None:
    header = DEFAULT.replace("CVSS,", "CVSS,CVSSv3,")
    row = ROW | {
        "Risk": "high", "CVSS": "7.8", "CVSSv3": "7.5", "Host": "WWW.example.test",
        "Protocol": "http", "Port": "",
    }  # fmt: skip
    inspection = inspect_text(tmp_path, make_csv(header, row, row | {"Risk": "none", "CVE": ""}))
    extra = {"port": None, "protocol": "http", "fqdn": "www.example.test"}
    check_findings(
        inspection,
        expect("www.example.test", **FOUND, cvss_score=7.5, extra=extra),
        expect("www.example.test", **FOUND | {"cve": ""}, severity="Info", cvss_score=7.5),
    )


def test_copy_in_snake_case_has_observation_dates(tmp_path: Path) -> None:
    text = (
        "plugin_id,cve,cvss,risk,host,ip_address,protocol,port,name,first_discovered,last_observed\n"
        "900101,CVE-2030-1101,7.5,High,srv11.example.test,192.0.2.11,tcp,443,Example < 1.2 RCE,"
        "11/19/2029 2:30,5/9/2030 14:05\n"
    )
    inspection = inspect_text(tmp_path, text)
    assert inspection.profile == "nessus"
    check_findings(
        inspection,
        expect("192.0.2.11", **FOUND, hostname="srv11", cvss_score=7.5, first_seen="2029-11-19",
               last_seen="2030-05-09", extra={"fqdn": "srv11.example.test"}),
    )  # fmt: skip


def test_export_without_risk_takes_the_band_of_the_score_with_a_warning(tmp_path: Path) -> None:
    text = make_csv(
        "Plugin ID,Host,Name,CVSS v2.0 Base Score",
        {"Plugin ID": 1, "Host": "h1", "Name": "A", "CVSS v2.0 Base Score": "9.3"},
        {"Plugin ID": 2, "Host": "h1", "Name": "B", "CVSS v2.0 Base Score": "10.0"},
    )
    inspection = inspect_text(tmp_path, text)
    assert inspection.profile == "nessus"
    check_findings(
        inspection,
        expect("h1", plugin_id="1", plugin_name="A", severity="High", cvss_score=9.3),
        expect("h1", plugin_id="2", plugin_name="B", severity="Critical", cvss_score=10.0),
    )
    assert "no severity column" in inspection.warnings[0]["message"]


def test_rows_of_one_plugin_and_rows_of_several_cves_give_a_finding_for_each_cve(
    tmp_path: Path,
) -> None:
    rows = [ROW | {"CVE": f"CVE-2030-{number}"} for number in (1101, 1102, 1101)]
    inspection = inspect_text(tmp_path, make_csv(DEFAULT, *rows))
    assert [each.cve for each in inspection.findings] == ["CVE-2030-1101", "CVE-2030-1102"]
    assert inspection.rows == 3


def test_name_is_not_replaced_by_the_description(tmp_path: Path) -> None:
    inspection = inspect_text(tmp_path, make_csv(DEFAULT, ROW | {"Name": ""}))
    check_findings(inspection, expect("192.0.2.11", **FOUND | {"plugin_name": ""}))


def test_scores_without_decimal_points_are_left_out_with_warnings(tmp_path: Path) -> None:
    scores = {
        "CVSS v2.0 Base Score": "93", "CVSS v3.0 Base Score": "98", "VPR Score": "96",
        "EPSS Score": "9438", "Plugin Publication Date": "1,184,933,065",
    }  # fmt: skip
    inspection = inspect_text(tmp_path, make_csv(ALL_10_8, ROW | scores))
    check_findings(inspection, expect("192.0.2.11", **FOUND, extra={"epss": None}))
    values = {(column, row, value) for column, row, value, _ in messages(inspection) if row}
    assert values == {
        ("CVSS v3.0 Base Score", 2, "98"), ("CVSS v2.0 Base Score", 2, "93"),
        ("VPR Score", 2, "96"), ("EPSS Score", 2, "9438"),
        ("Plugin Publication Date", 2, "1,184,933,065"),
    }  # fmt: skip


def test_info_findings_show_that_the_scan_is_not_filtered(tmp_path: Path) -> None:
    info = ROW | {"CVE": "", "Risk": "None", "Plugin ID": 900102}
    assert inspect_text(tmp_path, make_csv(DEFAULT, ROW, info)).resolve == "hosts"


NESSUS = """<?xml version="1.0" ?>
<NessusClientData_v2><Policy><Preferences><value>{policy}</value></Preferences></Policy>
<Report name="R" xmlns:cm="http://www.nessus.org/cm"><ReportHost name="192.0.2.14">
<HostProperties>{properties}</HostProperties>{items}</ReportHost></Report></NessusClientData_v2>
"""
ITEM = """<ReportItem port="{port}" svc_name="www" protocol="tcp" severity="{severity}" \
pluginID="{id}" pluginName="Example &lt; 2" pluginFamily="{family}">{children}</ReportItem>
"""


def nessus(properties: dict[str, str], *items: str) -> str:
    tags = "".join(f'<tag name="{name}">{value}</tag>' for name, value in properties.items())
    return NESSUS.format(policy="x" * 50_000, properties=tags, items="".join(items))


def item(children: str = "", **values: object) -> str:
    usual = {"port": 443, "severity": 3, "id": 900141, "family": "CGI abuses"}
    return ITEM.format(**usual | values, children=children)


PROPERTIES = {
    "HOST_END": "Thu May  9 23:24:32 2030", "HOST_END_TIMESTAMP": "1904615872",
    "host-fqdn": "srv14.example.test", "host-ip": "192.0.2.14",
    "mac-address": "00:00:5E:00:53:14\n00:00:5E:00:53:15", "operating-system": "Example OS 9",
    "patch-summary-total-cves": "7",
}  # fmt: skip
XML: dict[str, Any] = {
    "hostname": "srv14", "plugin_id": "900141", "plugin_name": "Example < 2",
    "first_seen": "2030-05-09", "last_seen": "2030-05-09", "operating_system": "Example OS 9",
}  # fmt: skip


def test_xml_has_every_cve_the_local_day_and_the_first_mac_address(tmp_path: Path) -> None:
    children = (
        "<cve>CVE-2030-1401</cve><cve>CVE-2030-1402</cve><cvss_base_score>9.3</cvss_base_score>"
        "<cvss3_base_score>8.8</cvss3_base_score><cvss4_base_score>8.7</cvss4_base_score>"
        "<vpr_score>6.7</vpr_score><epss_score>0.5</epss_score><risk_factor>Critical</risk_factor>"
        "<exploit_framework_metasploit>true</exploit_framework_metasploit>"
        "<xref>IAVA:2030-A-1</xref><xref>CISA-KNOWN-EXPLOITED:2030/02/01</xref><xref>CWE:1</xref>"
        "<plugin_publication_date>2030/01/06</plugin_publication_date>"
        "<plugin_modification_date>2030/04/06</plugin_modification_date>"
    )
    inspection = inspect_text(tmp_path, nessus(PROPERTIES, item(children)), "scan.nessus")
    assert (inspection.profile, inspection.resolve) == ("nessus_xml", "none")
    extra = {
        "mac": "00:00:5e:00:53:14", "epss": 0.5, "kev_due": "2030-02-01", "cvss_version": "3",
        "exploit_available": True, "fqdn": "srv14.example.test", "port": 443, "protocol": "tcp",
    }  # fmt: skip
    more = {"cvss_score": 8.8, "vpr_score": 6.7, "vulnerability_date": "2030-01-06"}
    check_findings(
        inspection,
        expect("192.0.2.14", **XML, **more, cve="CVE-2030-1401", extra=extra),
        expect("192.0.2.14", **XML, **more, cve="CVE-2030-1402", extra=extra),
    )


def test_xml_of_old_versions_has_no_timestamps(tmp_path: Path) -> None:
    properties = {"HOST_END": "Thu May 30 15:24:32 2030", "host-ip": "192.0.2.14"}
    text = nessus(properties, item(severity=0), item(id=900142, family="CISCO", severity=4))
    inspection = inspect_text(tmp_path, text)
    days = {"first_seen": "2030-05-30", "last_seen": "2030-05-30"}
    usual = XML | days | {"hostname": "192.0.2.14", "operating_system": ""}
    check_findings(
        inspection,
        expect("192.0.2.14", **usual, severity="Info"),
        expect("192.0.2.14", **usual | {"plugin_id": "900142"}, severity="Critical",
               vendor="CISCO"),
    )  # fmt: skip
    assert inspection.resolve == "hosts"


def test_xml_values_are_those_of_its_host(tmp_path: Path) -> None:
    text = nessus(PROPERTIES, item()).replace(
        "</Report>",
        '<ReportHost name="srv15.example.test"><HostProperties/>'
        + item()
        + "</ReportHost></Report>",
    )
    inspection = inspect_text(tmp_path, text)
    check_findings(
        inspection,
        expect("192.0.2.14", **XML),
        expect("srv15.example.test", plugin_id="900141", plugin_name="Example < 2"),
    )


def test_xml_is_refused_when_cut_at_any_place(tmp_path: Path) -> None:
    text = nessus({"host-ip": "192.0.2.14"}, item(), item(id=2)).replace("x" * 50_000, "x").strip()
    for end in range(1, len(text)):
        inspection = inspect_text(tmp_path, text[:end])
        assert inspection.refused, text[:end]
        assert inspection.findings == []


def test_partial_import_of_cut_xml_has_the_complete_items(tmp_path: Path) -> None:
    text = nessus({"host-ip": "192.0.2.14"}, item(), item(id=2))
    inspection = inspect_text(tmp_path, text[: text.index('pluginID="2"')], allow_partial=True)
    assert ([each.plugin_id for each in inspection.findings], inspection.resolve) == (
        ["900141"], "none"
    )  # fmt: skip


def test_web_scan_of_a_url_names_the_host_of_the_url(tmp_path: Path) -> None:
    row = ROW | {"Host": "https://www.example.test:8443/app"}
    inspection = inspect_text(tmp_path, make_csv(DEFAULT, row))
    check_findings(inspection, expect("www.example.test", **FOUND, extra={"port": 443}))


def test_xml_host_name_is_not_replaced_by_an_address(tmp_path: Path) -> None:
    properties = {"host-rdns": "192.0.2.14", "netbios-name": "EXAMPLE\\SRV14"}
    inspection = inspect_text(tmp_path, nessus(properties, item()))
    assert [each.hostname for each in inspection.findings] == ["srv14"]


def test_xml_timestamps_count_without_a_local_time(tmp_path: Path) -> None:
    properties = {"HOST_END_TIMESTAMP": "1904615872", "host-rdns": "srv14.example.test"}
    inspection = inspect_text(tmp_path, nessus(properties, item()))
    days = {"first_seen": "2030-05-10", "last_seen": "2030-05-10"}
    key = "192.0.2.14"
    check_findings(inspection, expect(key, **XML | days | {"operating_system": ""}))

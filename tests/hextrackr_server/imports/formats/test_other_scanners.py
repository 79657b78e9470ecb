"""Variants of the exports of Tenable, Qualys, Rapid7, Greenbone, clouds and others."""

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


def test_tenable_sc_of_any_column_order_warns_of_old_observations(tmp_path: Path) -> None:
    header = (
        "Vulnerability Priority Rating,Exploit Prediction Scoring System (EPSS),IP Address,"
        "DNS Name,CVE,CVSS V4 Base Score,CVSS V2 Base Score,First Discovered,Last Observed,"
        "Accept Risk Comment,Exploit Ease,Plugin Name,Family,Plugin,Severity"
    )
    row = {
        "Vulnerability Priority Rating": "9.1", "IP Address": "192.0.2.20", "DNS Name": "SRV20",
        "CVE": "CVE-2030-2001,CVE-2030-2002", "CVSS V4 Base Score": "9.2", "Severity": "Critical",
        "First Discovered": "Feb 5, 2030 21:01:08 UTC", "Last Observed": "May 30, 2030 1:01:08 MDT",
        "Plugin Name": "Example", "Plugin": 900020, "Family": "Palo Alto Local Security Checks",
    }  # fmt: skip
    old = row | {
        "CVE": "", "Last Observed": "Mar 1, 2030 1:01:08 MST", "Accept Risk Comment": "known",
        "Severity": "1", "CVSS V4 Base Score": "", "Vulnerability Priority Rating": "",
    }  # fmt: skip
    inspection = inspect_text(tmp_path, make_csv(header, row, old, quotes_all=True))
    usual = {
        "hostname": "srv20", "plugin_id": "900020", "plugin_name": "Example", "vendor": "Palo Alto",
        "first_seen": "2030-02-05",
    }  # fmt: skip
    new = usual | {
        "severity": "Critical", "cvss_score": 9.2, "vpr_score": 9.1, "last_seen": "2030-05-30"
    }  # fmt: skip
    check_findings(
        inspection,
        expect("192.0.2.20", **new, cve="CVE-2030-2001"),
        expect("192.0.2.20", **new, cve="CVE-2030-2002"),
        expect("192.0.2.20", **usual, severity="Low", last_seen="2030-03-01",
               lifecycle_state="resolved", extra={"closed_as": "accepted"}),
    )  # fmt: skip
    assert "1 findings were last seen more than 30 days" in inspection.warnings[0]["message"]


def test_tenable_vm_of_a_spreadsheet_prefers_other_addresses_to_a_local_one(tmp_path: Path) -> None:
    header = (
        "asset.display_ipv6_address,asset.ipv6_addresses,asset.name,definition.cve,definition.id,"
        "definition.name,definition.epss.score,first_found,last_found,risk_modified,severity,state"
    )
    row = {
        "asset.display_ipv6_address": "fe80:0:0:0:0:0:0:1",
        "asset.ipv6_addresses": "fe80:0:0:0:0:0:0:1,2001:0db8:0:0:0:0:0:5", "asset.name": "SRV1",
        "definition.id": 5, "definition.name": "Example",
        "definition.cve": "CVE-2030-1, CVE-2030-3001",
        "definition.epss.score": "94.38", "first_found": "2030-01-02T20:51:21.228Z",
        "last_found": "2030-05-30T23:59:59.999Z", "severity": "High", "state": "RESURFACED",
        "risk_modified": "ACCEPTED",
    }  # fmt: skip
    inspection = inspect_text(tmp_path, make_csv(header, row, delimiter=";"))
    check_findings(
        inspection,
        expect(
            "2001:db8::5", hostname="srv1", cve="CVE-2030-3001", plugin_id="5",
            plugin_name="Example", first_seen="2030-01-02", last_seen="2030-05-30",
            state="RESURFACED", lifecycle_state="resolved",
            extra={"closed_as": "accepted", "epss": 0.9438},
        ),
    )  # fmt: skip
    assert [each[2] for each in messages(inspection)] == ["CVE-2030-1"]


QUALYS = (
    "IP,DNS,NetBIOS,OS,IP Status,QID,Title,Type,Severity,Port,Protocol,FQDN,SSL,CVE ID,"
    "Vendor Reference,Bugtraq ID,Threat,Impact,Solution,Exploitability,Associated Malware,Results,"
    "PCI Vuln,Instance,Category"
)
PREAMBLE = """\
"Scan Results","02/28/2030 at 16:24:43 (GMT-0500)"
"ExampleOrg","1 Example Street"
"Example User","exmpl"

"Launch Date","Active Hosts","Total Hosts"
"02/27/2030 at 10:00:00 (GMT-0500)","3","4"

"""


def test_qualys_scan_results_are_those_of_the_launch_date(tmp_path: Path) -> None:
    row = {
        "IP": "192.0.2.40", "DNS": "No registered hostname", "NetBIOS": "SRV40", "QID": 940001,
        "IP Status": "host scanned, found vuln", "Title": "Example", "Type": "Vuln",
        "Severity": 5, "Vendor Reference": "cisco-sa-2030-example", "CVE ID": "CVE-2030-4001",
    }  # fmt: skip
    info = row | {"QID": 940002, "Type": "Ig", "Severity": 3, "CVE ID": "", "Vendor Reference": "",
                  "Category": "Cisco"}  # fmt: skip
    hosts = {"IP": "192.0.2.41", "IP Status": "host not alive"}
    repeated = {name: name for name in QUALYS.split(",")}
    text = make_csv(QUALYS, row, repeated, info, hosts, quotes_all=True)
    footer = "\nTarget distribution across scanner appliances\nscanner : 192.0.2.40-192.0.2.41\n"
    inspection = inspect_text(tmp_path, PREAMBLE + text + footer)
    days = {"first_seen": "2030-02-27", "last_seen": "2030-02-27", "plugin_name": "Example"}
    check_findings(
        inspection,
        expect("192.0.2.40", **days, hostname="srv40", cve="CVE-2030-4001", plugin_id="940001",
               severity="Critical", vendor="CISCO"),
        expect("192.0.2.40", **days, hostname="srv40", plugin_id="940002", severity="Info"),
    )  # fmt: skip
    assert (inspection.rows, inspection.rows_skipped, inspection.rows_rejected) == (6, 4, 0)


def test_rapid7_query_without_names_of_rapid7_falls_to_the_usual_names(tmp_path: Path) -> None:
    text = (
        "ip_address,host_name,nexpose_id,title,severity,cvss_v3_score,riskscore,reference,"
        "first_discovered,most_recently_discovered,fix\n"
        '192.0.2.70,SRV70,http-x,Example,Severe,7.5,"999,999",CVE-2030-7001,2030-01-02 03:04:05,'
        "2030-05-30 10:11:12,Patch.\n"
    )
    inspection = inspect_text(tmp_path, text)
    assert inspection.profile == "hub"
    check_findings(
        inspection,
        expect("192.0.2.70", hostname="srv70", plugin_id="http-x", plugin_name="Example",
               cve="CVE-2030-7001", cvss_score=7.5, first_seen="2030-01-02",
               last_seen="2030-05-30"),
    )  # fmt: skip
    assert inspection.findings[0].solution == "Patch."
    assert inspection.warnings[0]["message"].startswith("no known format; columns are read by")


@pytest.mark.parametrize(
    ("columns", "cells", "score", "severity"),
    [
        ("CVSS v2.0 Base Score", "7.5", 7.5, "High"),
        ("cvss2", "9.9", 9.9, "High"),
        ("CVSS v2,CVSS v3", "5.0,8.8", 8.8, "High"),
        ("cvss_v2_score,cvss_v4_score", "5.0,9.3", 9.3, "Critical"),
        ("CVSS v2.0 Base Score,cvss_score", "7.5,9.8", 9.8, "Critical"),
        ("CVSS v2.0 Base Score,cvss_score", "7.5,", 7.5, "High"),
        ("CVSS v3.1 Base Score,CVSS v2.0 Base Score", ",10.0", 10.0, "Critical"),
        ("cvss_score,CVSS Version", "9.5,2.0", 9.5, "High"),
        ("cvss_score,CVSS Version", "9.5,3.1", 9.5, "Critical"),
    ],
)
def test_usual_names_of_scores_are_read_version_2_last(
    tmp_path: Path, columns: str, cells: str, score: float, severity: str
) -> None:
    text = f"hostname,cve,severity,{columns}\nh1,CVE-2030-1001,,{cells}\n"
    (finding,) = inspect_text(tmp_path, text).findings
    assert (finding.cvss_score, finding.severity) == (score, severity)


def test_own_list_may_name_the_host_asset(tmp_path: Path) -> None:
    text = "Asset;IP Address;Vulnerability;CVE\nWEB01;192.0.2.71;Example;CVE-2030-7101\n"
    inspection = inspect_text(tmp_path, text)
    assert inspection.profile == "hub"
    check_findings(
        inspection,
        expect("192.0.2.71", hostname="web01", plugin_name="Example", cve="CVE-2030-7101",
               severity="Unknown"),
    )  # fmt: skip


def test_rapid7_query_may_name_the_other_columns_itself(tmp_path: Path) -> None:
    text = (
        "Asset IP Address,Host Name,NexposeID,Vulnerability Title,Severity,CVSS Score,CVE ID,"
        "First Found Date,Last Found Date,Vulnerability Risk Score,Fix\n"
        "192.0.2.72,SRV72,cisco-x,Example,9,8.8,CVE-2030-7002,2030-01-02 03:04:05,2030-05-30,"
        "999.5,Patch.\n"
    )
    inspection = inspect_text(tmp_path, text)
    assert inspection.profile == "rapid7_sql"
    check_findings(
        inspection,
        expect("192.0.2.72", hostname="srv72", plugin_id="cisco-x", plugin_name="Example",
               cve="CVE-2030-7002", severity="Critical", cvss_score=8.8, vendor="CISCO",
               first_seen="2030-01-02", last_seen="2030-05-30"),
    )  # fmt: skip
    assert inspection.findings[0].solution == "Patch."
    assert inspection.warnings == []


def test_rapid7_template_has_a_first_line_and_trailing_blanks(tmp_path: Path) -> None:
    text = (
        "report 1\nAsset IP Address ,Service Port ,Vulnerability Test Result Code ,"
        "Vulnerability ID ,Vulnerability CVE IDs ,Vulnerability Severity Level ,"
        "Vulnerability Title \n"
        '192.0.2.71,0,VE,cisco-x,"CVE-2030-7011,CVE-2030-7012",9,Example\n'
        "192.0.2.71,80,nv,y,,5,Absent\n192.0.2.71,80,ev,z,,3,Excepted\n192.0.2.71,80,er,e,,3,Error\n"
    )
    inspection = inspect_text(tmp_path, text)
    usual = {"plugin_name": "Example", "plugin_id": "cisco-x", "severity": "Critical",
             "vendor": "CISCO", "state": "VE"}  # fmt: skip
    check_findings(
        inspection,
        expect("192.0.2.71", **usual, cve="CVE-2030-7011", extra={"port": None}),
        expect("192.0.2.71", **usual, cve="CVE-2030-7012"),
        expect("192.0.2.71", plugin_id="z", plugin_name="Excepted", severity="Low", state="ev",
               lifecycle_state="resolved", extra={"closed_as": "accepted"}),
    )  # fmt: skip


@pytest.mark.parametrize(
    "header",
    [
        "Hostname,IP,Title,Severity,Description,Mitigation,CVE,CVSS Score,First Detected,State",
        "Hostname,IP,Title,Severity,Description,Url,CVE,CVSS Score,First Detected,State",
        "Hostname,IP,Vulnerability Name,Severity,x,Remediation,CVE,CVSS Score,First Detected,State",
        "Hostname,IPv4 Address,Name,Severity,Plugin ID,Host,CVE,CVSS Score,First Detected,State",
    ],
    ids=["like_defectdojo", "with_a_link", "like_trustwave", "like_nessus"],
)
def test_list_with_some_columns_of_a_tool_loses_no_other_column(
    tmp_path: Path, header: str
) -> None:
    cells = "WEB01,192.0.2.72,Example,High,1,https://advisory.example.test/1"
    text = f"{header}\n{cells},CVE-2030-7201,8.1,2030-01-02,Fixed\n"
    inspection = inspect_text(tmp_path, text)
    assert inspection.profile == "hub"
    plugin_id = "1" if "Plugin ID" in header else ""
    check_findings(
        inspection,
        expect("192.0.2.72", hostname="web01", plugin_name="Example", cve="CVE-2030-7201",
               plugin_id=plugin_id, cvss_score=8.1, first_seen="2030-01-02", state="Fixed",
               lifecycle_state="resolved"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "header"),
    [
        ("defender_tvm", "Device Name,IP Address,Software Name,CVE ID,Severity,CVSS,First Seen"),
        ("crowdstrike", "Hostname,IP Address,Host ID,CVE ID,Severity,CVSS Score,First Seen"),
        ("qualys_vm", "Hostname,IP,x,CVE,Severity,CVSS Score,First Found,QID,Title,IP Status"),
        (
            "rapid7_template",
            "Host Name,Asset IP Address,x,CVE,Vulnerability Severity Level,CVSS Score,First Seen,"
            "x,Vulnerability Title",
        ),
    ],
    ids=["defender_tvm", "crowdstrike", "qualys_vm", "rapid7_template"],
)
def test_list_made_of_an_export_is_read_by_its_usual_names(
    tmp_path: Path, profile: str, header: str
) -> None:
    width = header.count(",") + 1
    cells = ["WEB01", "192.0.2.73", "x", "CVE-2030-7301", "High", "8.1", "2030-01-02", "1", "A", ""]
    inspection = inspect_text(tmp_path, f"{header}\n{','.join(cells[:width])}\n")
    (finding,) = inspection.findings
    assert inspection.profile == profile
    assert (finding.hostname, finding.host_key, finding.severity) == ("web01", "192.0.2.73", "High")
    assert (finding.cvss_score, finding.first_seen) == (8.1, "2030-01-02")


def test_family_of_a_plugin_names_the_vendor_under_its_usual_name(tmp_path: Path) -> None:
    text = "Host,Plugin ID,Name,Risk,Plugin Family\nfw1,1,Example,High,CISCO\n"
    inspection = inspect_text(tmp_path, text)
    check_findings(inspection, expect("fw1", plugin_id="1", plugin_name="Example", vendor="CISCO"))


def test_tenable_vm_with_names_of_hextrackr_loses_no_column(tmp_path: Path) -> None:
    text = (
        "asset.id,hostname,ip_address,definition.id,definition.name,cve,cvss_score,vpr_score,"
        "vendor,severity,state,first_seen,last_seen,plugin_published\n"
        "a,SRV2,192.0.2.2,900003,Example,CVE-2030-1001,8.8,7.1,Cisco,High,ACTIVE,2030-01-02,"
        "2030-03-04,2030-01-01\n"
    )
    inspection = inspect_text(tmp_path, text)
    assert inspection.profile == "tenable_vm"
    check_findings(
        inspection,
        expect("192.0.2.2", hostname="srv2", cve="CVE-2030-1001", plugin_id="900003",
               plugin_name="Example", cvss_score=8.8, vpr_score=7.1, vendor="CISCO",
               first_seen="2030-01-02", last_seen="2030-03-04", vulnerability_date="2030-01-01"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "cell",
    [
        "WEB1.example.test (192.0.2.3)", "192.0.2.3 (web1.example.test)", "192.0.2.3 web1",
        "web1, 192.0.2.3", "web1|192.0.2.3", "web1 [192.0.2.3]", "web1 - 192.0.2.3",
        "web1/192.0.2.3", "192.0.2.3;web1", "web1 <192.0.2.3>", "web1\n192.0.2.3",
        "web1 (192.0.2.3, 2001:db8::3)",
    ],
)  # fmt: skip
def test_cell_with_a_name_and_an_address_gives_both(tmp_path: Path, cell: str) -> None:
    text = f'Host,CVE,Severity\n"{cell}",CVE-2030-1001,High\n'
    inspection = inspect_text(tmp_path, text)
    check_findings(inspection, expect("192.0.2.3", hostname="web1", cve="CVE-2030-1001"))
    assert messages(inspection) == []


@pytest.mark.parametrize("cell", ["web1 (dmz)", "192.0.2.3 (192.0.2.4)", "(192.0.2.3)"])
def test_cell_with_other_words_in_parentheses_is_not_split(tmp_path: Path, cell: str) -> None:
    (finding,) = inspect_text(tmp_path, f"Host,CVE,Severity\n{cell},CVE-2030-1001,High\n").findings
    assert finding.host_key in {"192.0.2.3", cell}


@pytest.mark.parametrize(
    ("cell", "host_key", "port"),
    [
        ("web1.example.test:8443", "web1.example.test", 8443), ("web1:443/tcp", "web1", 443),
        ("web1.example.test/path?x=1", "web1.example.test", None), ("//web1/x", "web1", None),
        ("prod/web1", "prod/web1", None), ("web1: old", "web1: old", None),
        ("00:00:5e:00:53:01", "00:00:5e:00:53:01", None),
        ("192.0.2.3:443/tcp", "192.0.2.3", 443), ("192.0.2.3-192.0.2.9", None, None),
        ("192.0.2.3-9", None, None),
    ],
)  # fmt: skip
def test_port_and_path_do_not_belong_to_the_name_of_a_host(
    tmp_path: Path, cell: str, host_key: str | None, port: int | None
) -> None:
    inspection = inspect_text(tmp_path, f"Host,CVE,Severity\n{cell},CVE-2030-1001,High\n")
    if host_key is None:
        assert (inspection.findings, inspection.rows_rejected) == ([], 1)
        assert "is not an unambiguous address" in messages(inspection)[0][3]
        return
    (finding,) = inspection.findings
    assert (finding.host_key, finding.extra.get("port")) == (host_key, port)


def test_tenable_vm_with_a_plugin_id_of_another_name_is_identified_by_it(tmp_path: Path) -> None:
    text = (
        "asset.name,asset.display_ipv4_address,definition.name,plugin_id,severity\n"
        "srv1,192.0.2.1,Example,900001,High\nsrv1,192.0.2.1,Example,900002,High\n"
    )
    check_findings(
        inspect_text(tmp_path, text),
        *(
            expect("192.0.2.1", hostname="srv1", plugin_id=each, plugin_name="Example")
            for each in ("900001", "900002")
        ),
    )


@pytest.mark.parametrize("columns", ["", ",Vulnerable Since"])  # the template, and all columns
def test_rapid7_results_may_have_the_words_of_the_xml(tmp_path: Path, columns: str) -> None:
    header = (
        "Asset IP Address,Vulnerability ID,Vulnerability Title,Vulnerability Severity Level,"
        "Vulnerability Test Result Code"
    )
    words = (
        "vulnerable-version", "Vulnerable-Exploited", "not-vulnerable", "skipped-dos", "error",
        "unknown", "exception-vulnerable-version",
    )  # fmt: skip
    rows = [
        {"Asset IP Address": "192.0.2.74", "Vulnerability ID": f"x-{number}",
         "Vulnerability Title": "X", "Vulnerability Severity Level": "Severe",
         "Vulnerability Test Result Code": word}
        for number, word in enumerate(words)
    ]  # fmt: skip
    inspection = inspect_text(tmp_path, make_csv(header + columns, *rows))
    usual = {"plugin_name": "X"}
    check_findings(
        inspection,
        expect("192.0.2.74", **usual, plugin_id="x-0", state="vulnerable-version"),
        expect("192.0.2.74", **usual, plugin_id="x-1", state="Vulnerable-Exploited"),
        expect("192.0.2.74", **usual, plugin_id="x-6", state="exception-vulnerable-version",
               lifecycle_state="resolved", extra={"closed_as": "accepted"}),
    )  # fmt: skip
    assert inspection.rows_skipped == 4
    assert messages(inspection) == []


def test_greenbone_closes_false_positives_and_leaves_out_negative_scores(tmp_path: Path) -> None:
    header = "IP,Hostname,Port,Port Protocol,CVSS,Severity,QoD,NVT Name,NVT OID,CVEs,Timestamp"
    row = {"IP": "192.0.2.80", "CVSS": "-1.0", "Severity": "False Positive", "NVT Name": "A",
           "NVT OID": "1.3.6.1", "Timestamp": "2030-05-30T23:46:31Z"}  # fmt: skip
    critical = row | {"Severity": "Critical", "CVSS": "9.8", "CVEs": "CVE-2030-8001"}
    inspection = inspect_text(tmp_path, make_csv(header, row, critical))
    usual = {"plugin_id": "1.3.6.1", "plugin_name": "A", "first_seen": "2030-05-30",
             "last_seen": "2030-05-30"}  # fmt: skip
    check_findings(
        inspection,
        expect("192.0.2.80", **usual, severity="Unknown", lifecycle_state="resolved",
               extra={"closed_as": "false_positive"}),
        expect("192.0.2.80", **usual, severity="Critical", cvss_score=9.8, cve="CVE-2030-8001"),
    )  # fmt: skip


GREENBONE = """<get_reports_response status="200"><report><report><filters><term>apply_overrides=0 \
levels={levels} min_qod={quality}</term></filters><results><result id="1"><name>A</name>\
<creation_time>2030-05-30T23:55:31+02:00</creation_time><host>192.0.2.141<hostname/></host>\
<port>https (443/tcp)</port><nvt oid="1.3.6.2"><name>A</name><family>General</family>\
<cvss_base>5.0</cvss_base><cve>NOCVE</cve></nvt><threat/><severity>5.0</severity></result>\
<result id="2"><host>192.0.2.141</host><port>general/tcp</port><nvt oid="1.3.6.3"><name>B</name>\
<cve>CVE-2030-14101, CVE-2030-14102</cve></nvt><threat>Log</threat>\
<severity>0.0</severity></result></results>\
<host><ip>192.0.2.141</ip><detail><name>best_os_txt</name><value>Example OS</value>\
</detail></host></report></report></get_reports_response>"""


def test_old_greenbone_xml_has_text_cves_empty_threats_and_systems(tmp_path: Path) -> None:
    text = GREENBONE.format(levels="hmlg", quality=0)
    inspection = inspect_text(tmp_path, text)
    log = {"plugin_id": "1.3.6.3", "plugin_name": "B", "severity": "Info", "cvss_score": 0.0,
           "operating_system": "Example OS"}  # fmt: skip
    check_findings(
        inspection,
        expect("192.0.2.141", plugin_id="1.3.6.2", plugin_name="A", severity="Medium",
               cvss_score=5.0, first_seen="2030-05-30", last_seen="2030-05-30",
               operating_system="Example OS", extra={"port": 443, "protocol": "tcp"}),
        expect("192.0.2.141", **log, cve="CVE-2030-14101", extra={"port": None}),
        expect("192.0.2.141", **log, cve="CVE-2030-14102"),
    )  # fmt: skip
    assert inspection.resolve == "hosts"
    filtered = inspect_text(tmp_path, GREENBONE.format(levels="hml", quality=70))
    assert filtered.resolve == "none"


def test_greenbone_result_without_a_cve_has_no_warning(tmp_path: Path) -> None:
    header = "IP,Severity,CVSS,NVT Name,NVT OID,CVEs,Timestamp"
    row = {"IP": "192.0.2.80", "CVSS": "5.0", "Severity": "Medium", "NVT Name": "A",
           "NVT OID": "1.3.6.1", "CVEs": "NOCVE", "Timestamp": "2030-05-30T23:46:31Z"}  # fmt: skip
    inspection = inspect_text(tmp_path, make_csv(header, row))
    check_findings(
        inspection,
        expect("192.0.2.80", plugin_id="1.3.6.1", plugin_name="A", first_seen="2030-05-30",
               last_seen="2030-05-30", severity="Medium", cvss_score=5.0),
    )  # fmt: skip
    assert messages(inspection) == []


SCORES = """<report><report><results><result id="1"><host>192.0.2.142</host><port>22/tcp</port>\
<nvt oid="1.3.6.4"><name>A</name><cvss_base>{base}</cvss_base><severities score="{score}">\
<severity type="cvss_base_v2"><score>{second}</score></severity>\
<severity type="cvss_base_v3"><score>{third}</score></severity></severities></nvt>\
<threat>High</threat><severity>{base}</severity></result></results></report></report>"""


@pytest.mark.parametrize(
    ("base", "score", "second", "third", "expected"),
    [
        ("7.5", "75", "50", "75", 7.5),  # GVM 20.8 and 21.4
        ("1.0", "10", "5", "10", 1.0),
        ("10.0", "100", "93", "100", 10.0),
        ("10", "100", "93", "100", 10.0),
        ("7.5", "75", "75", "", 7.5),
        ("7.5", "7.5", "5.0", "7.5", 7.5),  # GVM 21.10 and later
        ("10.0", "10.0", "9.3", "10.0", 10.0),
        ("10.0", "10", "9", "10", 10.0),
        ("5.0", "", "5.0", "7", 7.0),
    ],
)
def test_greenbone_xml_scores_from_0_to_100_are_read(
    tmp_path: Path, base: str, score: str, second: str, third: str, expected: float
) -> None:
    text = SCORES.format(base=base, score=score, second=second, third=third)
    inspection = inspect_text(tmp_path, text)
    check_findings(
        inspection,
        expect("192.0.2.142", plugin_id="1.3.6.4", plugin_name="A", cvss_score=expected),
    )
    assert messages(inspection) == []


def test_inspector_rows_without_a_host_give_one_warning(tmp_path: Path) -> None:
    header = (
        "AWS Account Id,Severity,Finding Type,Title,First Seen,Last Seen,Resource ID,"
        "Inspector Score,Status,Vulnerability Id,NVD CVSS3 Score,Resource Type,"
        "Resource Private Ipv4,Resource Ipv6"
    )
    row = {
        "Severity": "UNTRIAGED", "Title": "CVE-2030-10001 - a",
        "First Seen": "2030-02-02T16:30:33Z",
        "Last Seen": "2030-05-14", "Resource ID": "i-01", "Inspector Score": "7.1",
        "Status": "ACTIVE", "Vulnerability Id": "CVE-2030-10001",
        "Resource Type": "AWS_EC2_INSTANCE", "Resource Ipv6": "2001:DB8::10",
    }  # fmt: skip
    image = row | {"Resource Type": "AWS_ECR_CONTAINER_IMAGE"}
    function = row | {"Resource Type": "AWS_LAMBDA_FUNCTION", "Finding Type": "CODE_VULNERABILITY"}
    inspection = inspect_text(tmp_path, make_csv(header, row, image, image, function))
    check_findings(
        inspection,
        expect("2001:db8::10", hostname="i-01", cve="CVE-2030-10001", cvss_score=7.1,
               plugin_name="CVE-2030-10001 - a", first_seen="2030-02-02", last_seen="2030-05-14"),
    )  # fmt: skip
    left_out = [each[3] for each in messages(inspection) if "left out" in each[3]]
    assert left_out == [
        "rows that do not concern a host are left out: 2 of AWS_ECR_CONTAINER_IMAGE, "
        "1 of AWS_LAMBDA_FUNCTION"
    ]
    assert inspection.rows_skipped == 3


def test_defender_delta_of_json_names_is_read(tmp_path: Path) -> None:
    text = (
        "deviceId,deviceName,softwareVendor,softwareName,softwareVersion,cveId,"
        "vulnerabilitySeverityLevel,cvssScore,exploitabilityLevel,status\n"
        "d1,srv90.example.test,cisco,client,1,CVE-2030-9001,High,8.1,NoExploit,Updated\n"
        "d1,srv90.example.test,cisco,client,2,CVE-2030-9001,High,8.1,NoExploit,New\n"
        "d1,srv90.example.test,cisco,client,2,CVE-2030-9002,Low,,ExploitIsPublic,Fixed\n"
        "d1,srv90.example.test,cisco,client,2,,,,,\n"
    )
    inspection = inspect_text(tmp_path, text)
    usual = {"plugin_name": "cisco client", "vendor": "CISCO"}
    check_findings(
        inspection,
        expect("srv90.example.test", **usual, cve="CVE-2030-9001", cvss_score=8.1, state="Updated",
               extra={"exploit_available": False}),
        expect("srv90.example.test", **usual, cve="CVE-2030-9002", severity="Low", state="Fixed",
               lifecycle_state="resolved", extra={"closed_as": "fixed", "exploit_available": True}),
    )  # fmt: skip
    assert (inspection.warnings, inspection.rows_skipped) == ([], 1)


def test_defender_delta_resolves_nothing_by_absence(tmp_path: Path) -> None:
    header = "DeviceName,SoftwareVendor,SoftwareName,CveId,VulnerabilitySeverityLevel"
    rows = "srv90,a,b,CVE-2030-9001,High{end}\nsrv90,a,c,CVE-2030-9002,Low{end}\n"
    snapshot = inspect_text(tmp_path, header + "\n" + rows.format(end=""))
    changes = inspect_text(tmp_path, header + ",Status\n" + rows.format(end=",New"))
    assert (snapshot.resolve, changes.resolve) == ("hosts", "none")
    assert len(changes.findings) == 2


NAMED = """<report><report><results><result><host>{host}</host><port>22/tcp</port>\
<nvt oid="1.3.6.9"><name>A</name></nvt><threat>High</threat><severity>7.5</severity></result>\
</results></report></report>"""


@pytest.mark.parametrize(
    "text",
    [
        NAMED.format(host="NAS.Example.test"),
        "IP,Hostname,NVT OID,NVT Name,Severity,CVSS\nNAS.Example.test,,1.3.6.9,A,High,7.5\n",
    ],
    ids=["xml", "csv"],
)
def test_name_in_place_of_an_address_identifies_the_host(tmp_path: Path, text: str) -> None:
    inspection = inspect_text(tmp_path, text)
    check_findings(
        inspection,
        expect("nas.example.test", plugin_id="1.3.6.9", plugin_name="A", cvss_score=7.5),
    )
    assert [each[3] for each in messages(inspection)] == [
        "'NAS.Example.test' is not an address; it counts as the name of the host"
    ]


@pytest.mark.parametrize(
    "cell", ["192.000.002.001", "192.0.2.256", "see below", "unknown", "a..b", "-x"]
)
def test_cell_without_an_address_or_a_name_is_rejected(tmp_path: Path, cell: str) -> None:
    header = "IP,Hostname,NVT OID,NVT Name,Severity\n"
    inspection = inspect_text(tmp_path, f"{header}{cell},,1.3.6.9,A,High\n")
    assert (inspection.findings, inspection.rows_rejected) == ([], 1)

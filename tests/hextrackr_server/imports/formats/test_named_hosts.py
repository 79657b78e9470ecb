"""Hosts that a file names as scanned without a finding count as named for absence."""

from __future__ import annotations

from pathlib import Path

import pytest

from hextrackr_server.imports.formats.reader import ExportReader
from tests.hextrackr_server.imports.formats.exports import make_csv

NESSUS = """<NessusClientData_v2><Report name="r">
<ReportHost name="192.0.2.1"><HostProperties><tag name="host-ip">192.0.2.1</tag>
<tag name="HOST_END">Thu May 30 15:24:32 2030</tag></HostProperties>
<ReportItem port="0" pluginID="1" pluginName="P" severity="1"/></ReportHost>
<ReportHost name="h2.example.test"><HostProperties><tag name="host-ip">192.0.2.2</tag>
<tag name="HOST_END">Thu May 30 15:24:32 2030</tag></HostProperties></ReportHost>
<ReportHost name="192.0.2.3"><HostProperties><tag name="host-ip">192.0.2.3</tag>
</HostProperties></ReportHost>
</Report></NessusClientData_v2>"""

GREENBONE = """<report><report>
<host><ip>192.0.2.1</ip><start>2030-05-30T10:00:00Z</start><end>2030-05-30T11:00:00Z</end></host>
<host><ip>192.0.2.2</ip><end>2030-05-30T11:00:00Z</end>
<detail><name>Host dead</name><value>1</value></detail></host>
<host><ip>192.0.2.3</ip><start>2030-05-30T10:00:00Z</start><end/></host>
<results><result><host>192.0.2.4</host><port>443/tcp</port><threat>High</threat>
<severity>7.5</severity><nvt oid="1.2.3"><name>N</name></nvt></result></results>
</report></report>"""

NEXPOSE = """<NexposeReport version="2.0"><nodes>
<node address="192.0.2.1" status="alive"><names><name>h1</name></names></node>
<node address="192.0.2.2" status="dead"></node>
<node address="192.0.2.3" status="alive"><tests>
<test id="a" status="not-vulnerable"/><test id="b" status="not-vulnerable"/></tests></node>
<node address="192.0.2.4" status="alive"><tests><test id="a" status="vulnerable-version"/></tests>
</node></nodes><VulnerabilityDefinitions><vulnerability id="a" title="A" severity="7"/>
</VulnerabilityDefinitions></NexposeReport>"""

QUALYS = make_csv(
    "IP,DNS,IP Status,QID,Title,Severity,CVE ID",
    {"IP": "192.0.2.1", "IP Status": "host scanned, found vuln", "QID": "1", "Title": "T",
     "Severity": "3"},
    {"IP": "192.0.2.2", "DNS": "h2.example.test", "IP Status": "host scanned, no vuln"},
    {"IP": "192.0.2.3", "IP Status": "host not alive"},
    {"IP": "192.0.2.4"},
)  # fmt: skip

RAPID7 = make_csv(
    "Asset IP Address,Vulnerability ID,Vulnerability Title,Vulnerability Severity Level,"
    "Vulnerability Test Result Code",
    {"Asset IP Address": "192.0.2.1", "Vulnerability ID": "a", "Vulnerability Title": "A",
     "Vulnerability Severity Level": "7", "Vulnerability Test Result Code": "vv"},
    {"Asset IP Address": "192.0.2.2", "Vulnerability ID": "a", "Vulnerability Title": "A",
     "Vulnerability Severity Level": "7", "Vulnerability Test Result Code": "nv"},
    {"Asset IP Address": "192.0.2.3", "Vulnerability ID": "a", "Vulnerability Title": "A",
     "Vulnerability Severity Level": "7", "Vulnerability Test Result Code": "er"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "findings", "named"),
    [
        ("a.nessus", NESSUS, ["192.0.2.1"], ["192.0.2.2"]),
        ("a.xml", GREENBONE, ["192.0.2.4"], ["192.0.2.1"]),
        ("b.xml", NEXPOSE, ["192.0.2.4"], ["192.0.2.1", "192.0.2.3"]),
        ("qualys.csv", QUALYS, ["192.0.2.1"], ["192.0.2.2"]),
        ("rapid7.csv", RAPID7, ["192.0.2.1"], ["192.0.2.2"]),
    ],
)
def test_scanned_hosts_without_a_finding_are_named(
    tmp_path: Path, name: str, content: str, findings: list[str], named: list[str]
) -> None:
    path = tmp_path / name
    path.write_text(content)
    reader = ExportReader(path, scan_date="2030-06-01", reads_extra=False)
    chunks = list(reader.read_rows())
    assert [row[1].key for chunk in chunks for row in chunk.rows] == findings
    assert [host.key for chunk in chunks for host in chunk.hosts] == named


def test_named_hosts_are_returned_in_chunks(tmp_path: Path) -> None:
    path = tmp_path / "qualys.csv"
    rows = [f'192.0.2.{number},,"host scanned, no vuln",,,,' for number in range(250)]
    path.write_text("\n".join(["IP,DNS,IP Status,QID,Title,Severity,CVE ID", *rows]) + "\n")
    chunks = list(ExportReader(path, scan_date="2030-06-01").read_rows(100))
    assert [len(chunk.hosts) for chunk in chunks] == [100, 100, 50]


DEAD = "The remote host (192.0.2.1) is considered as dead - not scanning"


@pytest.mark.parametrize("output", [DEAD, "The remote host is up"])
def test_host_that_did_not_respond_keeps_its_findings(tmp_path: Path, output: str) -> None:
    path = tmp_path / "export.csv"
    row = {"Plugin ID": "10180", "Risk": "None", "Host": "192.0.2.1", "Name": "Ping the host"}
    other = row | {"Plugin ID": "1", "Host": "192.0.2.2", "Risk": "High"}
    text = make_csv(
        "Plugin ID,CVE,Risk,Host,Name,Plugin Output",
        row | {"Plugin Output": output}, other, row | {"Plugin Output": output},
    )  # fmt: skip
    path.write_text(text)
    expected = [
        (
            number,
            "the host was not scanned",
            [("hostname", "192.0.2.1"), ("ip_address", "192.0.2.1")],
        )
        for number in (2, 4)
        if output is DEAD
    ]
    (chunk,) = ExportReader(path, scan_date="2030-06-01").read_rows()
    assert [row[0] for row in chunk.rows] == [2, 3, 4]
    assert [(row, each.message, each.mentions) for row, each in chunk.problems] == expected
    results = [each for each in ExportReader(path, scan_date="2030-06-01").read() if each.problem]
    assert [(each.number, each.problem.mentions) for each in results if each.problem] == [
        (number, mentions) for number, _, mentions in expected
    ]

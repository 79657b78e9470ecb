"""Exports of Nessus as XML (.nessus)."""

from __future__ import annotations

from fuzz.exports import XML_BORDERS, XML_TOKENS, read_export
from fuzz.seeds import samples
from fuzz.target import Target

SMALL = (
    b'<NessusClientData_v2><Report name="a"><ReportHost name="a.test"><HostProperties>'
    b'<tag name="HOST_END_TIMESTAMP">1906385072</tag><tag name="host-ip">192.0.2.140</tag>'
    b'</HostProperties><ReportItem port="80" protocol="tcp" severity="3" pluginID="1" '
    b'pluginName="A"><cve>CVE-2030-14001</cve><cvss3_base_score>8.8</cvss3_base_score>'
    b"<risk_factor>High</risk_factor><solution>s</solution></ReportItem></ReportHost></Report>"
    b"</NessusClientData_v2>"
)
TARGET = Target(
    "scanner exports as XML: Nessus",
    lambda: [*samples("samples/14_nessus_v2.nessus"), *[SMALL] * 3],
    lambda data: read_export(data, "export.nessus"),
    (
        *XML_TOKENS, b'<ReportHost name="a">', b"</ReportHost>", b"<HostProperties>",
        b'<tag name="host-ip">192.0.2.1</tag>', b'<tag name="HOST_END">x</tag>', b"</ReportItem>",
        b'<ReportItem port="443" severity="3" pluginID="1" pluginName="a">',
        b"<cve>CVE-2030-1</cve>",
    ),
    longest=2300,
    borders=XML_BORDERS,
)  # fmt: skip

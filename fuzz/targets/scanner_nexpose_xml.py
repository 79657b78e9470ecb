"""Exports of Nexpose (InsightVM) as XML 2.0."""

from __future__ import annotations

from fuzz.exports import XML_BORDERS, XML_TOKENS, read_export
from fuzz.seeds import samples
from fuzz.target import Target

SMALL = (
    b'<NexposeReport version="2.0"><scans><scan id="1" endTime="20300530T164705"/></scans><nodes>'
    b'<node address="192.0.2.142" status="alive"><names><name>a.test</name></names><tests>'
    b'<test id="a" status="vulnerable-version"><Paragraph>v1</Paragraph></test></tests></node>'
    b'</nodes><VulnerabilityDefinitions><vulnerability id="a" title="A" severity="8" '
    b'cvssScore="7.5"><references><reference source="CVE">CVE-2030-14201</reference></references>'
    b"</vulnerability></VulnerabilityDefinitions></NexposeReport>"
)
TARGET = Target(
    "scanner exports as XML: Nexpose",
    lambda: [*samples("samples/14c_nexpose_2.xml"), *[SMALL] * 3],
    lambda data: read_export(data, "export.xml"),
    (
        *XML_TOKENS, b'<node address="192.0.2.1" status="alive" hardware-address="0011">',
        b"</node>",
        b'<test id="a" status="vulnerable-exploited">', b"</test>", b'<endpoint port="443">',
        b'<vulnerability id="a" title="b" severity="8" cvssScore="7.5">', b"</vulnerability>",
        b'<reference source="CVE">CVE-2030-1</reference>', b'<os certainty="1.0" vendor="a"/>',
        b'<scan endTime="20300601T100000000"/>', b"<names><name>a</name></names>",
    ),
    longest=2300,
    borders=XML_BORDERS,
)  # fmt: skip

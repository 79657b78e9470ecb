"""Exports of Nessus as XML (.nessus)."""

from __future__ import annotations

from fuzz.exports import XML_BORDERS, XML_TOKENS, read_export
from fuzz.seeds import samples
from fuzz.target import Target

TARGET = Target(
    "scanner exports as XML: Nessus",
    lambda: samples("samples/14_nessus_v2.nessus"),
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

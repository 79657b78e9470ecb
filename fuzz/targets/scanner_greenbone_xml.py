"""Exports of Greenbone (OpenVAS) as XML."""

from __future__ import annotations

from fuzz.exports import XML_BORDERS, XML_TOKENS, read_export
from fuzz.seeds import samples
from fuzz.target import Target

TARGET = Target(
    "scanner exports as XML: Greenbone",
    lambda: samples("samples/14b_greenbone.xml"),
    lambda data: read_export(data, "export.xml"),
    (
        *XML_TOKENS, b"<result>", b"</result>", b"<host>192.0.2.1</host>", b"<port>443/tcp</port>",
        b'<nvt oid="1">', b"<threat>High</threat>", b"<severity>7.5</severity>",
        b"<value>1</value>",
        b"<name>best_os_txt</name>", b"<tags>summary=a|solution=b</tags>", b"<detail>",
        b"</detail>",
        b'<ref type="cve" id="CVE-2030-1001"/>', b"<term>levels=hml min_qod=70</term>",
    ),
    longest=2300,
    borders=XML_BORDERS,
)  # fmt: skip

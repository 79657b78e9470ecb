"""Exports of Greenbone (OpenVAS) as XML."""

from __future__ import annotations

from fuzz.exports import XML_BORDERS, XML_TOKENS, read_export
from fuzz.seeds import samples
from fuzz.target import Target

SMALL = (
    b'<report id="r"><gmp/><results start="1" max="1"><result id="1"><name>A</name>'
    b"<creation_time>2030-05-30T16:55:31Z</creation_time><host>192.0.2.141<hostname>a.test"
    b'</hostname></host><port>443/tcp</port><nvt oid="1"><name>A</name><family>CISCO</family>'
    b'<tags>summary=a</tags><refs><ref type="cve" id="CVE-2030-14101"/></refs></nvt>'
    b"<threat>High</threat><severity>9.8</severity><qod><value>80</value></qod></result></results>"
    b"</report>"
)
TARGET = Target(
    "scanner exports as XML: Greenbone",
    lambda: [*samples("samples/14b_greenbone.xml"), *[SMALL] * 3],
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

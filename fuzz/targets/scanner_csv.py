"""Exports of scanners as CSV, from the first byte of the file: encodings, headers, rows, cuts."""

from __future__ import annotations

from zlib import crc32

from fuzz.exports import read_export
from fuzz.seeds import samples
from fuzz.target import Target


def run(data: bytes) -> None:
    """Read a file; every second one as if its user had not allowed files that break off."""
    read_export(data, allow_partial=crc32(data) & 4 == 0)


TARGET = Target(
    "scanner exports as CSV: whole files of all formats",
    lambda: samples("samples/*.csv", "field/*.csv", longest=2048),
    run,
    (
        b"\r\n", b",", b";", b"\t", b'"', b'""', b"sep=;\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\0",
        b"CVE-2030-1001", b"CVE-2030-1001,CVE-2030-1002", b"192.0.2.1", b"2001:db8::1", b"High",
        b"7.5", b"7,5", b"2030-05-01", b"05/01/2030", b"1893456000", b"\xe9", b"End of report",
    ),
    longest=1024,
    borders=b',;\t|"\r\n',
)  # fmt: skip

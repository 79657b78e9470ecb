"""CISA's catalog of known exploited vulnerabilities, as JSON and as CSV."""

from __future__ import annotations

import json
import re

from fuzz.exports import check_texts
from fuzz.target import JSON_BORDERS, Target
from hextrackr_server.kev.catalog import KevError, parse_catalog

_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")


def run(data: bytes) -> None:
    """Parse a catalog; its entries have valid CVEs and clean texts."""
    try:
        catalog = parse_catalog(data)
    except KevError as error:
        str(error).encode()
        return
    check_texts(catalog.version)
    for cve, entry in catalog.entries.items():
        assert _CVE.fullmatch(cve)
        assert entry.cve_id == cve
        check_texts(list(entry))
    for problem in catalog.problems:
        check_texts(list(problem))


def make(**changes: object) -> bytes:
    """Return a feed of two entries, the second one with changes."""
    entry = {
        "cveID": "CVE-2030-1001", "vendorProject": "a", "product": "b", "vulnerabilityName": "c",
        "dateAdded": "2030-01-02", "shortDescription": "d", "requiredAction": "e",
        "dueDate": "2030-01-23", "knownRansomwareCampaignUse": "Known", "notes": "f",
        "cwes": ["CWE-1"],
    }  # fmt: skip
    entries = [entry, entry | {"cveID": "CVE-2030-1002"} | changes]
    feed = {"title": "t", "catalogVersion": "1", "count": 2, "vulnerabilities": entries}
    return json.dumps(feed).encode()


TABLE = (
    b"cveID,vendorProject,product,vulnerabilityName,dateAdded,shortDescription,requiredAction,"
    b"dueDate,knownRansomwareCampaignUse,notes,cwes\r\n"
    b'CVE-2030-1001,a,b,c,2030-01-02,"d\r\nd",e,2030-01-23,Unknown,f,"CWE-1, CWE-2"\r\n'
)
TARGET = Target(
    "the catalog of known exploited vulnerabilities (KEV), JSON and CSV",
    lambda: [
        make(), make(cveID="CVE-2030-1001"), make(dateAdded="x"), make(notes=None, cwes=None),
        TABLE, b"\xef\xbb\xbf" + TABLE, TABLE.replace(b"\r\n", b"\n"),
    ],
    run,
    (
        b'"cveID":', b"CVE-2030-1003", b"null", b"{}", b"[]", b'"count": 1', b"\\ud800", b"\\u0000",
        b"\\u0085", b"2030-02-30", b'"', b",", b"\r\n", b"\xff", b"1e999", b"\0", b"\xc2\x85",
    ),
    longest=1024,
    borders=JSON_BORDERS,
)  # fmt: skip

"""Parses and validates CISA's catalog of known exploited vulnerabilities (KEV).

`fetcher` obtains the bytes of the catalog, `store` saves its entries.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from hextrackr_server.errors import HexTrackrError
from hextrackr_server.text import clean, clean_text, iso_date

MAXIMUM_ENTRIES = 100_000
_CVE = re.compile(r"CVE-\d{4}-\d{4,19}")


class KevError(HexTrackrError):
    """An error in fetching or validating the catalog, with a text that clients may read."""


class KevEntry(NamedTuple):
    """One known exploited CVE with normalized values."""

    cve_id: str
    date_added: str
    vulnerability_name: str
    vendor_project: str
    product: str
    short_description: str
    required_action: str
    due_date: str
    known_ransomware_use: int
    notes: str
    cwes: str


class Catalog(NamedTuple):
    """A complete catalog with its entries by CVE ID."""

    version: str
    entries: dict[str, KevEntry]


class _Item(msgspec.Struct, rename="camel"):
    cve_id: str = msgspec.field(name="cveID")
    vendor_project: str
    product: str
    vulnerability_name: str
    date_added: str
    short_description: str
    required_action: str
    due_date: str
    known_ransomware_campaign_use: str = "Unknown"
    notes: str | None = None
    cwes: list[str] | None = None


class _Feed(msgspec.Struct, rename="camel"):
    catalog_version: str
    count: int
    vulnerabilities: list[_Item]


_decoder = msgspec.json.Decoder(_Feed)


def parse_catalog(body: bytes) -> Catalog:
    """Return the catalog of a feed; raise KevError if any part of the feed is invalid."""
    try:
        feed = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise KevError(f"the catalog does not have CISA's format: {error}") from error
    items = feed.vulnerabilities
    if feed.count != len(items):
        message = f"the catalog must have as many entries as its count, {feed.count}"
        raise KevError(f"{message}, got {len(items)}")
    if not items or len(items) > MAXIMUM_ENTRIES:
        raise KevError(f"a catalog must have 1 to {MAXIMUM_ENTRIES} entries, got {len(items)}")
    entries: dict[str, KevEntry] = {}
    for number, item in enumerate(items, 1):
        entry = _entry(number, item)
        if entry.cve_id in entries:
            raise KevError(f"entry {number}: {entry.cve_id} is in the catalog twice")
        entries[entry.cve_id] = entry
    return Catalog(clean(feed.catalog_version, 64), entries)


def _entry(number: int, item: _Item) -> KevEntry:
    cve = item.cve_id.strip().upper()
    if not _CVE.fullmatch(cve):
        message = f"{clean(item.cve_id, 40)!r} is not a CVE ID (expected e.g. CVE-2024-1000)"
        raise KevError(f"entry {number}: {message}")
    return KevEntry(
        cve_id=cve,
        date_added=_date(number, "dateAdded", item.date_added),
        vulnerability_name=clean(item.vulnerability_name.strip(), 1000),
        vendor_project=clean(item.vendor_project.strip(), 255),
        product=clean(item.product.strip(), 255),
        short_description=clean_text(item.short_description.strip()),
        required_action=clean_text(item.required_action.strip()),
        due_date=_date(number, "dueDate", item.due_date),
        known_ransomware_use=int(item.known_ransomware_campaign_use.strip().lower() == "known"),
        notes=clean_text((item.notes or "").strip()),
        cwes=",".join(clean(each.strip(), 32) for each in (item.cwes or [])[:50]),
    )


def _date(number: int, name: str, written: str) -> str:
    day = iso_date(written.strip())
    if day is None:
        message = f"{name} must be a date such as 2025-09-30, got {clean(written, 40)!r}"
        raise KevError(f"entry {number}: {message}")
    return day

"""CVE ids in the cells of scanners, and the vendor of a finding."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_CVE: Final = re.compile(r"(?<![A-Za-z-])CVE-\d{4}-\d{4,19}(?!\d)", re.IGNORECASE)
_CVE_LIKE: Final = re.compile(r"(?<![A-Za-z-])CVE-[A-Za-z0-9-]{1,40}", re.IGNORECASE)
# Word processors replace hyphens.
_HYPHENS: Final = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"))
_CISCO: Final = re.compile(r"\b(cisco-sa-[a-z0-9_-]{3,100})\s*\)?\s*$", re.IGNORECASE)
_CISCO_ID: Final = re.compile(r"\s*(cisco-sa-[a-z0-9_-]{3,100})(?![a-z0-9_-])", re.IGNORECASE)
_CISCO_WORD: Final = re.compile(r"(?<![a-z])cisco")
_KEV_DUE: Final = re.compile(r"CISA-KNOWN-EXPLOITED:(\d{4})/(\d{2})/(\d{2})")
_PALO_ALTO: Final = re.compile(r"palo[\s_-]*alto")
_LONGEST: Final = 500


def find_cves(text: str) -> list[str]:
    """Return the distinct CVE ids of a text, in upper case and in order."""
    if not text.isascii():
        text = text.translate(_HYPHENS)
    if "-" not in text:
        return []
    return list(dict.fromkeys(match.upper() for match in _CVE.findall(text)))


def find_malformed_cve(text: str, count: int) -> str:
    """Return the first text that looks like a CVE id and is not one, or an empty string.

    `count` is the number of distinct CVE ids in the text: usually they are all that it holds.
    """
    if text.upper().count("CVE-") == count:
        return ""
    return next(iter(_CVE_LIKE.findall(_CVE.sub(" ", text))), "")


def find_cisco_advisory(name: str) -> str:
    """Return the Cisco advisory at the end of a plugin's name, or an empty string."""
    match = _CISCO.search(name[:_LONGEST])
    return match[1].lower() if match else ""


def read_cisco_advisory(cell: str) -> str:
    """Return the Cisco advisory that a cell begins with, or an empty string."""
    match = _CISCO_ID.match(cell)
    return match[1].lower() if match else ""


def find_kev_due(references: str) -> str | None:
    """Return the due date of CISA's catalog from a list of references, as YYYY-MM-DD."""
    match = _KEV_DUE.search(references)
    return "-".join(match.groups()) if match else None


@lru_cache(maxsize=4096)
def vendor_of_family(family: str) -> str:
    """Return the vendor that a family or vendor column names, or an empty string."""
    text = family.lower()
    if _CISCO_WORD.search(text):
        return "CISCO"
    return "Palo Alto" if _PALO_ALTO.search(text) else ""


@lru_cache(maxsize=8192)
def vendor_of_plugin(text: str) -> str:
    """Return the vendor that a plugin's id or name begins with, or an empty string."""
    lower = text.lower()
    if lower.startswith(("cisco ", "cisco-")) or "cisco-sa-" in lower:
        return "CISCO"
    if _PALO_ALTO.match(lower) or lower.startswith(("panos-", "pan-os")):
        return "Palo Alto"
    return ""

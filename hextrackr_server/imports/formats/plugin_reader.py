"""Reads the vulnerability of a row: its CVEs, its plugin with texts, and the plugin's vendor."""

from __future__ import annotations

from typing import Final

from hextrackr_server.imports.formats.advisories import (
    find_cisco_advisory,
    find_cves,
    find_malformed_cve,
    read_cisco_advisory,
    vendor_of_family,
    vendor_of_plugin,
)
from hextrackr_server.imports.formats.columns import Columns, Row
from hextrackr_server.imports.formats.day_reader import DayReader
from hextrackr_server.imports.formats.parts import Plugin
from hextrackr_server.imports.formats.profile import Profile
from hextrackr_server.imports.formats.spreadsheet_marks import read_text
from hextrackr_server.text import clean, clean_text

MAXIMUM_CVES: Final = 500
"""CVEs taken from one row; each becomes a finding with all texts of the row."""
FIELDS: Final = (
    "plugin_id", "plugin_name", "plugin_name_parts", "cve", "description", "solution", "family",
    "vendor_reference", "published",
)  # fmt: skip

_LONGEST_NAME: Final = 500
_LONGEST: Final = 255
_NOT_A_CVE: Final = "not a CVE ID (expected e.g. CVE-2024-1000)"


class PluginReader:
    """A reader for the vulnerabilities of one file's rows.

    `vendor` stands for a vendor that the file does not name.
    """

    def __init__(self, profile: Profile, columns: Columns, days: DayReader, vendor: str) -> None:
        self._profile = profile
        self._columns = columns
        self._days = days
        self._vendor = vendor_of_family(vendor)

    def read(self, row: Row) -> Plugin:
        """Return the vulnerability of a row; without id, name and CVE if the row names none."""
        first = self._columns.first
        plugin_id = self.read_id(row)
        cves = self._read_cves(row, plugin_id)
        name = self.read_name(row)
        return Plugin(
            plugin_id,
            name,
            cves,
            clean_text(first(row, "description")),
            clean_text(first(row, "solution")),
            self._read_vendor(row, plugin_id, name, cves),
        )

    def read_published(self, row: Row) -> str | None:
        """Return the day on which the plugin or the vulnerability was published."""
        return self._days.read(row, "published")

    def read_id(self, row: Row) -> str:
        """Return the id of the row's plugin, or an empty string."""
        return clean(self._columns.first(row, "plugin_id"), _LONGEST)

    def read_name(self, row: Row) -> str:
        """Return the name of the row's plugin, or an empty string."""
        name = self._columns.first(row, "plugin_name")
        if not name and (indexes := self._columns.by_field.get("plugin_name_parts")):
            parts = (read_text(row.cells[index]) for index in indexes)
            name = self._profile.name_separator.join(part for part in parts if part)
        return clean(name, _LONGEST_NAME)

    def find_all_cves(self, row: Row, plugin_id: str) -> list[str]:
        """Return the CVEs of a row without warnings and without a limit."""
        for index in self._columns.by_field.get("cve", ()):
            text = row.cells[index]
            if text and (cves := find_cves(text)):
                return cves
            if text and (advisory := read_cisco_advisory(read_text(text))):
                return [advisory]
        return self._find_cves_elsewhere(row, plugin_id)

    def _find_cves_elsewhere(self, row: Row, plugin_id: str) -> list[str]:
        """Return the CVEs in the id or in the name of the plugin."""
        name = self._columns.first(row, "plugin_name")
        cves = find_cves(plugin_id) or find_cves(name)
        if not cves and self._profile.cisco_advisories and (found := find_cisco_advisory(name)):
            return [found]
        return cves

    def _read_cves(self, row: Row, plugin_id: str) -> list[str]:
        columns = self._columns
        cves: list[str] = []
        for index in columns.by_field.get("cve", ()):
            text = row.cells[index]
            if not text:
                continue
            if cves := find_cves(text):
                if malformed := find_malformed_cve(text, len(cves)):
                    columns.warn_of_cell(row, index, malformed, _NOT_A_CVE)
                break
            text = read_text(text)
            if advisory := read_cisco_advisory(text):
                return [advisory]
            is_meant = "cve" in text.lower() or (text and "cve" in columns.names[index].lower())
            if is_meant and text.lower() not in columns.nulls:
                columns.warn_of_cell(row, index, text, _NOT_A_CVE)
        if not cves:
            cves = self._find_cves_elsewhere(row, plugin_id)
        if len(cves) > MAXIMUM_CVES:
            columns.warn(
                row, "cve", None,
                f"the row has {len(cves)} CVEs; the first {MAXIMUM_CVES} are imported",
            )  # fmt: skip
            del cves[MAXIMUM_CVES:]
        return cves

    def _read_vendor(self, row: Row, plugin_id: str, plugin_name: str, cves: list[str]) -> str:
        family = self._columns.first(row, "family")
        reference = self._columns.first(row, "vendor_reference")
        if cves and cves[0][0] == "c":
            reference = cves[0]  # an advisory in place of a CVE
        return (
            (vendor_of_family(family[:_LONGEST]) if family else "")
            or vendor_of_plugin(reference[:_LONGEST])
            or vendor_of_plugin(plugin_name)
            or vendor_of_plugin(plugin_id)
            or self._vendor
            or "Other"
        )

"""Reads the values of a row that not every format has: inspections show them."""

from __future__ import annotations

from typing import Any, Final

from hextrackr_server.imports.formats.advisories import find_kev_due
from hextrackr_server.imports.formats.columns import Columns, Row
from hextrackr_server.imports.formats.day_reader import DayReader
from hextrackr_server.imports.formats.numbers import split_port
from hextrackr_server.imports.formats.parts import Host, Values
from hextrackr_server.imports.formats.profile import Profile
from hextrackr_server.imports.formats.spreadsheet_marks import read_text
from hextrackr_server.imports.formats.value_reader import ValueReader
from hextrackr_server.imports.formats.words import NO_EXPLOIT_WORDS
from hextrackr_server.text import clean

_LONGEST: Final = 255


class ExtraReader:
    """A reader for the additional values of one file's rows."""

    def __init__(
        self, profile: Profile, columns: Columns, days: DayReader, values: ValueReader
    ) -> None:
        self._profile = profile
        self._columns = columns
        self._days = days
        self._values = values

    def read(self, row: Row, host: Host, values: Values) -> dict[str, Any]:
        """Return the additional values that a row has."""
        port, protocol = self._read_port(row)
        first = self._columns.first
        extra: dict[str, Any] = {
            "port": port or host.port,
            "protocol": protocol,
            "fqdn": host.fqdn,
            "other_addresses": list(host.others),
            "cvss_version": values.cvss_version,
            "epss": self._values.read_epss(row),
            "exploit_available": self._read_exploit(row),
            "asset_id": clean(first(row, "asset_id"), _LONGEST),
            "mac": clean(first(row, "mac").split("\n", 1)[0], 64).lower(),
            "fixed_on": self._days.read(row, "fixed_on"),
            "patch_date": self._days.read(row, "patched"),
            "kev_due": self._days.read(row, "kev_due"),
        }
        if extra["kev_due"] is None:
            extra["kev_due"] = find_kev_due(first(row, "reference")[:4096])
        return {name: value for name, value in extra.items() if value not in (None, "", [])}

    def _read_port(self, row: Row) -> tuple[int | None, str]:
        first = self._columns.first
        if both := first(row, "port_protocol"):
            return split_port(both)
        port, protocol = split_port(first(row, "port"))
        return port, first(row, "protocol").lower()[:16] or protocol

    def _read_exploit(self, row: Row) -> bool | None:
        found = None
        for index in self._columns.by_field.get("exploit", ()):
            word = read_text(row.cells[index]).lower()
            if word and word not in self._columns.nulls:
                if word not in NO_EXPLOIT_WORDS and self._names_exploit(word):
                    return True
                found = False
        return found

    def _names_exploit(self, text: str) -> bool:
        words = self._profile.exploit_words
        return not words or any(word in text for word in words)

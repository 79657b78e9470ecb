"""Reads the host of a row: its names, its addresses and its operating system.

`hosts` reads single cells; this module selects the cells of a row and rejects rows without a host.
"""

from __future__ import annotations

from typing import Final

from hextrackr_server.imports.formats.columns import Columns, Row
from hextrackr_server.imports.formats.hosts import (
    Name,
    is_host_name,
    may_be_address,
    read_addresses,
    read_name,
    split_name,
    split_pair,
    split_url,
)
from hextrackr_server.imports.formats.parts import Host
from hextrackr_server.imports.formats.spreadsheet_marks import read_text
from hextrackr_server.text import clean

NAME_FIELDS: Final = ("host", "address", "host_url")
FIELDS: Final = (*NAME_FIELDS, "ipv6")
SYSTEM_FIELDS: Final = ("operating_system", "os_parts")
_LONGEST_SYSTEM: Final = 255


class HostReader:
    """A reader for the hosts of one file's rows."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._has_names = len(columns.by_field.get("host", ())) > 1

    def read(self, row: Row) -> Host:
        """Return the host of a row; `key` is empty if the row names no host."""
        first = self._columns.first
        name, address = first(row, "host"), first(row, "address")
        url, ipv6 = first(row, "host_url"), first(row, "ipv6")
        if self._has_names and (not address or may_be_address(name)):
            name, address = self._select_name(row, name, address)
        if address[:4].lower() == "fe80":
            address = ",".join(self._columns.all(row, "address") or self._addresses_in_names(row))
        return read_host(name, address, ipv6, url)

    def warn_of_problem(self, row: Row, host: Host) -> None:
        """Warn of a cell of the host that was not understood."""
        if host.problem:
            name, address, url = self._written(row)
            field = "address" if address else "host_url" if url else "host"
            self._columns.warn(row, field, address or name or url, host.problem)

    def describe_missing(self, row: Row, host: Host) -> tuple[str, str, str | None]:
        """Return the column, the message and the value of the error for a row without a host."""
        name, address, url = self._written(row)
        by_field = self._columns.by_field
        first = next((field for field in NAME_FIELDS if field in by_field), "")
        message = host.problem or "the row names no host"
        return self._columns.name_of_field(first), message, address or name or url or None

    def _written(self, row: Row) -> tuple[str, str, str]:
        first = self._columns.first
        return first(row, "host"), first(row, "address"), first(row, "host_url")

    def _select_name(self, row: Row, name: str, address: str) -> tuple[str, str]:
        """Return the first name that is not an address, and an address that stands for a name."""
        cells = self._columns.all(row, "host")
        names = [cell for cell in cells if not read_addresses(cell).first]
        if not address:
            address = next((cell for cell in cells if cell not in names), "")
        return names[0] if names else name, address

    def _addresses_in_names(self, row: Row) -> list[str]:
        return [cell for cell in self._columns.all(row, "host") if read_addresses(cell).first]

    def read_system(self, row: Row) -> str:
        """Return the operating system of a row's host, or an empty string."""
        name = self._columns.first(row, "operating_system")
        if not name and (indexes := self._columns.by_field.get("os_parts")):
            parts = (read_text(row.cells[index]) for index in indexes)
            name = " ".join(part for part in parts if part)
        return "" if name.lower() == "unknown" else clean(name, _LONGEST_SYSTEM)


def read_host(name: str, address: str, ipv6: str, url: str) -> Host:
    """Return the host that the cells of a row name; its first address, otherwise its name counts.

    A name in place of the address counts if there is no other. It is reported as the host's
    `problem`, like a network or an ambiguous address.
    """
    port = None
    if "://" in name:
        name, url = "", name
    elif (pair := split_pair(name)) is not None:
        name, address = pair[0], address or pair[1]
    elif ":" in name or "/" in name:
        name, port = split_name(name), split_url(name)[1]
    if url and not name:
        name, port = split_url(url)
    found = read_addresses(address)
    problem = found.problem
    if address and not found.first and not problem:
        problem = f"{address[:64]!r} is not an address"
    more = read_addresses(ipv6)
    if not found.first or found.first.startswith("fe80:"):
        found, more = more if more.first else found, found
    in_name = read_addresses(name)
    others = dict.fromkeys((*found.others, more.first, *more.others))
    first = found.first
    whole: Name | None = None
    if in_name.first:
        first = first or in_name.first
    elif not in_name.problem:
        whole = read_name(name)
    if not first and whole is None and is_host_name(address) and (whole := read_name(address)):
        problem = f"{address[:64]!r} is not an address; it counts as the name of the host"
    others.pop(first, None)
    others.pop("", None)
    return Host(
        hostname=whole.short if whole is not None else first,
        address=first,
        key=first or (whole.whole if whole is not None else ""),
        fqdn=whole.whole if whole is not None and "." in whole.whole else "",
        others=tuple(others),
        port=port,
        problem=problem or in_name.problem,
    )

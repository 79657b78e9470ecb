"""Writes the findings of one file to its stage file, each distinct value once.

Rows refer to hosts, identities, assets and definitions by number, so that staging and merging move
numbers instead of texts. Of several findings with one identity, the stage keeps the heaviest: an
open one rather than a closed one, then the more severe, then the higher score, then the first one.
It has the earliest first day and the latest last day of all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from hextrackr_server.imports.formats.finding import identity_key
from hextrackr_server.imports.formats.parts import Host, MappedRow, Plugin, Values
from hextrackr_server.imports.formats.row_errors import Mention
from hextrackr_server.storage.encoding import RANKED_SEVERITIES, day_number, digest
from hextrackr_server.storage.stage_file import BATCH, IDENTITY_BITS, create_stage

#: The mention of a row without a finding that may refer to any finding.
ANYTHING: Final[Mention] = ("anything", "")

#: Rows that are written at once.
CHUNK_ROWS: Final = 1000
#: Space that a finding takes in the database, without its texts.
BYTES_PER_FINDING: Final = 500
# Entries of a dictionary that are kept in memory, and operating systems of one host. A file may
# have as many assets as rows: this many fill a table of 65,536 places, the next would double it.
_MAXIMUM_ENTRIES: Final = 200_000
_MAXIMUM_ASSETS: Final = 43_690
_MAXIMUM_SYSTEMS: Final = 100
_SEVERITIES: Final = {name: number for number, name in enumerate(RANKED_SEVERITIES)}
_ROW: Final = "key, asset, definition, group_number, value, first_seen, last_seen"
_UNSORTED: Final = f"INSERT INTO unsorted ({_ROW}) VALUES (?, ?, ?, ?, ?, ?, ?)"


def _weight(number: str) -> str:
    """Return the SQL of the weight of values, as a row that SQLite compares."""
    return (
        "(SELECT closed_as IS NULL, severity, coalesce(cvss_score, 0.0) FROM staged_values "
        f"WHERE number = {number})"
    )


def _heavier(column: str) -> str:
    """Return the SQL that takes a column from the heavier one of two findings."""
    is_heavier = f"{_weight('excluded.value')} > {_weight('staged.value')}"
    return f"{column} = CASE WHEN {is_heavier} THEN excluded.{column} ELSE staged.{column} END"


# Rows with one key come in the order of the file: the first of several equal ones is kept.
_SORT: Final = f"""
    INSERT INTO staged ({_ROW}) SELECT {_ROW} FROM unsorted WHERE true ORDER BY key, number
    ON CONFLICT (key) DO UPDATE SET
        {", ".join(_heavier(name) for name in ("asset", "definition", "group_number", "value"))},
        first_seen = min(excluded.first_seen, staged.first_seen),
        last_seen = max(excluded.last_seen, staged.last_seen)"""


class _Numbers:
    """The numbers of a dictionary's entries.

    An entry has one number per file; a dictionary with too many entries for the memory is looked up
    in the stage file.
    """

    __slots__ = ("_column", "_connection", "_insert", "_known", "_last", "_new", "_select")

    def __init__(self, connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
        marks = ", ".join("?" * (1 + len(columns)))
        self._insert = f"INSERT INTO {table} (number, {', '.join(columns)}) VALUES ({marks})"
        self._select = f"SELECT number FROM {table} WHERE {columns[0]} = ?"
        self._column = f"{table} ({columns[0]})"
        self._connection = connection
        self._known: dict[str, int] = {}
        self._new: list[tuple[Any, ...]] = []
        self._last = 0

    def number(self, key: str, *more: str) -> int:
        """Return the number of an entry, which is identified by its first column."""
        number = self._known.get(key)
        return self._add(key, more) if number is None else number

    def _add(self, key: str, more: tuple[str, ...]) -> int:
        if len(self._known) >= _MAXIMUM_ENTRIES:
            self.flush()
            index = self._column.replace(" (", "_by_", 1).rstrip(")")
            self._connection.execute(f"CREATE INDEX IF NOT EXISTS {index} ON {self._column}")
            self._known.clear()
        if self._last >= _MAXIMUM_ENTRIES:
            # Entries were dropped from memory: a missing one may be in the file.
            self.flush()
            found = self._connection.execute(self._select, (key,)).fetchone()
            if found is not None:
                self._known[key] = found[0]
                return int(found[0])
        self._last += 1
        self._known[key] = self._last
        self._new.append((self._last, key, *more))
        return self._last

    def flush(self) -> None:
        """Write the new entries."""
        self._connection.executemany(self._insert, self._new)
        self._new.clear()


class Stage:
    """A stage file that is being written, with the findings of one file.

    `ids` is the tool whose plugin IDs the file holds. `size` estimates the bytes that the findings
    take in the database, `count` is their number, duplicates included.
    """

    def __init__(self, path: Path, ids: str) -> None:
        self._connection = connection = create_stage(path)
        self._ids = ids
        self._hosts = _Numbers(connection, "staged_hosts", ["host_key"])
        self._identities = _Numbers(connection, "staged_identities", ["identity", "cve"])
        self._groups = _Numbers(connection, "staged_groups", ["name"])
        # Entries of these may have several numbers: the merge finds them by their digest.
        self._assets: dict[bytes, int] = {}
        self._definitions: dict[bytes, int] = {}
        self._values: dict[tuple[Any, ...], int] = {}
        self._days: dict[str, int] = {}
        self._new_assets: list[tuple[Any, ...]] = []
        self._new_definitions: list[tuple[Any, ...]] = []
        self._new_values: list[tuple[Any, ...]] = []
        self._last_asset = self._last_definition = self._last_value = 0
        self._rows: list[tuple[Any, ...]] = []
        self._mentions: set[Mention] = set()
        self.has_mentions = False
        self.count = self.size = 0

    def add(self, row: MappedRow) -> None:
        """Add the findings of one row, one per CVE."""
        _, host, system, plugin, values, first_seen, last_seen = row
        # Parts repeat from row to row, so each part keeps its staged numbers.
        host_key, assets = host.ref or self._host(host)
        definition, identities, size = plugin.ref or self._plugin(plugin)
        asset = assets.get(system) or self._asset(host, system)
        value = values.ref or self._value(values)
        days = self._days
        first = days.get(first_seen) or self._day(first_seen)
        last = days.get(last_seen) or self._day(last_seen)
        rows = self._rows
        for identity, group in identities:
            rows.append((host_key | identity, asset, definition, group, value, first, last))
        self.count += len(identities)
        self.size += size
        if len(rows) >= CHUNK_ROWS:
            self.flush()

    def name_host(self, host: Host) -> None:
        """Add a host that the file names without a finding."""
        self._hosts.number(host.key)

    def mention(self, mentions: Iterable[Mention]) -> None:
        """Keep the values that a row without a finding contains; none may refer to any finding."""
        self.has_mentions = True
        self._mentions.update(mentions or (ANYTHING,))
        if len(self._mentions) >= CHUNK_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write pending rows and entries to the file."""
        connection = self._connection
        connection.executemany(_UNSORTED, self._rows)
        for numbers in (self._hosts, self._identities, self._groups):
            numbers.flush()
        connection.executemany(
            "INSERT INTO staged_assets (number, digest, hostname, ip_address, operating_system) "
            "VALUES (?, ?, ?, ?, ?)",
            self._new_assets,
        )
        connection.executemany(
            "INSERT INTO staged_definitions (number, digest, plugin_id, plugin_name, vendor, "
            "vulnerability_date, description, solution) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            self._new_definitions,
        )
        connection.executemany(
            "INSERT INTO staged_values (number, closed_as, severity, cvss_score, vpr_score, state) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            self._new_values,
        )
        connection.executemany(
            "INSERT OR IGNORE INTO staged_mentions (kind, value) VALUES (?, ?)", self._mentions
        )
        for pending in (
            self._rows,
            self._new_assets,
            self._new_definitions,
            self._new_values,
            self._mentions,
        ):
            pending.clear()

    def finish(self) -> tuple[int, list[str]]:
        """Sort the findings without duplicates; return their number and the vendors."""
        self.flush()
        connection = self._connection
        connection.execute(_SORT)
        connection.execute("DROP TABLE unsorted")
        self._divide()
        (distinct,) = connection.execute("SELECT count(*) FROM staged").fetchone()
        vendors = connection.execute(
            "SELECT DISTINCT vendor FROM staged_definitions "
            "WHERE number IN (SELECT definition FROM staged) ORDER BY vendor"
        )
        found = [vendor for (vendor,) in vendors]
        connection.execute("COMMIT")
        return distinct, found

    def _divide(self) -> None:
        """Store the first key of each batch."""
        connection = self._connection
        query = "SELECT key FROM staged WHERE key >= ? ORDER BY key LIMIT 1 OFFSET ?"
        found = connection.execute(query, (0, 0)).fetchone()
        while found is not None:
            connection.execute("INSERT INTO staged_batches (first) VALUES (?)", found)
            found = connection.execute(query, (*found, BATCH)).fetchone()

    def close(self) -> None:
        """Close the file; without `finish`, its rows are lost."""
        self._connection.close()

    def _host(self, host: Host) -> tuple[int, dict[str, int]]:
        number = self._hosts.number(host.key) << IDENTITY_BITS
        found: tuple[int, dict[str, int]] = (number, {})
        host.ref = found
        return found

    def _asset(self, host: Host, system: str) -> int:
        """Return the number of a host with an operating system, and keep it with the host."""
        assets = host.ref[1]
        if len(assets) >= _MAXIMUM_SYSTEMS:
            assets.clear()
        key = (host.hostname, host.address, system)
        by_digest = digest(key)
        number = self._assets.get(by_digest)
        if number is None:
            if len(self._assets) >= _MAXIMUM_ASSETS:
                self._assets.clear()
            self._last_asset = number = self._last_asset + 1
            self._assets[by_digest] = number
            self._new_assets.append((number, by_digest, *key))
        assets[system] = number
        return number

    def _plugin(self, plugin: Plugin) -> tuple[int, list[tuple[int, int]], int]:
        """Return the number of a definition, the identities and groups, and the size of a row."""
        group = self._groups.number(plugin.id) if plugin.id else 0
        identities = []
        for cve in plugin.cves or ("",):
            key = identity_key(cve, plugin.id, plugin.name, self._ids)
            identity = self._identities.number(key, cve)
            identities.append((identity, group or self._groups.number(cve or plugin.name)))
        size = BYTES_PER_FINDING * len(identities)
        plugin.ref = found = (self._definition(plugin), identities, size)
        return found

    def _definition(self, plugin: Plugin) -> int:
        texts = (plugin.description, plugin.solution)
        key = (plugin.id, plugin.name, plugin.vendor, plugin.published, *texts)
        by_digest = digest(key)
        number = self._definitions.get(by_digest)
        if number is None:
            if len(self._definitions) >= _MAXIMUM_ENTRIES:
                self._definitions.clear()
            self._last_definition = number = self._last_definition + 1
            self._definitions[by_digest] = number
            self.size += sum(map(len, texts))
            self._new_definitions.append((number, by_digest, *key))
        return number

    def _value(self, values: Values) -> int:
        severity = _SEVERITIES[values.severity]
        key = (values.closed_as, severity, values.cvss_score, values.vpr_score, values.word)
        number = self._values.get(key)
        if number is None:
            if len(self._values) >= _MAXIMUM_ENTRIES:
                self._values.clear()
            self._last_value = number = self._last_value + 1
            self._values[key] = number
            self._new_values.append((number, *key))
        values.ref = number
        return number

    def _day(self, day: str) -> int:
        if len(self._days) >= _MAXIMUM_ENTRIES:
            self._days.clear()
        self._days[day] = number = day_number(day)
        return number

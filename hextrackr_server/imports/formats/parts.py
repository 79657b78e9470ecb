"""The parts of a mapped row that rows repeat: its host, its plugin, and its values.

A part is one object for all rows with the same cells, as long as the cells are cached. Parts are
compared by identity. `ref` is free for the code that stores the rows, such as a key in a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hextrackr_server.imports.formats.finding import ClosedAs, Finding
from hextrackr_server.imports.formats.profile import Severity


@dataclass(slots=True, eq=False)
class Host:
    """The host of a row; `key` identifies the host, `problem` is a cell that was not understood."""

    hostname: str
    address: str
    key: str
    fqdn: str = ""
    others: tuple[str, ...] = ()
    port: int | None = None
    problem: str = ""
    ref: Any = field(default=None, repr=False)


@dataclass(slots=True, eq=False)
class Plugin:
    """The vulnerability of a row; the row has one finding per CVE, and one if there is no CVE."""

    id: str
    name: str
    cves: Sequence[str]
    description: str
    solution: str
    vendor: str
    published: str | None = None
    values: dict[Any, Values] = field(default_factory=dict, repr=False)
    """The values of the plugin's rows by the cells of their states, for the mapper."""
    ref: Any = field(default=None, repr=False)


@dataclass(slots=True, eq=False)
class Values:
    """The state, the severity and the scores of a row; `word` is the state as written."""

    closed_as: ClosedAs | None
    word: str
    severity: Severity
    cvss_score: float | None
    cvss_version: str
    vpr_score: float | None
    ref: Any = field(default=None, repr=False)


MappedRow: TypeAlias = tuple[int, Host, str, Plugin, Values, str, str]
"""A row with findings: its number, its host, the host's operating system, the vulnerability, its
values, and the first and the last day on which it was seen.
"""


def findings_of(row: MappedRow) -> list[Finding]:
    """Return the findings of a row, one per CVE."""
    number, host, system, plugin, values, first_seen, last_seen = row
    return [
        Finding(
            number, host.hostname, host.address, host.key, cve, values.severity,
            values.cvss_score, values.vpr_score, plugin.id, plugin.name, plugin.description,
            plugin.solution, plugin.vendor, first_seen, last_seen, plugin.published, values.word,
            values.closed_as, system,
        )
        for cve in plugin.cves or ("",)
    ]  # fmt: skip

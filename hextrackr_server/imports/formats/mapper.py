"""Maps the rows of one file to findings, by the profile of its format.

`RowMapper` looks the columns up once. Each value that is not understood becomes a warning with its
column, row and text; a row without a host or without a vulnerability is rejected. Reading files is
left to `csv_table` and `xml_table`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

from hextrackr_server.imports.formats.advisories import (
    find_cisco_advisory,
    find_cves,
    find_kev_due,
    find_malformed_cve,
    read_cisco_advisory,
    vendor_of_family,
    vendor_of_plugin,
)
from hextrackr_server.imports.formats.dates import OrderEvidence, is_ambiguous, read_day
from hextrackr_server.imports.formats.file_warnings import FileWarning, FileWarnings
from hextrackr_server.imports.formats.finding import ClosedAs, Finding, unique_key
from hextrackr_server.imports.formats.hosts import (
    Name,
    may_be_address,
    read_addresses,
    read_name,
    split_url,
)
from hextrackr_server.imports.formats.numbers import read_number, read_port, read_score
from hextrackr_server.imports.formats.profile import DateOrder, Profile, Severity, State, normalize
from hextrackr_server.imports.formats.words import (
    FOOTER_WORDS,
    LONGEST_NULL,
    NO_EXPLOIT_WORDS,
    NULLS,
    SEVERITY_NULLS,
    SEVERITY_WORDS,
    STATE_WORDS,
    TRUE_WORDS,
)
from hextrackr_server.text import clean, clean_text

MAXIMUM_CVES: Final = 500
"""CVEs taken from one row; each becomes a finding with all texts of the row."""

DEFAULT_ORDER: Final[DateOrder] = "mdy"

Mention: TypeAlias = tuple[str, str]
"""A value that a row without a finding contains: a column of stored findings, and its value."""

_NAME: Final = 500
_SHORT: Final = 255
_CACHE: Final = 8192
# The plugin texts of one file that are cached, in characters, and of one row.
_CACHED_TEXT: Final = 4 << 20
_CACHED_TEXT_OF_ROW: Final = 64 << 10
# Fields whose cells repeat together from row to row.
_HOST_FIELDS: Final = ("host", "address", "ipv6", "host_url")
_SYSTEM_FIELDS: Final = ("operating_system", "os_parts")
_PLUGIN_FIELDS: Final = (
    "plugin_id", "plugin_name", "plugin_name_parts", "cve", "description", "solution", "family",
    "vendor_reference",
)  # fmt: skip
_VALUE_FIELDS: Final = (
    "state", "fixed", "false_positive", "duplicate", "accepted", "accepted_comment", "active",
    "severity", "kind", "cvss3", "cvss4", "cvss2", "cvss", "vpr", "published", "epss", "fixed_on",
    "patched", "kev_due",
)  # fmt: skip
_SEEN_FIELDS: Final = ("first_seen", "last_seen")
_IDENTIFYING: Final = ("host", "address", "plugin_id")
_TITLE_FIELDS: Final = ("plugin_name", "plugin_id", "cve")
_DATE_FIELDS: Final = (
    "first_seen", "last_seen", "published", "fixed_on", "patched", "kev_due",
)  # fmt: skip
_CVSS_FIELDS: Final = (("cvss3", "3"), ("cvss4", "4"), ("cvss2", "2"), ("cvss", ""))
_FLAGS: Final[tuple[tuple[str, State], ...]] = (
    ("fixed", "fixed"),
    ("false_positive", "false_positive"),
    ("duplicate", "false_positive"),
    ("accepted", "accepted"),
)


class NoFindingError(Exception):
    """A row without a finding that may refer to stored findings.

    `mentions` contains the values that could be read. The row may refer to any finding with one of
    these values, and to every finding if `mentions` is empty.
    """

    def __init__(self, message: str, mentions: Iterable[Mention] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.mentions = [mention for mention in mentions if mention[1]]


class RowRejectedError(NoFindingError):
    """A row without a usable finding; `column` is at fault, `value` is what it holds."""

    def __init__(
        self,
        column: str,
        message: str,
        value: str | None = None,
        mentions: Iterable[Mention] = (),
    ) -> None:
        super().__init__(message, mentions)
        self.column = column
        self.value = value


class CheckNotRunError(NoFindingError):
    """A row of a check that failed or was skipped: its finding keeps its state."""


class _Plugin(NamedTuple):
    """What the rows of one plugin repeat."""

    id: str
    name: str
    cves: Sequence[str]
    description: str
    solution: str
    vendor: str


class _Values(NamedTuple):
    """The state, the severity and the scores of a row."""

    closed_as: ClosedAs | None
    word: str
    severity: Severity
    cvss_score: float | None
    cvss_version: str
    vpr_score: float | None
    published: str | None


class RowMapper:
    """A mapper for the rows of one file.

    `scan_date` (YYYY-MM-DD) stands for days that the file does not hold, `vendor` for findings
    whose vendor the file does not name. `settle_orders` returns the order of day and month by
    column index; the mapper calls it at the first date that may be read in two ways. Without
    `reads_extra`, findings have no `extra`.
    """

    def __init__(
        self,
        profile: Profile,
        header: Sequence[str],
        scan_date: str,
        *,
        vendor: str = "",
        settle_orders: Callable[[], Mapping[int, DateOrder]] | None = None,
        warnings: FileWarnings | None = None,
        reads_extra: bool = True,
    ) -> None:
        self.profile = profile
        self.warnings = FileWarnings() if warnings is None else warnings
        self.columns = find_columns(profile, header)
        self._names = tuple(header)
        self._width = len(self._names)
        self._title = next(
            (self.columns[each][0] for each in _TITLE_FIELDS if each in self.columns), 0
        )
        self._scan_date = scan_date
        self._latest_year = int(scan_date[:4])
        self._latest_day = _shift(scan_date, 1)
        self._vendor = vendor_of_family(vendor)
        self._settle_orders = settle_orders
        self._date_orders: Mapping[int, DateOrder] | None = None
        self._reads_extra = reads_extra
        self._nulls = NULLS | profile.nulls
        self._severity_nulls = SEVERITY_NULLS | profile.nulls
        self._has_names = len(self.columns.get("host", ())) > 1
        # Results by the cells that they are read from. Rows with warnings are not cached, so that
        # each of them is warned of.
        self._host_cells = self._cells_of(_HOST_FIELDS)
        self._plugin_cells = self._cells_of(_PLUGIN_FIELDS)
        self._value_cells = self._cells_of(_VALUE_FIELDS)
        self._seen_cells = self._cells_of(_SEEN_FIELDS)
        self._system_cells = self._cells_of(_SYSTEM_FIELDS)
        self._hosts: dict[Any, _Host] = {}
        self._systems: dict[Any, str] = {}
        self._plugins: dict[Any, _Plugin] = {}
        self._cached_text = 0
        self._values: dict[Any, _Values] = {}
        self._seen: dict[Any, tuple[str, str]] = {}
        self._days: dict[tuple[int, str], str | None] = {}
        self._flags = tuple(
            (self.columns[name], state) for name, state in _FLAGS if name in self.columns
        )
        self._state_prefixes = tuple(
            (word[:-1], state) for word, state in profile.states.items() if word[-1:] == "*"
        )
        self._cvss = tuple(
            (name, self.columns[name], version)
            for name, version in _CVSS_FIELDS
            if name in self.columns
        )
        # Nonempty cells by field, and the cells that were not understood.
        self._filled: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        # Rows that do not concern hosts, by the kind of their resource.
        self._left_out: Counter[str] = Counter()
        self._last_days: Counter[str] = Counter()
        self._rows = self._unknown_severities = self._last_state_warning = 0
        self._first_plugin = ""
        self.severities: set[Severity] = set()
        self.has_several_plugins = False

    # -- one row

    def map_row(self, number: int, cells: Sequence[str]) -> list[Finding]:
        """Return the findings of a row; empty for a row that is not a finding and not an error.

        Raises RowRejectedError, or CheckNotRunError for a check that failed or was skipped.
        """
        if len(cells) > self._width and any(cells[self._width :]):
            # In a row that is too long the cells are shifted.
            raise RowRejectedError("", f"the row has {len(cells)} cells, the header {self._width}")
        if len(cells) < self._width:
            cells = [*cells, *[""] * (self._width - len(cells))]
        row = _Row(number, cells)
        if self._is_skipped(row):
            return []
        value_key = self._value_cells(cells)
        values = self._values.get(value_key)
        state: tuple[State, ClosedAs | None, str] | None = None
        if values is None:
            state = self._read_state(row)
            if state[0] == "absent":
                return []
            if state[0] == "untested":
                raise CheckNotRunError("the check was not run", self._mentions_of_check(row))
        host = self._hosts.get(self._host_cells(cells)) or self._read_host(row)
        plugin = self._plugins.get(self._plugin_cells(cells)) or self._read_plugin(row)
        cves = plugin.cves
        if not (cves or plugin.id or plugin.name):
            raise self._no_vulnerability(row, host)
        if values is None:
            assert state is not None
            values = self._read_values(row, state, value_key)
        first_seen, last_seen = self._seen.get(self._seen_cells(cells)) or self._read_seen(row)
        severity = values.severity
        finding = Finding(
            number,
            host.hostname,
            host.address,
            host.key,
            cves[0] if cves else "",
            severity,
            values.cvss_score,
            values.vpr_score,
            plugin.id,
            plugin.name,
            plugin.description,
            plugin.solution,
            plugin.vendor,
            first_seen,
            last_seen,
            values.published,
            values.word,
            values.closed_as,
            self._read_operating_system(row),
            self._read_extra(row, host, values.cvss_version) if self._reads_extra else {},
        )
        self._rows += 1
        self.severities.add(severity)
        if severity == "Unknown":
            self._unknown_severities += 1
        if not self.has_several_plugins:
            name = plugin.id or plugin.name or finding.cve
            self.has_several_plugins = name != (self._first_plugin or name)
            self._first_plugin = name
        if self.profile.stale_days:
            self._last_days[last_seen] += 1
        if len(cves) < 2:
            return [finding]
        return [finding, *[_copy(finding, cve) for cve in cves[1:]]]

    def _cells_of(self, names: Iterable[str]) -> Callable[[Sequence[str]], Any]:
        """Return a function that returns the cells of some fields, as the key of a cache."""
        indexes = {index for name in names for index in self.columns.get(name, ())}
        return itemgetter(*sorted(indexes)) if indexes else _no_cells

    def _read_plugin(self, row: _Row) -> _Plugin:
        before = self.warnings.total
        plugin_id = clean(self._first(row, "plugin_id"), _SHORT)
        cves = self._read_cves(row, plugin_id)
        name = self._read_plugin_name(row)
        plugin = _Plugin(
            plugin_id,
            name,
            cves,
            clean_text(self._first(row, "description")),
            clean_text(self._first(row, "solution")),
            self._read_vendor(row, plugin_id, name, cves),
        )
        if self.warnings.total == before:
            key = self._plugin_cells(row.cells)
            size = len(key) if isinstance(key, str) else sum(map(len, key))
            if size <= _CACHED_TEXT_OF_ROW:
                if self._cached_text + size > _CACHED_TEXT or len(self._plugins) >= _CACHE:
                    self._plugins.clear()
                    self._cached_text = 0
                self._plugins[key] = plugin
                self._cached_text += size
        return plugin

    def _read_values(
        self, row: _Row, state: tuple[State, ClosedAs | None, str], key: Any
    ) -> _Values:
        # A warning on the state was counted before.
        before = self.warnings.total
        is_state_known = self._last_state_warning != row.number
        cvss_score, cvss_version = self._read_cvss(row)
        severity = self._read_severity(row, cvss_score, cvss_version)
        vpr_score = self._read_scored(row, "vpr", 10)
        published = self._read_day(row, "published")
        if not self._reads_extra:
            # Not stored, but read for their warnings.
            self._read_epss(row)
            for name in ("fixed_on", "patched", "kev_due"):
                self._read_day(row, name)
        values = _Values(
            state[1], state[2], severity, cvss_score, cvss_version, vpr_score, published
        )
        if self.warnings.total == before and is_state_known and not self._reads_extra:
            _remember(self._values, key, values)
        return values

    def _is_skipped(self, row: _Row) -> bool:
        profile = self.profile
        for name in profile.skip_without:
            if not self._first(row, name):
                return True
        if profile.host_kinds:
            kind = self._first(row, "host_kind")
            if kind and kind.upper() not in profile.host_kinds:
                self._left_out[clean(kind, 64)] += 1
                return True
        # A header may be repeated in the middle of a file.
        index = self._title
        return (
            index < len(row.cells)
            and row.cells[index].strip() == self._names[index]
            and sum(map(str.__eq__, map(str.strip, row.cells), self._names)) > self._width / 2
        )

    def is_footer(self, cells: Sequence[str]) -> bool:
        """Return whether a row is a footer: one or two cells that name no host and no plugin.

        A row of all columns is a footer if it begins with a text such as `End of report`.
        """
        texts = [text for text in cells if text and not text.isspace()]
        if len(texts) > 2 or self._width <= 2:
            return False
        if len(cells) == 1:
            return True
        if len(cells) == self._width and not _is_text(cells[0]):
            return False
        row = _Row(0, cells)
        values = [self._first(row, name) for name in _IDENTIFYING]
        is_named = any(value and not _is_text(value) for value in values)
        return not is_named and not find_cves(self._first(row, "cve"))

    def _mentions_of_check(self, row: _Row) -> list[Mention]:
        """Return the keys of the findings of a check, or its values if its host is not readable."""
        host = self._find_host(row)
        plugin_id = clean(self._first(row, "plugin_id"), _SHORT)
        if not host.key:
            return self._mentions_without_host(row)
        plugin_name = self._read_plugin_name(row)
        ids = self.profile.ids
        # With a CVE, an export of another kind may hold the same check without it.
        return [
            ("unique_key", unique_key(cve, plugin_id, plugin_name, host.key, ids))
            for cve in (*self._find_all_cves(row, plugin_id), "")
            if cve or plugin_id or plugin_name
        ]

    def _mentions_without_host(self, row: _Row) -> list[Mention]:
        plugin_id = clean(self._first(row, "plugin_id"), _SHORT)
        # Without a limit: findings of an omitted CVE would count as absent and be resolved.
        mentions = [("cve", cve) for cve in self._find_all_cves(row, plugin_id)]
        mentions.append(("plugin_id", plugin_id))
        if not any(value for _, value in mentions):
            mentions.append(("plugin_name", self._read_plugin_name(row)))
        return mentions

    def _find_all_cves(self, row: _Row, plugin_id: str) -> list[str]:
        """Return the CVEs of a row without warnings and without a limit."""
        cells = row.cells
        for index in self.columns.get("cve", ()):
            text = cells[index] if index < len(cells) else ""
            if text and (cves := find_cves(text)):
                return cves
            if text and (advisory := read_cisco_advisory(text)):
                return [advisory]
        name = self._first(row, "plugin_name")
        cves = find_cves(plugin_id) or find_cves(name)
        if not cves and self.profile.cisco_advisories and (found := find_cisco_advisory(name)):
            return [found]
        return cves

    # -- cells

    def _first(self, row: _Row, name: str) -> str:
        """Return the first cell of a field that is not empty."""
        cells = row.cells
        for index in self.columns.get(name, ()):
            if index < len(cells):
                text = cells[index].strip()
                if text and (len(text) > LONGEST_NULL or text.lower() not in self._nulls):
                    return text
        return ""

    def _first_cell(self, row: _Row, name: str) -> tuple[int, str] | None:
        """Return the first cell of a field that is not empty, with its index."""
        cells = row.cells
        for index in self.columns.get(name, ()):
            if index < len(cells):
                text = cells[index].strip()
                if text and (len(text) > LONGEST_NULL or text.lower() not in self._nulls):
                    return index, text
        return None

    def column_name(self, index: int) -> str:
        """Return the name of a column; its number for a cell behind the header."""
        return self._names[index] if index < len(self._names) else f"column {index + 1}"

    def _warn(self, row: _Row, name: str, value: str | None, message: str) -> None:
        indexes = self.columns.get(name, ())
        column = self._names[indexes[0]] if indexes else name
        self.warnings.add(column, row.number, value, message)

    def _warn_cell(self, row: _Row, index: int, value: str, message: str) -> None:
        self.warnings.add(self._names[index], row.number, value, message)

    # -- hosts

    def _read_host(self, row: _Row) -> _Host:
        """Return the host of a row. Raises RowRejectedError."""
        host = self._find_host(row)
        if host.problem or not host.key:
            self._check_host(row, host)
        else:
            _remember(self._hosts, self._host_cells(row.cells), host)
        return host

    def _find_host(self, row: _Row) -> _Host:
        name, address = self._first(row, "host"), self._first(row, "address")
        url = self._first(row, "host_url")
        ipv6 = self._first(row, "ipv6")
        if self._has_names and (not address or may_be_address(name)):
            name, address = self._select_name(row, name, address)
        if address[:4].lower() == "fe80":
            address = ",".join(self._all(row, "address"))
        return _Host.read(name, address, ipv6, url)

    def _select_name(self, row: _Row, name: str, address: str) -> tuple[str, str]:
        """Return the first name that is not an address, and an address that stands for a name."""
        cells = self._all(row, "host")
        names = [cell for cell in cells if not read_addresses(cell).first]
        if not address:
            address = next((cell for cell in cells if cell not in names), "")
        return names[0] if names else name, address

    def _all(self, row: _Row, name: str) -> list[str]:
        """Return the cells of a field that are not empty."""
        cells = [row.cells[each].strip() for each in self.columns[name] if each < len(row.cells)]
        return [cell for cell in cells if cell.lower() not in self._nulls]

    def _check_host(self, row: _Row, host: _Host) -> None:
        """Warn of a cell that was not understood; raise RowRejectedError without a host."""
        name, address = self._first(row, "host"), self._first(row, "address")
        url = self._first(row, "host_url")
        if host.problem:
            field = "address" if address else "host_url" if url else "host"
            self._warn(row, field, address or name or url, host.problem)
        if not host.key:
            message = host.problem or "the row names no host"
            columns = self.columns
            first = next((each for each in ("host", "address", "host_url") if each in columns), "")
            indexes = columns.get(first, ())
            column = self._names[indexes[0]] if indexes else ""
            value = address or name or url or None
            raise RowRejectedError(column, message, value, self._mentions_without_host(row))

    # -- vulnerabilities

    def _read_cves(self, row: _Row, plugin_id: str) -> list[str]:
        cves: list[str] = []
        for index in self.columns.get("cve", ()):
            text = row.cells[index] if index < len(row.cells) else ""
            if not text:
                continue
            if cves := find_cves(text):
                if malformed := find_malformed_cve(text, len(cves)):
                    self._warn_cell(row, index, malformed, "not a CVE id, such as CVE-2024-1000")
                break
            if advisory := read_cisco_advisory(text):
                return [advisory]
            text = text.strip()
            is_meant = "cve" in text.lower() or (text and "cve" in self._names[index].lower())
            if is_meant and text.lower() not in self._nulls:
                self._warn_cell(row, index, text, "not a CVE id, such as CVE-2024-1000")
        if not cves:
            cves = find_cves(plugin_id)
        if not cves:
            name = self._first(row, "plugin_name")
            cves = find_cves(name)
            if not cves and self.profile.cisco_advisories and (found := find_cisco_advisory(name)):
                cves = [found]
        if len(cves) > MAXIMUM_CVES:
            self._warn(
                row, "cve", None,
                f"the row has {len(cves)} CVEs; the first {MAXIMUM_CVES} are imported",
            )  # fmt: skip
            del cves[MAXIMUM_CVES:]
        return cves

    def _read_plugin_name(self, row: _Row) -> str:
        name = self._first(row, "plugin_name")
        if not name and (indexes := self.columns.get("plugin_name_parts")):
            parts = (row.cells[index].strip() for index in indexes if index < len(row.cells))
            name = self.profile.name_separator.join(part for part in parts if part)
        return clean(name, _NAME)

    def _no_vulnerability(self, row: _Row, host: _Host) -> RowRejectedError:
        text = self._first(row, "cve")
        message = "the row names no CVE and no plugin"
        if text:
            message = "not a CVE id, such as CVE-2024-1000, and the row names no plugin"
        indexes = self.columns.get("cve") or self.columns.get("plugin_id") or ()
        # The row may refer to any finding of its host, under whichever name that was stored.
        mentions = [("hostname", host.hostname), ("ip_address", host.address)]
        column = self._names[indexes[0]] if indexes else ""
        return RowRejectedError(column, message, text or None, mentions)

    def _read_vendor(self, row: _Row, plugin_id: str, plugin_name: str, cves: list[str]) -> str:
        family = self._first(row, "family")
        reference = self._first(row, "vendor_reference")
        if cves and cves[0][0] == "c":
            reference = cves[0]  # an advisory in place of a CVE
        return (
            (vendor_of_family(family[:_SHORT]) if family else "")
            or vendor_of_plugin(reference[:_SHORT])
            or vendor_of_plugin(plugin_name)
            or vendor_of_plugin(plugin_id)
            or self._vendor
            or "Other"
        )

    # -- severity and scores

    def _read_severity(self, row: _Row, score: float | None, version: str) -> Severity:
        profile = self.profile
        if profile.kinds:
            kind = self._first(row, "kind").lower()
            if kind and (severity := profile.kinds.get(kind)) is not None:
                return severity
        unknown: tuple[int, str] | None = None
        for index in self.columns.get("severity", ()):
            text = row.cells[index].strip() if index < len(row.cells) else ""
            word = text.lower()
            if not word or word in self._severity_nulls:
                continue
            self._filled["severity"] += 1
            found = profile.severities.get(word) or SEVERITY_WORDS.get(word)
            if found is not None:
                if unknown is not None:
                    self._warn_cell(row, *unknown, f"unknown severity; {found} by another column")
                return found
            self._failed["severity"] += 1
            unknown = unknown or (index, text)
        band = band_of(score, version)
        how = f"{band} by the CVSS score" if band != "Unknown" else "and there is no CVSS score"
        if unknown is not None:
            self._warn_cell(row, *unknown, f"unknown severity; {how}")
        elif "severity" in self.columns:
            self._warn(row, "severity", "", f"no severity; {how}")
        return band

    def _read_cvss(self, row: _Row) -> tuple[float | None, str]:
        for name, _, version in self._cvss:
            found = self._first_cell(row, name)
            if found is not None:
                return self._check_score(row, name, found, 10), version
        return None, ""

    def _read_scored(self, row: _Row, name: str, highest: float) -> float | None:
        found = self._first_cell(row, name)
        return None if found is None else self._check_score(row, name, found, highest)

    def _check_score(
        self, row: _Row, name: str, found: tuple[int, str], highest: float
    ) -> float | None:
        self._filled[name] += 1
        value = read_score(found[1], highest)
        if isinstance(value, str):
            self._failed[name] += 1
            self._warn_cell(row, *found, f"{value}; the value is left out")
            return None
        return value

    def _read_epss(self, row: _Row) -> float | None:
        found = self._first_cell(row, "epss")
        if found is None:
            return None
        value = read_number(found[1])
        if value is not None and self.profile.epss_percent and 1 < value <= 100:
            return value / 100
        return self._check_score(row, "epss", found, 1)

    # -- days

    def _read_day(self, row: _Row, name: str) -> str | None:
        found = self._first_cell(row, name)
        if found is None:
            return None
        index, text = found
        self._filled[name] += 1
        key = (index, text)
        if key in self._days:
            day = self._days[key]
        else:
            day = read_day(text, self._order_of(index, text), self._latest_year)
            if len(self._days) >= _CACHE:
                self._days.clear()
            if len(text) <= _SHORT:
                self._days[key] = day
        if day is None:
            self._failed[name] += 1
            self._warn_cell(row, index, text, "not a date; the value is left out")
        return day

    def _order_of(self, index: int, text: str) -> DateOrder:
        orders = self._date_orders
        if orders is None and self._settle_orders is not None and is_ambiguous(text):
            orders = self._date_orders = self._settle_orders()
        order = orders.get(index) if orders is not None else None
        return order or self.profile.date_order or DEFAULT_ORDER

    def _read_seen(self, row: _Row) -> tuple[str, str]:
        before = self.warnings.total
        first, last = self._read_day(row, "first_seen"), self._read_day(row, "last_seen")
        if last is not None and last > self._latest_day:
            self._warn(row, "last_seen", last, f"later than the scan date {self._scan_date}")
        if first is None:
            first = last or self._scan_date
        if last is None:
            last = max(first, self._scan_date)
        if first > last:
            self._warn(row, "first_seen", first, f"later than last seen {last}, which is taken")
            first = last
        if self.warnings.total == before:
            _remember(self._seen, self._seen_cells(row.cells), (first, last))
        return first, last

    # -- states

    def _read_state(self, row: _Row) -> tuple[State, ClosedAs | None, str]:
        """Return the meaning of a row's state, why the finding is closed, and the word."""
        found = self._first_cell(row, "state")
        word = "ACTIVE"
        state: State = "open"
        if found is not None:
            word = clean(found[1], 64)
            known = self._find_state(word.lower())
            self._filled["state"] += 1
            if known is None:
                self._failed["state"] += 1
                self._warn_cell(row, *found, "unknown state; the finding counts as open")
                self._last_state_warning = row.number
            state = known or "open"
        if state == "open" or state == "untested":
            state = self._read_flags(row) or state
        closed: ClosedAs | None = None
        if state == "fixed" or state == "accepted" or state == "false_positive":
            closed = state
        elif state == "open" and (active := self._first(row, "active")):
            closed = None if active.lower() in TRUE_WORDS else "inactive"
        return state, closed, word

    def _find_state(self, word: str) -> State | None:
        found = self.profile.states.get(word) or STATE_WORDS.get(word)
        if found is None:
            for prefix, state in self._state_prefixes:
                if word.startswith(prefix):
                    return state
        return found

    def _read_flags(self, row: _Row) -> State | None:
        """Return the state that the columns with yes and no give, or None."""
        for indexes, state in self._flags:
            for index in indexes:
                if index < len(row.cells) and row.cells[index].strip().lower() in TRUE_WORDS:
                    return state
        return "accepted" if self._first(row, "accepted_comment") else None

    # -- values that not every format has

    def _read_operating_system(self, row: _Row) -> str:
        key = self._system_cells(row.cells)
        system = self._systems.get(key)
        if system is None:
            name = self._first(row, "operating_system")
            if not name and (indexes := self.columns.get("os_parts")):
                parts = (row.cells[index].strip() for index in indexes)
                name = " ".join(part for part in parts if part)
            system = "" if name.lower() == "unknown" else clean(name, _SHORT)
            _remember(self._systems, key, system)
        return system

    def _read_extra(self, row: _Row, host: _Host, cvss_version: str) -> dict[str, Any]:
        port, protocol = self._read_port(row)
        extra: dict[str, Any] = {
            "port": port or host.port,
            "protocol": protocol,
            "fqdn": host.fqdn,
            "other_addresses": list(host.others),
            "cvss_version": cvss_version,
            "epss": self._read_epss(row),
            "exploit_available": self._read_exploit(row),
            "asset_id": clean(self._first(row, "asset_id"), _SHORT),
            "mac": clean(self._first(row, "mac").split("\n", 1)[0], 64).lower(),
            "fixed_on": self._read_day(row, "fixed_on"),
            "patch_date": self._read_day(row, "patched"),
            "kev_due": self._read_day(row, "kev_due"),
        }
        if extra["kev_due"] is None:
            extra["kev_due"] = find_kev_due(self._first(row, "reference")[:4096])
        return {name: value for name, value in extra.items() if value not in (None, "", [])}

    def _read_port(self, row: _Row) -> tuple[int | None, str]:
        both = self._first(row, "port_protocol")
        if both:
            protocol, _, port = both.partition("/")
            return read_port(port), protocol.strip().lower()[:16]
        protocol = self._first(row, "protocol").lower()[:16]
        return read_port(self._first(row, "port")), protocol

    def _read_exploit(self, row: _Row) -> bool | None:
        found = None
        for index in self.columns.get("exploit", ()):
            word = row.cells[index].strip().lower() if index < len(row.cells) else ""
            if word and word not in self._nulls:
                if word not in NO_EXPLOIT_WORDS and self._names_exploit(word):
                    return True
                found = False
        return found

    def _names_exploit(self, text: str) -> bool:
        words = self.profile.exploit_words
        return not words or any(word in text for word in words)

    # -- the whole file

    def column_warnings(self) -> list[FileWarning]:
        """Return a warning for each field of which no cell was understood."""
        missing = []
        if "severity" not in self.columns:
            message = "the file has no severity column; severities are those of the CVSS scores"
            missing.append(FileWarning(None, None, None, message))
        elif self._unknown_severities * 2 > self._rows:
            message = f"{self._unknown_severities} of {self._rows} rows have no known severity"
            missing.append(FileWarning(None, None, None, message))
        missing += self._notices()
        return missing + [
            FileWarning(
                self._names[self.columns[name][0]] if name in self.columns else name, None, None,
                f"no value of this column was understood as {name.replace('_', ' ')} "
                f"({count} cells)",
            )
            for name, count in self._filled.items()
            if count == self._failed[name]
        ]  # fmt: skip

    def _notices(self) -> Iterator[FileWarning]:
        """Yield the warnings on the whole file that are not about single columns."""
        guessed = [
            f"{name}: {self._names[index]!r}"
            for name, indexes in self.columns.items()
            for index in indexes
            if normalize(self._names[index]) in self.profile.guesses
        ]
        if guessed:
            message = (
                f"no known format; columns are read by their usual names ({', '.join(guessed)})"
            )
            yield FileWarning(None, None, None, message)
        if self._left_out:
            kinds = ", ".join(f"{count} of {kind}" for kind, count in self._left_out.items())
            message = f"rows that do not concern a host are left out: {kinds}"
            yield FileWarning(None, None, None, message)
        if (days := self.profile.stale_days) and self._last_days:
            oldest = _shift(max(self._last_days), -days)
            stale = sum(count for day, count in self._last_days.items() if day < oldest)
            if stale:
                message = (
                    f"{stale} findings were last seen more than {days} days before the newest: "
                    "they may be fixed"
                )
                yield FileWarning(None, None, None, message)


def _is_text(cell: str) -> bool:
    """Return whether a cell holds words, which name no host and no plugin."""
    text = cell.strip()
    return " " in text or text.lower() in FOOTER_WORDS


def _no_cells(_: Sequence[str]) -> str:
    return ""


def _remember(cache: dict[Any, Any], key: Any, value: Any) -> None:
    """Store a result, unless its cells are long; empty a cache that is full."""
    size = len(key) if isinstance(key, str) else sum(map(len, key))
    if size <= 4 * _SHORT:
        if len(cache) >= _CACHE:
            cache.clear()
        cache[key] = value


class _Row:
    __slots__ = ("cells", "number")

    def __init__(self, number: int, cells: Sequence[str]) -> None:
        self.number = number
        self.cells = cells


class _Host:
    """The host of a row; `problem` describes a cell that was not understood."""

    __slots__ = ("address", "fqdn", "hostname", "key", "others", "port", "problem")

    def __init__(
        self,
        address: str,
        name: Name | None,
        others: tuple[str, ...],
        port: int | None,
        problem: str,
    ) -> None:
        self.address = address
        self.others = others
        self.port = port
        self.problem = problem
        self.hostname = name.short if name is not None else address
        self.fqdn = name.whole if name is not None and "." in name.whole else ""
        self.key = address or (name.whole if name is not None else "")

    @classmethod
    def read(cls, name: str, address: str, ipv6: str, url: str) -> _Host:
        port = None
        if "://" in name:
            name, url = "", name
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
        problem = problem or in_name.problem
        others.pop(first, None)
        others.pop("", None)
        return cls(first, whole, tuple(others), port, problem)


def _shift(day: str, days: int) -> str:
    """Return another day; the same at the end of the calendar."""
    try:
        return (date.fromisoformat(day) + timedelta(days=days)).isoformat()
    except OverflowError:
        return day


def _copy(finding: Finding, cve: str) -> Finding:
    """Return the finding of another CVE of the same row."""
    return Finding(
        finding.row_number, finding.hostname, finding.ip_address, finding.host_key, cve,
        finding.severity, finding.cvss_score, finding.vpr_score, finding.plugin_id,
        finding.plugin_name, finding.description, finding.solution, finding.vendor,
        finding.first_seen, finding.last_seen, finding.vulnerability_date, finding.state,
        finding.closed_as, finding.operating_system, dict(finding.extra),
    )  # fmt: skip


def band_of(score: float | None, version: str) -> Severity:
    """Return the severity of a CVSS score.

    Version 2 as Tenable bands it: 10.0 is Critical, 7.0 to 9.9 High.
    """
    if score is None:
        return "Unknown"
    if score >= (10.0 if version == "2" else 9.0):
        return "Critical"
    if score >= 7:
        return "High"
    if score >= 4:
        return "Medium"
    return "Low" if score > 0 else "Info"


def find_columns(profile: Profile, header: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the column indexes of each field, in the profile's order of preference.

    A name that stands twice in the header gives both columns: the first that is not empty counts.
    """
    positions: dict[str, list[int]] = {}
    for index, name in enumerate(header):
        positions.setdefault(normalize(name), []).append(index)
    columns: dict[str, tuple[int, ...]] = {}
    for name, texts in profile.columns.items():
        indexes = [index for text in texts for index in positions.get(normalize(text), ())]
        if indexes:
            columns[name] = tuple(dict.fromkeys(indexes))
    return columns


def settle_date_orders(
    profile: Profile, header: Sequence[str], rows: Callable[[], Iterable[Sequence[str]]],
    warnings: FileWarnings,
) -> dict[int, DateOrder]:  # fmt: skip
    """Return the order of day and month of each date column, from all its cells."""
    columns = find_columns(profile, header)
    indexes = {index for name in _DATE_FIELDS for index in columns.get(name, ())}
    if not indexes:
        return {}
    evidence = {index: OrderEvidence() for index in indexes}
    for cells in rows():
        for index in indexes:
            if index < len(cells) and cells[index]:
                evidence[index].add(cells[index].strip())
    default = profile.date_order or DEFAULT_ORDER
    for index, found in evidence.items():
        if found.is_open:
            order = {"mdy": "month/day/year", "dmy": "day/month/year"}[default]
            warnings.add(
                header[index], None, None,
                f"{found.ambiguous} dates may be read in two ways; they are read as {order}",
            )  # fmt: skip
    return {index: found.order(default) for index, found in evidence.items()}

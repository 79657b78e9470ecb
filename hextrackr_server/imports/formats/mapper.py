"""Maps the rows of one file to findings, by the profile of its format.

A mapped row consists of parts that other rows repeat (`parts`). `host_reader`, `plugin_reader`,
`value_reader` and `day_reader` read them from cells; this module caches them by their cells, skips
rows that are not findings, and rejects rows without a host or without a vulnerability.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hextrackr_server.imports.formats.advisories import find_cves
from hextrackr_server.imports.formats.columns import Columns, Row
from hextrackr_server.imports.formats.day_reader import (
    SEEN_FIELDS,
    DayReader,
    SettleOrders,
)
from hextrackr_server.imports.formats.error_reader import ErrorReader, mentions_of_host
from hextrackr_server.imports.formats.extra_reader import ExtraReader
from hextrackr_server.imports.formats.file_notices import MappedTotals, column_warnings
from hextrackr_server.imports.formats.file_warnings import FileWarning, FileWarnings
from hextrackr_server.imports.formats.finding import Finding
from hextrackr_server.imports.formats.host_reader import FIELDS as HOST_FIELDS
from hextrackr_server.imports.formats.host_reader import SYSTEM_FIELDS, HostReader
from hextrackr_server.imports.formats.parts import Host, MappedRow, Plugin, Values, findings_of
from hextrackr_server.imports.formats.plugin_reader import FIELDS as PLUGIN_FIELDS
from hextrackr_server.imports.formats.plugin_reader import PluginReader
from hextrackr_server.imports.formats.profile import Profile
from hextrackr_server.imports.formats.row_cache import RowCache
from hextrackr_server.imports.formats.row_errors import (
    CheckNotRunError,
    NoFindingError,
    RowRejectedError,
)
from hextrackr_server.imports.formats.value_reader import (
    SCORE_FIELDS,
    STATE_FIELDS,
    RowState,
    ValueReader,
)
from hextrackr_server.imports.formats.words import FOOTER_WORDS
from hextrackr_server.text import clean

# Cached hosts. Each takes about 800 bytes with its staged numbers, twenty times its cells.
_MOST_HOSTS: Final = 8192
# Values that are cached with their plugin, and the characters of the cells of a state.
_MOST_STATES: Final = 64
_LONGEST_STATE: Final = 1024
_IDENTIFYING: Final = ("host", "address", "plugin_id")


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
        settle_orders: SettleOrders | None = None,
        warnings: FileWarnings | None = None,
        reads_extra: bool = True,
    ) -> None:
        self.profile = profile
        self.warnings = FileWarnings() if warnings is None else warnings
        self.columns = columns = Columns(profile, header, self.warnings)
        self.totals = MappedTotals()
        self._reads_extra = reads_extra
        self._width = len(columns.names)
        self._days = DayReader(profile, columns, scan_date, settle_orders)
        self._host_reader = HostReader(columns)
        self._plugin_reader = PluginReader(profile, columns, self._days, vendor)
        self._value_reader = ValueReader(profile, columns)
        self._extra_reader = ExtraReader(profile, columns, self._days, self._value_reader)
        self._errors = ErrorReader(profile, columns, self._host_reader, self._plugin_reader)
        self._hosts = RowCache[Host](_MOST_HOSTS)
        self._systems = RowCache[str]()
        self._plugins = RowCache[Plugin]()
        self._seen = RowCache[tuple[str, str]]()
        # A cached host and a cached plugin imply that `_is_skipped` is false. The cells of a plugin
        # include its severity and scores, which rarely differ from host to host.
        kinds = ("host_kind",) if profile.host_kinds else ()
        self._host_cells = columns.key_of((*HOST_FIELDS, *kinds))
        self._system_cells = columns.key_of(SYSTEM_FIELDS)
        self._plugin_cells = columns.key_of(
            (*PLUGIN_FIELDS, *SCORE_FIELDS, *profile.skip_without, "patched", "kev_due")
        )
        self._state_cells = columns.key_of(STATE_FIELDS)
        self._seen_cells = columns.key_of((*SEEN_FIELDS, "fixed_on"))
        self._has_stale_days = profile.stale_days > 0
        self._first_plugin = ""
        self.named_hosts: dict[str, Host] = {}
        """Hosts by key that rows without a finding name as scanned; the reader removes them."""
        self._unscanned: list[tuple[int, NoFindingError]] = []

    # -- one row

    def map_row(self, number: int, cells: Sequence[str]) -> MappedRow | None:
        """Return a row with findings; None for a row that is not a finding and not an error.

        Raises RowRejectedError, or CheckNotRunError for a check that failed or was skipped.
        """
        if len(cells) != self._width:
            cells = self._fit(cells)
        host = self._hosts.get(self._host_cells(cells))
        plugin = self._plugins.get(self._plugin_cells(cells))
        values = None if plugin is None else plugin.values.get(self._state_cells(cells))
        seen = self._seen.get(self._seen_cells(cells))
        if host is None or plugin is None or values is None or seen is None:
            parts = self._read_parts(Row(number, cells), host, plugin, values, seen)
            if parts is None:
                return None
            host, plugin, values, seen = parts
        totals = self.totals
        totals.severities[values.severity] += 1
        if self._has_stale_days:
            totals.add_last_day(seen[1])
        if not totals.has_several_plugins:
            self._compare_plugin(plugin)
        system = self._systems.get(self._system_cells(cells))
        if system is None:
            system = self._read_system(Row(number, cells))
        return number, host, system, plugin, values, seen[0], seen[1]

    def map_findings(self, number: int, cells: Sequence[str]) -> list[Finding]:
        """Return the findings of a row as objects; see `map_row`."""
        mapped = self.map_row(number, cells)
        if mapped is None:
            return []
        findings = findings_of(mapped)
        if self._reads_extra:
            row = Row(number, self.columns.fit(cells))
            extra = self._extra_reader.read(row, mapped[1], mapped[4])
            for finding in findings:
                finding.extra = dict(extra)
        return findings

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
        row = Row(0, self.columns.fit(cells))
        values = [self.columns.first(row, name) for name in _IDENTIFYING]
        is_named = any(value and not _is_text(value) for value in values)
        return not is_named and not find_cves(self.columns.first(row, "cve"))

    def take_unscanned(self) -> list[tuple[int, NoFindingError]]:
        """Return the rows since the last call that report a host that was not scanned."""
        found, self._unscanned = self._unscanned, []
        return found

    def name_host(self, cells: Sequence[str]) -> None:
        """Record that the host of a row without a finding was scanned, if the row names one."""
        row = Row(0, cells)
        status = self.columns.first(row, "scan_status").lower()
        if self.profile.scanned and status not in self.profile.scanned:
            return
        host = self._hosts.get(self._host_cells(row.cells)) or self._host_reader.read(row)
        if host.key and not host.problem:
            self.named_hosts[host.key] = host

    def column_warnings(self) -> list[FileWarning]:
        """Return a warning for each field of which no cell was understood."""
        return column_warnings(self.profile, self.columns, self.totals)

    # -- parts that are not cached

    def _fit(self, cells: Sequence[str]) -> Sequence[str]:
        if len(cells) > self._width and any(cells[self._width :]):
            # In a row that is too long the cells are shifted.
            raise RowRejectedError("", f"the row has {len(cells)} cells, the header {self._width}")
        return self.columns.fit(cells)

    def _read_parts(
        self, row: Row, host: Host | None, plugin: Plugin | None, values: Values | None,
        seen: tuple[str, str] | None,
    ) -> tuple[Host, Plugin, Values, tuple[str, str]] | None:  # fmt: skip
        """Return the parts of a row of which some are not cached; None for a row to skip."""
        if (host is None or plugin is None) and self._is_skipped(row):
            return None
        state: RowState | None = None
        before_state = self.warnings.total
        if values is None:
            state = self._value_reader.read_state(row)
            if state.meaning == "absent":
                self.name_host(row.cells)
                return None
            if state.meaning == "untested":
                raise CheckNotRunError("the check was not run", self._errors.mentions_of_check(row))
        is_state_known = self.warnings.total == before_state
        host = host or self._read_host(row)
        plugin = plugin or self._read_plugin(row, host)
        if plugin.id in self.profile.not_scanned:
            self._check_scanned(row, host, plugin)
        if values is None:
            assert state is not None
            before_values = self.warnings.total
            values = self._value_reader.read(row, state)
            if self.warnings.total == before_values and is_state_known:
                self._keep_values(row, plugin, values)
        return host, plugin, values, seen or self._read_seen(row)

    def _read_host(self, row: Row) -> Host:
        """Return the host of a row. Raises RowRejectedError."""
        host = self._host_reader.read(row)
        if host.problem or not host.key:
            self._host_reader.warn_of_problem(row, host)
            if not host.key:
                problem = self._host_reader.describe_missing(row, host)
                raise RowRejectedError(*problem, self._errors.mentions_without_host(row))
        else:
            self._hosts.keep(self._host_cells(row.cells), host)
        return host

    def _read_system(self, row: Row) -> str:
        system = self._host_reader.read_system(row)
        self._systems.keep(self._system_cells(row.cells), system)
        return system

    def _read_plugin(self, row: Row, host: Host) -> Plugin:
        """Return the vulnerability of a row. Raises RowRejectedError."""
        before = self.warnings.total
        plugin = self._plugin_reader.read(row)
        if not (plugin.cves or plugin.id or plugin.name):
            raise self._errors.no_vulnerability(row, host)
        plugin.published = self._plugin_reader.read_published(row)
        if not self._reads_extra:
            # Not stored, but read for their warnings.
            self._value_reader.read_epss(row)
            self._days.read(row, "patched")
            self._days.read(row, "kev_due")
        if self.warnings.total == before and plugin.id not in self.profile.not_scanned:
            self._plugins.keep(self._plugin_cells(row.cells), plugin)
        return plugin

    def _keep_values(self, row: Row, plugin: Plugin, values: Values) -> None:
        if len(plugin.values) >= _MOST_STATES:
            plugin.values.clear()
        key = self._state_cells(row.cells)
        if sum(map(len, key)) <= _LONGEST_STATE:
            plugin.values[key] = values

    def _read_seen(self, row: Row) -> tuple[str, str]:
        before = self.warnings.total
        if not self._reads_extra:
            self._days.read(row, "fixed_on")
        seen = self._days.read_seen(row)
        if self.warnings.total == before:
            self._seen.keep(self._seen_cells(row.cells), seen)
        return seen

    def _check_scanned(self, row: Row, host: Host, plugin: Plugin) -> None:
        """Keep the findings of a host open if the row reports that the host was not scanned."""
        if self.profile.not_scanned[plugin.id] in self.columns.first(row, "output"):
            error = CheckNotRunError("the host was not scanned", mentions_of_host(host))
            self._unscanned.append((row.number, error))

    def _compare_plugin(self, plugin: Plugin) -> None:
        name = plugin.id or plugin.name or plugin.cves[0]
        self.totals.has_several_plugins = name != (self._first_plugin or name)
        self._first_plugin = name

    # -- rows without a finding

    def _is_skipped(self, row: Row) -> bool:
        profile, columns = self.profile, self.columns
        for field in profile.skip_without:
            if not columns.first(row, field):
                self.name_host(row.cells)
                return True
        if profile.host_kinds:
            kind = columns.first(row, "host_kind")
            if kind and kind.upper() not in profile.host_kinds:
                self.totals.leave_out(clean(kind, 64))
                return True
        return False


def _is_text(cell: str) -> bool:
    """Return whether a cell holds words, which name no host and no plugin."""
    text = cell.strip()
    return " " in text or text.lower() in FOOTER_WORDS

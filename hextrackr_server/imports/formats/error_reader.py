"""Describes rows without a finding: the error, and the stored findings that they may refer to.

Such a stored finding is not treated as missing.
"""

from __future__ import annotations

from hextrackr_server.imports.formats.columns import Columns, Row
from hextrackr_server.imports.formats.finding import unique_key
from hextrackr_server.imports.formats.host_reader import HostReader
from hextrackr_server.imports.formats.parts import Host
from hextrackr_server.imports.formats.plugin_reader import PluginReader
from hextrackr_server.imports.formats.profile import Profile
from hextrackr_server.imports.formats.row_errors import Mention, RowRejectedError


class ErrorReader:
    """A reader for the rows of one file that have no finding."""

    def __init__(
        self, profile: Profile, columns: Columns, hosts: HostReader, plugins: PluginReader
    ) -> None:
        self._ids = profile.ids
        self._columns = columns
        self._hosts = hosts
        self._plugins = plugins

    def mentions_of_check(self, row: Row) -> list[Mention]:
        """Return the keys of the findings of a check, or its values if its host is not readable."""
        host = self._hosts.read(row)
        if not host.key:
            return self.mentions_without_host(row)
        plugin_id = self._plugins.read_id(row)
        plugin_name = self._plugins.read_name(row)
        # With a CVE, an export of another kind may hold the same check without it.
        return [
            ("unique_key", unique_key(cve, plugin_id, plugin_name, host.key, self._ids))
            for cve in (*self._plugins.find_all_cves(row, plugin_id), "")
            if cve or plugin_id or plugin_name
        ]

    def mentions_without_host(self, row: Row) -> list[Mention]:
        """Return the CVEs and the plugin of a row whose host is not readable."""
        plugin_id = self._plugins.read_id(row)
        # Without a limit: findings of an omitted CVE would count as absent and be resolved.
        mentions = [("cve", cve) for cve in self._plugins.find_all_cves(row, plugin_id)]
        mentions.append(("plugin_id", plugin_id))
        if not any(value for _, value in mentions):
            mentions.append(("plugin_name", self._plugins.read_name(row)))
        return mentions

    def no_vulnerability(self, row: Row, host: Host) -> RowRejectedError:
        """Return the error for a row that names a host and no vulnerability."""
        text = self._columns.first(row, "cve")
        message = "the row names no CVE and no plugin"
        if text:
            message = "not a CVE ID (expected e.g. CVE-2024-1000), and the row names no plugin"
        by_field = self._columns.by_field
        indexes = by_field.get("cve") or by_field.get("plugin_id") or ()
        column = self._columns.names[indexes[0]] if indexes else ""
        return RowRejectedError(column, message, text or None, mentions_of_host(host))


def mentions_of_host(host: Host) -> list[Mention]:
    """Return the values of any finding of a host, under whichever name that was stored."""
    return [("hostname", host.hostname), ("ip_address", host.address)]

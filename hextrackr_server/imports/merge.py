"""Merges a staged import into the findings, set by set.

All functions run in the transaction of `Database.merging`, on SQLite and on PostgreSQL. A merge
first stores the new entries of the dictionaries and gives every staged entry its ID. It then takes
the staged findings in batches, in the order of their keys: the findings that exist are copied to
the journal and updated, the others are inserted. Absent findings are left to `absence`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, select, text

from hextrackr_server.storage.database import upsert
from hextrackr_server.storage.encoding import ACTIVE, REOPENED, RESOLVED, day_number
from hextrackr_server.storage.finding_tables import (
    DEFERRED_INDEXES,
    STATE_COLUMNS,
    finding_journal,
    findings,
    undoable_imports,
)
from hextrackr_server.storage.schema import UNSOURCED, meta
from hextrackr_server.storage.stage_file import IDENTITY_BITS, IDENTITY_MASK

#: Batches that PostgreSQL merges at once: each statement builds hash tables of the dictionaries.
POSTGRES_BATCHES: Final = 4

#: The reason that is stored for a finding that its file reports as closed.
REASONS: Final = {
    "fixed": "reported_fixed",
    "accepted": "accepted",
    "false_positive": "false_positive",
    "inactive": "inactive",
}
_LAST_KEY: Final = (1 << 63) - 1
_IDENTITY: Final = f"(s.key & {IDENTITY_MASK})"
_HOST: Final = f"(s.key >> {IDENTITY_BITS})"
_STATE: Final = ", ".join(STATE_COLUMNS)


class MergeCounts(NamedTuple):
    """The numbers of findings that a merge inserted, updated, reopened and resolved.

    `replaced` counts the updated findings for which the file has other assets or definitions than
    before, `kept` those whose state is that of a later scan.
    """

    inserted: int = 0
    updated: int = 0
    reopened: int = 0
    resolved: int = 0
    replaced: int = 0
    kept: int = 0

    def plus(self, other: MergeCounts) -> MergeCounts:
        """Return the sum of both."""
        return MergeCounts(*(one + more for one, more in zip(self, other, strict=True)))


# -- dictionaries


class _Dictionary(NamedTuple):
    """A dictionary, its staged entries, and the columns of an entry, the identifying one first."""

    table: str
    staged: str
    columns: tuple[str, ...]
    marks_new: bool = False


_DICTIONARIES: Final = (
    _Dictionary("finding_hosts", "staged_hosts", ("host_key",), marks_new=True),
    _Dictionary("finding_identities", "staged_identities", ("identity", "cve"), marks_new=True),
    _Dictionary("finding_groups", "staged_groups", ("name",)),
    _Dictionary(
        "finding_assets",
        "staged_assets",
        ("digest", "hostname", "ip_address", "operating_system"),
    ),
    _Dictionary(
        "finding_definitions",
        "staged_definitions",
        ("digest", "plugin_id", "plugin_name", "vendor", "vulnerability_date", "description",
         "solution"),
    ),
)  # fmt: skip


def store_dictionaries(connection: Connection) -> None:
    """Store the new entries of all dictionaries, and set the ID of each staged entry."""
    for each in _DICTIONARIES:
        key, names = each.columns[0], ", ".join(each.columns)
        known = f"FROM {each.table} d WHERE d.{key} = {each.staged}.{key}"
        marked = ", is_new = 0" if each.marks_new else ""
        connection.execute(text(f"UPDATE {each.staged} SET id = d.id{marked} {known}"))
        # A file may have several entries with one digest.
        new = f"{names} FROM {each.staged} WHERE id IS NULL"
        rows = f"SELECT {new} ORDER BY number ON CONFLICT ({key}) DO NOTHING"
        if connection.dialect.name == "postgresql" and key == "digest":
            # A conflict clause takes a third of the time.
            rows = f"SELECT DISTINCT ON ({key}) {new} ORDER BY {key}, number"
        inserted = connection.execute(text(f"INSERT INTO {each.table} ({names}) {rows}"))
        if inserted.rowcount:
            connection.execute(
                text(f"UPDATE {each.staged} SET id = d.id {known} AND {each.staged}.id IS NULL")
            )
        _analyze(connection, each.staged)


def _analyze(connection: Connection, staged: str) -> None:
    """Count the values of a staged table, once the known entries have their IDs.

    Without the number of known entries, PostgreSQL compares each of them with all staged rows.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"ANALYZE {staged}"))


def named_hosts(connection: Connection) -> list[int]:
    """Return the IDs of the hosts in the file, after `store_dictionaries`."""
    return list(connection.scalars(text("SELECT DISTINCT id FROM staged_hosts")))


def drop_unused_entries(connection: Connection) -> None:
    """Delete the assets and definitions to which neither a finding nor the journal refers."""
    for table, column in (("finding_assets", "asset_id"), ("finding_definitions", "definition_id")):
        connection.execute(
            text(
                f"DELETE FROM {table} WHERE id NOT IN (SELECT {column} FROM findings "
                f"UNION ALL SELECT {column} FROM finding_journal)"
            )
        )


# -- findings of version 0.1.0

_ADOPTED: Final = f"""
    INSERT INTO staged_known (key, finding_id)
    SELECT key, finding_id FROM (
        SELECT s.key AS key, f.id AS finding_id,
            count(*) OVER (PARTITION BY s.key) AS candidates,
            count(*) OVER (PARTITION BY f.id) AS claims
        FROM findings f
        JOIN finding_assets fa ON fa.id = f.asset_id
        JOIN finding_identities fi ON fi.id = f.identity_id
        JOIN finding_definitions fd ON fd.id = f.definition_id
        JOIN staged_assets sa ON sa.hostname = fa.hostname
            AND (sa.ip_address = fa.ip_address OR fa.ip_address = '' OR sa.ip_address = '')
        JOIN staged s ON s.asset = sa.number
        JOIN staged_hosts sh ON sh.number = {_HOST}
        JOIN staged_identities si ON si.number = {_IDENTITY} AND si.cve = fi.cve
        JOIN staged_definitions sd ON sd.number = s.definition
        LEFT JOIN findings known ON known.host_id = sh.id AND known.identity_id = si.id
        LEFT JOIN staged_hosts own_host ON own_host.id = f.host_id
        LEFT JOIN staged_identities own_identity ON own_identity.id = f.identity_id
        LEFT JOIN staged reported
            ON reported.key = (own_host.number << {IDENTITY_BITS}) + own_identity.number
        WHERE f.source IS NULL AND known.id IS NULL AND reported.key IS NULL
            AND (si.cve <> '' OR (:with_plugins = 1 AND sd.plugin_id = fd.plugin_id
                AND (sd.plugin_id <> '' OR sd.plugin_name = fd.plugin_name)))
    ) AS pairs
    WHERE candidates = 1 AND claims = 1"""
_ADOPT: Final = f"""
    UPDATE findings SET host_id = pairs.host_id, identity_id = pairs.identity_id
    FROM (
        SELECT k.finding_id, h.id AS host_id, i.id AS identity_id
        FROM staged_known k JOIN staged s ON s.key = k.key
        JOIN staged_hosts h ON h.number = {_HOST}
        JOIN staged_identities i ON i.number = {_IDENTITY}
    ) AS pairs
    WHERE findings.id = pairs.finding_id"""


def count_unsourced(connection: Connection) -> int:
    """Return the number of open findings of 0.1.0 that no import has reported since."""
    if connection.scalar(select(meta.c.value).where(meta.c.name == UNSOURCED)) is None:
        return 0
    query = (
        f"SELECT count(*), count(CASE WHEN lifecycle < {RESOLVED} THEN 1 END) "
        "FROM findings WHERE source IS NULL"
    )
    left, are_open = connection.execute(text(query)).one()
    if not left:
        connection.execute(delete(meta).where(meta.c.name == UNSOURCED))
    return int(are_open)


# -- batches

_KNOWN: Final = f"""
    INSERT INTO staged_known (key, finding_id)
    SELECT s.key, f.id FROM staged s
    CROSS JOIN staged_hosts h CROSS JOIN staged_identities i CROSS JOIN findings f
    WHERE s.key BETWEEN :first AND :last
        AND h.number = {_HOST} AND h.is_new = 0
        AND i.number = {_IDENTITY} AND i.is_new = 0
        AND f.host_id = h.id AND f.identity_id = i.id"""
_OF_KNOWN: Final = """
    FROM staged_known k
    JOIN staged s ON s.key = k.key
    JOIN staged_values v ON v.number = s.value
    JOIN staged_assets a ON a.number = s.asset
    JOIN staged_definitions d ON d.number = s.definition
    JOIN staged_groups g ON g.number = s.group_number"""
_COUNT_KNOWN: Final = f"""
    SELECT
        count(CASE WHEN f.lifecycle = {RESOLVED} AND v.closed_as IS NULL AND NOT {{newer}}
            THEN 1 END),
        count(CASE WHEN f.lifecycle <> {RESOLVED} AND v.closed_as IS NOT NULL THEN 1 END),
        count(CASE WHEN f.asset_id <> a.id OR f.definition_id <> d.id THEN 1 END),
        count(CASE WHEN v.closed_as IS NULL AND {{newer}} THEN 1 END)
    {_OF_KNOWN}
    JOIN findings f ON f.id = k.finding_id"""
# PostgreSQL cannot infer the types of these values.
_IMPORT_ID, _SCAN_DATE = "CAST(:import_id AS INTEGER)", "CAST(:scan_date AS INTEGER)"
_SOURCE = "CAST(:source AS TEXT)"
#: Whether a later scan than this import has reported or resolved a finding.
_IS_NEWER: Final = (
    "({0}.source IS NOT NULL AND ({0}.scan_date > CAST(:scan_date AS INTEGER) "
    "OR coalesce({0}.resolved_date, 0) > CAST(:scan_date AS INTEGER)))"
)
_ANY_NEWER: Final = f"SELECT EXISTS (SELECT 1 FROM findings f WHERE {_IS_NEWER.format('f')})"
_LISTED, _ITEM = "(',' || findings.source || ',')", f"(',' || {_SOURCE} || ',')"
_JOURNAL: Final = f"""
    INSERT INTO finding_journal (import_id, finding_id, former_import_id, {_STATE})
    SELECT {_IMPORT_ID}, f.id, f.import_id, {", ".join(f"f.{name}" for name in STATE_COLUMNS)}
    FROM findings f WHERE f.id IN (SELECT finding_id FROM staged_known)
    ON CONFLICT (import_id, finding_id) DO NOTHING"""
_REASON: Final = (
    "CASE v.closed_as "
    + " ".join(f"WHEN '{name}' THEN '{reason}'" for name, reason in REASONS.items())
    + " END"
)
# A finding that is reported again: an export without a score keeps the score of an earlier one.
_CHANGED: Final = {
    "asset_id": "new.asset_id",
    "definition_id": "new.definition_id",
    "group_id": "new.group_id",
    "severity": "new.severity",
    "state": "new.state",
    "scan_date": f"""CASE WHEN {_IS_NEWER.format("findings")} THEN findings.scan_date
            ELSE {_SCAN_DATE} END""",
    "vpr_score": "coalesce(new.vpr_score, findings.vpr_score)",
    "cvss_score": "coalesce(new.cvss_score, findings.cvss_score)",
    "lifecycle": f"""CASE WHEN new.reason IS NOT NULL THEN {RESOLVED}
            WHEN findings.lifecycle = {RESOLVED} THEN {REOPENED} ELSE findings.lifecycle END""",
    "changed_import_id": f"""CASE
            WHEN (new.reason IS NULL) = (findings.lifecycle = {RESOLVED}) THEN {_IMPORT_ID}
            ELSE findings.changed_import_id END""",
    "resolved_date": f"""CASE WHEN new.reason IS NOT NULL
            THEN coalesce(findings.resolved_date, {_SCAN_DATE}) END""",
    "resolution_reason": "new.reason",
    "source": f"""CASE
            WHEN findings.source IS NULL OR findings.lifecycle = {RESOLVED} THEN {_SOURCE}
            WHEN findings.source = {_SOURCE} OR {_LISTED} <> replace({_LISTED}, {_ITEM}, '')
                THEN findings.source
            ELSE findings.source || ',' || {_SOURCE} END""",
}
# A row without a closed state leaves the state of a finding to a later scan, which may lack a score
# that an earlier scan has.
_KEPT: Final = {
    "vpr_score": "coalesce(findings.vpr_score, new.vpr_score)",
    "cvss_score": "coalesce(findings.cvss_score, new.cvss_score)",
    "source": f"""CASE
            WHEN findings.lifecycle = {RESOLVED}
                OR {_LISTED} <> replace({_LISTED}, {_ITEM}, '')
                THEN findings.source
            ELSE findings.source || ',' || {_SOURCE} END""",
}


def _update(changes: Mapping[str, str], condition: str = "") -> str:
    """Return the statement that changes the columns of the reported findings."""
    return f"""
    UPDATE findings SET
        {", ".join(f"{name} = {value}" for name, value in changes.items())},
        import_id = {_IMPORT_ID},
        first_seen = CASE WHEN new.first_seen < findings.first_seen
            THEN new.first_seen ELSE findings.first_seen END,
        last_seen = CASE WHEN new.last_seen > findings.last_seen
            THEN new.last_seen ELSE findings.last_seen END
    FROM (
        SELECT k.finding_id, a.id AS asset_id, d.id AS definition_id, g.id AS group_id, v.severity,
            v.state, v.vpr_score, v.cvss_score, s.first_seen, s.last_seen,
            {_REASON} AS reason
        {_OF_KNOWN}
    ) AS new
    WHERE findings.id = new.finding_id {condition}"""


_UPDATE: Final = _update(_CHANGED)
_IS_KEPT: Final = f"(new.reason IS NULL AND {_IS_NEWER.format('findings')})"
_UPDATE_OLDER: Final = _update(_CHANGED, f"AND NOT {_IS_KEPT}")
_UPDATE_NEWER: Final = _update(_KEPT, f"AND {_IS_KEPT}")
# A finding that is new and already fixed changes nothing.
_INSERT: Final = f"""
    INSERT INTO findings (import_id, created_import_id, {_STATE})
    SELECT {_IMPORT_ID}, {_IMPORT_ID}, h.id, i.id, a.id, d.id, g.id, v.severity,
        CASE WHEN v.closed_as IS NULL THEN {ACTIVE} ELSE {RESOLVED} END,
        v.vpr_score, v.cvss_score, s.first_seen, s.last_seen, {_SCAN_DATE}, v.state, {_SOURCE},
        CASE WHEN v.closed_as IS NULL THEN {_IMPORT_ID} END,
        CASE WHEN v.closed_as IS NOT NULL THEN {_SCAN_DATE} END,
        {_REASON}
    FROM staged s
    CROSS JOIN staged_hosts h CROSS JOIN staged_identities i CROSS JOIN staged_assets a
    CROSS JOIN staged_definitions d CROSS JOIN staged_groups g CROSS JOIN staged_values v
    WHERE s.key BETWEEN :first AND :last
        AND h.number = {_HOST} AND i.number = {_IDENTITY} AND a.number = s.asset
        AND d.number = s.definition AND g.number = s.group_number AND v.number = s.value
        {{unknown}}
    ORDER BY s.key"""
_UNKNOWN: Final = "AND s.key NOT IN (SELECT key FROM staged_known)"


class Merge:
    """The merge of one staged import, after its dictionaries are stored."""

    def __init__(self, connection: Connection, import_id: int, scan_date: str, source: str) -> None:
        self._connection = connection
        self._values: dict[str, Any] = {"import_id": import_id, "scan_date": day_number(scan_date)}
        self._source = {"source": source}
        # Whether `staged_known` has rows of an earlier statement.
        self._has_known = False
        self._has_newer = True

    def begin_journal(self, former_totals: Sequence[Mapping[str, Any]]) -> None:
        """Drop the journal of the former import of this source: only the last can be undone.

        `former_totals` are the daily totals of the scan's day before the import.
        """
        connection, source = self._connection, self._source["source"]
        former = select(undoable_imports.c.import_id).where(undoable_imports.c.source == source)
        if (replaced := connection.scalar(former)) is not None:
            connection.execute(
                delete(finding_journal).where(finding_journal.c.import_id == replaced)
            )
        new = upsert(connection, undoable_imports).values(
            source=source,
            import_id=self._values["import_id"],
            former_totals=json.dumps(list(former_totals)),
        )
        changed = {name: new.excluded[name] for name in ("import_id", "former_totals")}
        connection.execute(new.on_conflict_do_update(index_elements=["source"], set_=changed))

    def adopt_unsourced(self, *, with_plugins: bool) -> int:
        """Give findings of 0.1.0 the keys of the staged findings that report them.

        Return their number. Keys of 0.1.0 contain the first label of a host name, and the vendor or
        the asset of a plugin. A finding is adopted if exactly one staged finding has its host and
        its vulnerability, and if that staged finding has no other candidate. The versions up to
        0.1.0 read Tenable exports only: the plugin IDs of other tools are compared only with
        `with_plugins`.
        """
        connection = self._connection
        if connection.scalar(select(meta.c.value).where(meta.c.name == UNSOURCED)) is None:
            return 0
        values = {"with_plugins": int(with_plugins)}
        adopted = connection.execute(text(_ADOPTED), values).rowcount
        if adopted:
            self._has_known = True
            connection.execute(text(_JOURNAL), self._values)
            connection.execute(text(_ADOPT))
            for staged in ("staged_hosts", "staged_identities"):
                connection.execute(text(f"UPDATE {staged} SET is_new = 0"))
        return adopted

    def _batches(self) -> Iterator[tuple[int, int]]:
        """Yield the first and the last key of each batch."""
        connection = self._connection
        firsts = connection.scalars(text("SELECT first FROM staged_batches ORDER BY first")).all()
        if connection.dialect.name == "postgresql":
            firsts = firsts[::POSTGRES_BATCHES]
        for first, following in zip(firsts, [*firsts[1:], _LAST_KEY + 1], strict=False):
            yield first, following - 1

    def all_batches(self) -> Iterator[MergeCounts]:
        """Merge all staged findings; yield the numbers of each batch."""
        connection = self._connection
        is_first = not connection.scalar(select(select(findings.c.id).exists()))
        day = {"scan_date": self._values["scan_date"]}
        self._has_newer = bool(connection.scalar(text(_ANY_NEWER), day))
        deferred = DEFERRED_INDEXES[connection.dialect.name] if is_first else []
        if connection.dialect.name == "sqlite":
            for index in deferred:
                index.drop(connection, checkfirst=True)
        for first, last in self._batches():
            yield self._batch(first, last)
        for index in deferred:
            index.create(connection, checkfirst=True)

    def _batch(self, first: int, last: int) -> MergeCounts:
        """Merge the staged findings with keys from `first` to `last`."""
        connection, between = self._connection, {"first": first, "last": last}
        if self._has_known:
            connection.execute(text("DELETE FROM staged_known"))
        known = connection.execute(text(_KNOWN), between).rowcount
        self._has_known = known > 0
        counts = MergeCounts()
        unknown = ""
        if known:
            _analyze(connection, "staged_known")
            changed = _count_known(connection, self._values["scan_date"], self._has_newer)
            connection.execute(text(_JOURNAL), self._values)
            for update in (_UPDATE_NEWER, _UPDATE_OLDER) if self._has_newer else (_UPDATE,):
                connection.execute(text(update), self._values | self._source)
            counts = MergeCounts(0, known, *changed)
            unknown = _UNKNOWN
        insert = _INSERT.format(unknown=unknown)
        values = self._values | self._source | between
        inserted = connection.execute(text(insert), values).rowcount
        return counts._replace(inserted=inserted)


def _count_known(connection: Connection, scan_date: int, has_newer: bool) -> Sequence[int]:
    """Return how many reported findings are reopened, resolved, replaced and kept."""
    if not has_newer:
        return connection.execute(text(_COUNT_KNOWN.format(newer="1 = 0"))).one()
    count = _COUNT_KNOWN.format(newer=_IS_NEWER.format("f"))
    return connection.execute(text(count), {"scan_date": scan_date}).one()


# -- without changes


def forecast(connection: Connection, scan_date: str) -> MergeCounts:
    """Return what a merge of a scan of that day would do; change the staged tables only.

    Afterwards `staged_known` has the findings that the file reports. Findings of 0.1.0 without a
    source are not compared: a merge may adopt some of the findings that count as inserted here.
    """
    for each in _DICTIONARIES:
        if each.marks_new:
            key = each.columns[0]
            connection.execute(
                text(
                    f"UPDATE {each.staged} SET id = d.id, is_new = 0 "
                    f"FROM {each.table} d WHERE d.{key} = {each.staged}.{key}"
                )
            )
            _analyze(connection, each.staged)
    known = connection.execute(text(_KNOWN), {"first": 0, "last": _LAST_KEY}).rowcount
    reopened, resolved, *_ = _count_known(connection, day_number(scan_date), has_newer=True)
    staged = connection.scalar(text("SELECT count(*) FROM staged")) or 0
    return MergeCounts(staged - known, known, reopened, resolved)

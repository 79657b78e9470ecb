"""Stores the KEV catalog and the log of its synchronizations, and finds its open CVEs.

All functions block. `catalog` validates entries, `service` schedules synchronizations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, delete, func, insert, select

from hextrackr_server.findings import totals
from hextrackr_server.findings.filters import IS_OPEN
from hextrackr_server.findings.kev_statistics import kev_statistics
from hextrackr_server.findings.most_severe import most_severe, severity_order
from hextrackr_server.kev.catalog import Catalog, KevEntry, KevError
from hextrackr_server.storage import unannounced
from hextrackr_server.storage.database import Database, upsert
from hextrackr_server.storage.finding_tables import (
    finding_identities,
    findings,
    vulnerabilities_current,
)
from hextrackr_server.storage.schema import import_jobs, kev_history, kev_status, sync_metadata

current, kev = vulnerabilities_current, kev_status

#: A catalog that lost a larger share of its entries is rejected as implausible.
MAXIMUM_LOSS = 0.2
CHUNK = 250
#: The kind of the note about new CVEs; its value is the last row of the history before them.
NOTED = "kev"
MAXIMUM_USERS = 100
_COMPARED = tuple(name for name in KevEntry._fields if name != "cve_id")


class Difference(NamedTuple):
    """The CVEs that a catalog added, changed and removed."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


class Match(NamedTuple):
    """A known exploited CVE with open findings: its hosts, and the users who imported it."""

    cve: str
    due_date: str
    known_ransomware_use: bool
    hosts: int
    users: tuple[str, ...]


class LastSync(NamedTuple):
    """The last successful synchronization; times are milliseconds since 1970."""

    sync_time: int
    version: str | None
    etag: str | None
    last_modified: str | None
    next_sync_time: int | None


class KevStore:
    """Database access of the KEV catalog; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def apply(
        self,
        catalog: Catalog,
        now_ms: int,
        *,
        force: bool = False,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Difference:
        """Replace the stored catalog and return the difference.

        The stored state of unsettled CVEs stays. Nothing is removed if the CVE of an entry is not
        readable.

        Raises KevError, and changes nothing, if too many entries are missing and `force` is false.
        `progress` is called with the number of entries written so far, every 250 entries.
        """
        with self._database.writing() as connection:
            known = _known(connection)
            catalog = _without_unsettled(catalog, known)
            difference = _difference(known, catalog)
            if not force and len(difference.removed) > MAXIMUM_LOSS * len(known):
                raise KevError(
                    f"the catalog lost {len(difference.removed)} of {len(known)} entries: "
                    "synchronize with force if that is right"
                )
            if not catalog.names_all:
                difference = difference._replace(removed=())
            _write_entries(connection, catalog, now_ms, progress)
            for chunk in _chunks(difference.removed):
                connection.execute(delete(kev).where(kev.c.cve_id.in_(chunk)))
            if difference.new:
                last = connection.scalar(select(func.max(kev_history.c.id))) or 0
                unannounced.note(connection, NOTED, "", last)
            _write_history(connection, difference, catalog.version, now_ms)
            if hosts := _hosts(connection, (*difference.new, *difference.removed)):
                totals.refresh(connection, hosts)
        return difference

    def unannounced(self) -> list[str]:
        """Return the new CVEs whose events have not been sent, also those of earlier catalogs."""
        with self._database.reading() as connection:
            last = unannounced.noted(connection).get((NOTED, ""))
            if last is None:
                return []
            added = kev_history.c.change == "added"
            query = select(kev_history.c.cve_id).where(kev_history.c.id > last, added)
            return list(connection.scalars(query.distinct()))

    def announced(self) -> None:
        """Store that the events of all new CVEs have been sent."""
        with self._database.writing() as connection:
            unannounced.forget(connection, NOTED, "")

    def matches(self, cves: Iterable[str]) -> list[Match]:
        """Return the CVEs that have open findings."""
        found = []
        with self._database.reading() as connection:
            for chunk in _chunks(sorted(cves)):
                found += _matches(connection, chunk)
        return found

    def open_findings(self, cves: Iterable[str], limit: int) -> tuple[list[dict[str, Any]], int]:
        """Return up to `limit` open findings of CVEs, the most severe first, and their number.

        Each finding has the properties `isKev`, `dueDate` and `knownRansomwareCampaignUse`.
        """
        total, rows, entries = 0, list[dict[str, Any]](), dict[str, tuple[str, bool]]()
        with self._database.reading() as connection:
            # SQLite limits the number of parameters of a statement.
            for chunk in _chunks(sorted(cves)):
                is_open = findings.c.id.in_(_open_findings(chunk))
                total += connection.scalar(select(func.count()).where(is_open)) or 0
                rows += most_severe(connection, current.c.id.in_(_open_findings(chunk)), limit)
                named = kev.c.cve_id.in_(chunk)
                query = select(kev.c.cve_id, kev.c.due_date, kev.c.known_ransomware_use)
                for cve, due, use in connection.execute(query.where(named)):
                    entries[cve] = due, bool(use)
        rows.sort(key=severity_order)
        del rows[limit:]
        for row in rows:
            due, use = entries[row["cve"]]
            row |= {"isKev": True, "dueDate": due, "knownRansomwareCampaignUse": use}
        return rows, total

    def log_sync(self, status: str, now_ms: int, **values: Any) -> None:
        """Store the outcome of a synchronization."""
        with self._database.writing() as connection:
            row = {"sync_type": "kev", "sync_time": now_ms, "status": status} | values
            connection.execute(insert(sync_metadata).values(**row))

    def last_sync(self) -> LastSync | None:
        """Return the last successful synchronization, or None."""
        log = sync_metadata
        query = (
            select(*(log.c[name] for name in LastSync._fields))
            .where(log.c.sync_type == "kev", log.c.status == "completed")
            .order_by(log.c.id.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else LastSync(*row)

    def statistics(self, today: str) -> dict[str, int]:
        """Return the numbers of KEV entries; `today` is a date such as 2025-09-30."""
        with self._database.reading() as connection:
            return kev_statistics(connection, today)

    def entry(self, cve: str) -> dict[str, Any] | None:
        """Return the catalog entry of a CVE, or None."""
        with self._database.reading() as connection:
            row = connection.execute(select(kev).where(kev.c.cve_id == cve)).mappings().first()
        return None if row is None else dict(row)


def _known(connection: Connection) -> dict[str, tuple[Any, ...]]:
    query = select(kev.c.cve_id, *(kev.c[name] for name in _COMPARED))
    return {row[0]: tuple(row[1:]) for row in connection.execute(query)}


def _without_unsettled(catalog: Catalog, known: dict[str, tuple[Any, ...]]) -> Catalog:
    """Return the catalog without the entries whose stored state stays."""
    kept = catalog.unsettled & known.keys()
    entries = {cve: entry for cve, entry in catalog.entries.items() if cve not in kept}
    return catalog._replace(entries=entries)


def _difference(known: dict[str, tuple[Any, ...]], catalog: Catalog) -> Difference:
    entries = catalog.entries
    return Difference(
        new=tuple(cve for cve in entries if cve not in known),
        changed=tuple(
            cve
            for cve, entry in entries.items()
            if cve in known and known[cve] != tuple(getattr(entry, name) for name in _COMPARED)
        ),
        removed=tuple(cve for cve in known if cve not in entries and cve not in catalog.unsettled),
    )


def _write_entries(
    connection: Connection, catalog: Catalog, now_ms: int, progress: Callable[[int], None]
) -> None:
    statement = upsert(connection, kev)
    statement = statement.on_conflict_do_update(
        index_elements=["cve_id"],
        set_={name: statement.excluded[name] for name in (*_COMPARED, "last_synced")},
    )
    done = 0
    for chunk in _chunks(list(catalog.entries.values())):
        rows = [entry._asdict() | {"last_synced": now_ms} for entry in chunk]
        connection.execute(statement, rows)
        done += len(rows)
        progress(done)


def _write_history(
    connection: Connection, difference: Difference, version: str, now_ms: int
) -> None:
    rows = [
        {"cve_id": cve, "change": change, "catalog_version": version, "changed_at": now_ms}
        for change, cves in (
            ("added", difference.new),
            ("changed", difference.changed),
            ("removed", difference.removed),
        )
        for cve in cves
    ]
    if rows:
        connection.execute(insert(kev_history), rows)


def _hosts(connection: Connection, cves: Sequence[str]) -> list[int]:
    """Return the IDs of the hosts with open findings of CVEs."""
    hosts: set[int] = set()
    for chunk in _chunks(cves):
        query = (
            select(findings.c.host_id)
            .join(finding_identities, finding_identities.c.id == findings.c.identity_id)
            .where(finding_identities.c.cve.in_(chunk), IS_OPEN)
            .distinct()
        )
        hosts.update(connection.scalars(query))
    return sorted(hosts)


def _open_findings(cves: Sequence[str]) -> Select[tuple[int]]:
    """Select the IDs of the open findings of CVEs in the catalog."""
    return (
        select(findings.c.id)
        .join(finding_identities, finding_identities.c.id == findings.c.identity_id)
        .join(kev, kev.c.cve_id == finding_identities.c.cve)
        .where(kev.c.cve_id.in_(cves), IS_OPEN)
    )


def _matches(connection: Connection, cves: Sequence[str]) -> list[Match]:
    same_cve = finding_identities.c.cve == kev.c.cve_id
    joined = kev.join(finding_identities, same_cve).join(
        findings, findings.c.identity_id == finding_identities.c.id
    )
    open_here = (kev.c.cve_id.in_(cves), IS_OPEN)
    query = (
        select(
            kev.c.cve_id,
            kev.c.due_date,
            kev.c.known_ransomware_use,
            func.count(findings.c.host_id.distinct()),
        )
        .select_from(joined)
        .where(*open_here)
        .group_by(kev.c.cve_id, kev.c.due_date, kev.c.known_ransomware_use)
        .order_by(kev.c.cve_id)
    )
    owners: dict[str, list[str]] = {}
    whose = (
        select(kev.c.cve_id, import_jobs.c.user_id)
        .select_from(joined.join(import_jobs, import_jobs.c.import_id == findings.c.import_id))
        .where(*open_here)
        .distinct()
        .order_by(import_jobs.c.user_id)
    )
    for cve, user in connection.execute(whose):
        owners.setdefault(cve, []).append(user)
    return [
        Match(cve, due, bool(ransomware), hosts, tuple(owners.get(cve, ())[:MAXIMUM_USERS]))
        for cve, due, ransomware, hosts in connection.execute(query)
    ]


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]

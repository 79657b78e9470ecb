"""The table of open vulnerabilities, which statistics read instead of all findings.

Every row is derived from `findings`; `findings.totals` writes the table, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Integer,
    SmallInteger,
    String,
    Table,
    event,
    text,
)

from hextrackr_server.storage.encoding import RESOLVED
from hextrackr_server.storage.metadata import metadata

#: One row per open vulnerability: a plugin (`finding_groups`) of a vendor on a host, with one
#: severity. The columns are the maxima over its open findings, except `first_seen`, which is the
#: minimum, and the numbers of findings.
#: SQLite stores the rows in the order of the primary key: totals of a severity and a vendor, and
#: the number of their hosts, then need no sorting.
open_groups = Table(
    "open_groups",
    metadata,
    # A position in RANKED_SEVERITIES of `encoding`.
    Column("severity", SmallInteger, primary_key=True, autoincrement=False),
    Column("vendor", String(32), primary_key=True),
    Column("host_id", Integer, primary_key=True, autoincrement=False),
    Column("group_id", Integer, primary_key=True, autoincrement=False),
    Column("vpr_score", Float),
    # Days as `encoding.day_number` returns them.
    Column("first_seen", Integer, nullable=False),
    Column("last_seen", Integer, nullable=False),
    Column("scan_date", Integer, nullable=False),
    Column("asset_id", Integer, nullable=False),
    Column("findings", Integer, nullable=False),
    # Findings with known exploited CVEs.
    Column("exploited", Integer, nullable=False),
    # 1 if all findings of the row have the same definition and the same values in all columns of
    # the row. A filter then selects all or none of them, except a filter by CVE.
    Column("is_uniform", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)


@event.listens_for(open_groups, "after_create")
def _create_index(_table: Table, connection: Connection, **_options: Any) -> None:
    """Index the groups that are not uniform: they are rare, and queries read their findings.

    An `Index` with a condition for PostgreSQL would import its dialect, which takes 2 MB, into a
    hub on SQLite.
    """
    connection.execute(
        text("CREATE INDEX ix_open_groups_mixed ON open_groups (host_id) WHERE is_uniform = 0")
    )


# The plus keeps SQLite from reading the findings in the order of an index, which takes twice as
# long as sorting them. Grouping by all columns is faster than a maximum and a minimum of each.
_EXPLOITED: Final = """
        count(CASE WHEN identity_id IN (
            SELECT i.id FROM finding_identities i JOIN kev_status k ON k.cve_id = i.cve
        ) THEN 1 END)"""
_EQUAL: Final = f"""
    SELECT +host_id AS host_id, group_id, severity, definition_id, asset_id, vpr_score, first_seen,
        last_seen, scan_date, count(*) AS findings, {_EXPLOITED} AS exploited
    FROM findings
    WHERE lifecycle < {RESOLVED} {{hosts}}
    GROUP BY +host_id, group_id, severity, definition_id, asset_id, vpr_score, first_seen,
        last_seen, scan_date"""
_KEY: Final = tuple(column.name for column in open_groups.primary_key)
#: How the values of a column are combined: the function, and the operator between two values.
_COMBINED: Final = {
    "vpr_score": ("max", ">"),
    "first_seen": ("min", "<"),
    "last_seen": ("max", ">"),
    "scan_date": ("max", ">"),
    "asset_id": ("max", ">"),
    "findings": ("sum", "+"),
    "exploited": ("sum", "+"),
}
_COLUMNS: Final = ", ".join((*_KEY, *_COMBINED, "is_uniform"))
_OF_EQUAL: Final = ", ".join(
    "d.vendor" if name == "vendor" else f"e.{name}" for name in (*_KEY, *_COMBINED)
)


def _combined(name: str, operator: str) -> str:
    stored, new = f"open_groups.{name}", f"excluded.{name}"
    if operator == "+":
        return f"{name} = {stored} + {new}"
    # A comparison with NULL is not true: of a score and NULL, the score is kept.
    return (
        f"{name} = CASE WHEN {new} {operator} {stored} OR {stored} IS NULL "
        f"THEN {new} ELSE {stored} END"
    )


# The rows come in the order of hosts: each combination of severity and vendor grows at its end.
_SQLITE_INSERT: Final = f"""
    INSERT INTO open_groups ({_COLUMNS})
    SELECT {_OF_EQUAL}, 1
    FROM ({_EQUAL}) AS e JOIN finding_definitions d ON d.id = e.definition_id
    WHERE true
    ON CONFLICT ({", ".join(_KEY)}) DO UPDATE SET
        {", ".join(_combined(name, how[1]) for name, how in _COMBINED.items())}, is_uniform = 0"""
_COUNTED: Final = f"""
    SELECT {", ".join(_KEY)},
        {", ".join(f"{how[0]}({name}) AS {name}" for name, how in _COMBINED.items())},
        CASE WHEN count(*) = 1 THEN 1 ELSE 0 END AS is_uniform
    FROM (
        SELECT {_OF_EQUAL} FROM ({_EQUAL}) AS e JOIN finding_definitions d ON d.id = e.definition_id
    ) AS parts
    GROUP BY {", ".join(_KEY)}"""

# PostgreSQL does not update a row that the same statement has inserted. One aggregation with more
# functions takes two thirds of the time of `_COUNTED`.
_UNIFORM: Final = " AND ".join(
    f"min({name}) = max({name})"
    for name in ("definition_id", "asset_id", "first_seen", "last_seen", "scan_date")
)
_POSTGRES_INSERT: Final = f"""
    INSERT INTO open_groups ({_COLUMNS})
    SELECT {", ".join(_KEY)}, max(vpr_score), min(first_seen), max(last_seen), max(scan_date),
        max(asset_id), count(*), {_EXPLOITED},
        CASE WHEN {_UNIFORM}
            AND (count(vpr_score) = 0
                OR count(vpr_score) = count(*) AND min(vpr_score) = max(vpr_score))
            THEN 1 ELSE 0 END
    FROM findings JOIN finding_definitions d ON d.id = definition_id
    WHERE lifecycle < {RESOLVED} {{hosts}}
    GROUP BY {", ".join(_KEY)}"""


def delete_open_groups(connection: Connection, hosts: Sequence[int] | None) -> None:
    """Delete the rows of hosts, or of all hosts."""
    connection.execute(text(f"DELETE FROM open_groups {_only(hosts, 'WHERE')}"))


def insert_open_groups(connection: Connection, hosts: Sequence[int] | None = None) -> None:
    """Insert the rows of hosts, or of all hosts, which the table must not contain yet."""
    is_postgres = connection.dialect.name == "postgresql"
    statement = _POSTGRES_INSERT if is_postgres else _SQLITE_INSERT
    connection.execute(text(statement.format(hosts=_only(hosts))))


def count_open_groups(connection: Connection) -> list[tuple[Any, ...]]:
    """Return the rows that the table must contain, in the order of the primary key."""
    counted = f"SELECT {_COLUMNS} FROM ({_COUNTED}) AS counted ORDER BY {', '.join(_KEY)}"
    return [tuple(row) for row in connection.execute(text(counted.format(hosts="")))]


def _only(hosts: Sequence[int] | None, word: str = "AND") -> str:
    if hosts is None:
        return ""
    # The IDs are numbers of this database. As parameters, they could exceed a limit of SQLite.
    return f"{word} host_id IN ({', '.join(str(int(each)) for each in hosts) or 'NULL'})"

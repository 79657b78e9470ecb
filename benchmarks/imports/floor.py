"""The floor: `csv.reader` and bulk upserts of the same findings into one table with six indexes.

    python -m benchmarks.imports.floor FILE.csv DATABASE.db

Without validation, history and statistics, the program is the lower bound of an
import in Python. It imports the file twice and prints the CPU time and the duration of each import
as JSON.
"""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

BATCH = 1000
COLUMNS = (
    "unique_key", "host_key", "hostname", "ip_address", "cve", "plugin_id", "plugin_name", "vendor",
    "severity", "cvss_score", "vpr_score", "published", "first_seen", "last_seen", "state",
    "operating_system", "description", "solution",
)  # fmt: skip
INDEXED = ("host_key", "cve", "vendor", "severity", "last_seen")
_CVES = re.compile(r"[,\s]+")
NAMES = ", ".join(COLUMNS)
_UPDATES = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "unique_key")
CONFLICT = f"ON CONFLICT (unique_key) DO UPDATE SET {_UPDATES}"


def read_findings(path: Path) -> Iterator[tuple[str | None, ...]]:
    """Yield one row of the table per CVE of each row of a generated export."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        next(reader)
        for row in reader:
            host, address, plugin = row[1], row[2], row[4]
            if not address or not plugin:
                continue
            for cve in _CVES.split(row[7]):
                yield (
                    f"cve:{cve}|host:{address}",
                    address,
                    host,
                    address,
                    cve,
                    plugin,
                    row[5],
                    row[6],
                    row[13],
                    row[8] or None,
                    # Every 97th row has an invalid score, which a numeric column cannot contain.
                    row[9] if row[9][:1].isdigit() else None,
                    row[10][:10],
                    row[17][:10],
                    row[18][:10],
                    row[14],
                    row[3],
                    row[11],
                    row[12],
                )


def create_statements(real: str) -> list[str]:
    """Return the statements that create the table and its six indexes."""
    columns = ", ".join(
        f"{name} {real}" if name.endswith("_score") else f"{name} TEXT" for name in COLUMNS
    )
    return [
        f"CREATE TABLE findings ({columns})",
        "CREATE UNIQUE INDEX ix_key ON findings (unique_key)",
        *(f"CREATE INDEX ix_{name} ON findings ({name})" for name in INDEXED),
    ]


def import_into_sqlite(path: Path, connection: sqlite3.Connection) -> None:
    """Upsert all findings of the file in one transaction."""
    marks = ", ".join("?" * len(COLUMNS))
    statement = f"INSERT INTO findings ({NAMES}) VALUES ({marks}) {CONFLICT}"
    findings = read_findings(path)
    with connection:
        while batch := list(islice(findings, BATCH)):
            connection.executemany(statement, batch)


def measure_sqlite(path: Path, database: Path) -> list[dict[str, float]]:
    """Import the file twice into a new SQLite database."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    for statement in create_statements("REAL"):
        connection.execute(statement)
    times = []
    for _ in range(2):
        began, cpu = time.perf_counter(), time.process_time()
        import_into_sqlite(path, connection)
        times.append({"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - began})
    connection.close()
    return times


def main() -> None:
    """Print the times as JSON; the command line names the file and the database."""
    file, database = map(Path, sys.argv[1:])
    print(json.dumps(measure_sqlite(file, database)))


if __name__ == "__main__":
    main()

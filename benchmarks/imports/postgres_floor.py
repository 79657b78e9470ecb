"""The floor on PostgreSQL: COPY of the same findings into a temporary table, and one merge of it.

    python -m benchmarks.imports.postgres_floor FILE.csv URL

The table has the columns and indexes of `floor`. The program imports the file once and prints the
CPU time of its own process and the duration as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psycopg

from benchmarks.imports.floor import CONFLICT, NAMES, create_statements, read_findings


def measure_postgres(path: Path, url: str) -> list[dict[str, float]]:
    """Import the file into a new schema of a database."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA floor")
        cursor.execute("SET search_path = floor")
        for statement in create_statements("DOUBLE PRECISION"):
            cursor.execute(statement.encode())
        connection.commit()
        began, cpu = time.perf_counter(), time.process_time()
        cursor.execute("CREATE TEMPORARY TABLE staged (LIKE findings) ON COMMIT DROP")
        with cursor.copy(f"COPY staged ({NAMES}) FROM STDIN".encode()) as copy:
            for finding in read_findings(path):
                copy.write_row(finding)
        # ON CONFLICT does not accept one key twice in a statement.
        rows = f"SELECT DISTINCT ON (unique_key) {NAMES} FROM staged"
        cursor.execute(f"INSERT INTO findings ({NAMES}) {rows} {CONFLICT}".encode())
        connection.commit()
        return [{"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - began}]


def main() -> None:
    """Print the times as JSON; the command line names the file and the database."""
    file, url = sys.argv[1:]
    print(json.dumps(measure_postgres(Path(file), url)))


if __name__ == "__main__":
    main()

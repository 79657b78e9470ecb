"""Live imports with the official client, over every transport.

`import_live.js` contains the cases; each case is one test.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from . import program
from .support import CaseResults, find_cases, run_node

pytestmark = pytest.mark.interop

SCRIPT = "import_live.js"
ROWS = 2000
UNKNOWN_COLUMNS = "Location,Devices\n"
TRANSPORTS = ("websocket", "polling", "polling,websocket")


class ImportRun(NamedTuple):
    """The results of the cases, and the database, exit code and log of their server."""

    results: CaseResults
    database: Path
    exit_code: int
    log: str

    def query(self, statement: str) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(statement).fetchall()


def make_files(directory: Path) -> dict[str, str]:
    """Write the files to import and return their paths by name."""
    paths = {
        name: directory / f"{name}.csv"
        for name in ("sample", "another", "tiny", "header", "unknownColumns")
    }
    for name, rows, seed in (
        ("sample", ROWS, 1),
        ("another", ROWS, 2),
        ("tiny", 3, 3),
        ("header", 0, 4),
    ):
        arguments = ("--rows", str(rows), "--seed", str(seed), str(paths[name]))
        written = program.run("sample", *arguments, cwd=directory)
        assert written.returncode == 0, written.stderr
    paths["unknownColumns"].write_text(UNKNOWN_COLUMNS)
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> str:
    return json.dumps(make_files(tmp_path_factory.mktemp("files")))


@pytest.fixture(scope="module", params=TRANSPORTS)
def import_run(
    request: pytest.FixtureRequest, files: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ImportRun]:
    directory = tmp_path_factory.mktemp("import_run")
    tokens = {
        "user": program.token(directory, "7"),
        "other": program.token(directory, "8"),
        "admin": program.token(directory, "1", "admin"),
    }
    with program.run_server(directory) as server:
        lines = run_node(SCRIPT, server.url, request.param, files, json.dumps(tokens))
        exit_code, log = server.stop()
        yield ImportRun(CaseResults(lines), server.database, exit_code, log)


@pytest.mark.parametrize("case", find_cases(SCRIPT))
def test_case_passes_with_the_official_client(import_run: ImportRun, case: str) -> None:
    import_run.results.check(case)


def test_reported_counts_match_the_database(import_run: ImportRun) -> None:
    finished = import_run.results.data("an import over HTTP reports its progress and its end")
    (row,) = import_run.query(
        "SELECT status, total, processed, errors, result FROM import_jobs "
        f"WHERE import_id = {finished['importId']:d}"
    )
    *counts, result = row
    assert counts == ["completed", ROWS, ROWS, finished["errors"]]
    stored = json.loads(result)
    assert stored["summary"] == finished["summary"]
    assert finished["totalProcessed"] == finished["summary"]["rows"] == ROWS
    assert finished["errors"] == len(finished["errorDetails"]) == ROWS // 97 // 2


def test_number_of_findings_matches_the_reported_inserts(import_run: ImportRun) -> None:
    results = [
        json.loads(result)
        for (result,) in import_run.query(
            "SELECT result FROM import_jobs WHERE status = 'completed'"
        )
    ]
    assert len(results) >= 4
    inserted = sum(result["summary"]["inserted"] for result in results)
    (findings,) = import_run.query("SELECT count(*) FROM vulnerabilities_current")
    assert findings == (inserted,)
    assert inserted > ROWS


def test_statistics_count_the_findings_of_the_last_import(import_run: ImportRun) -> None:
    finished = import_run.results.data("an import over HTTP reports its progress and its end")
    statistics = import_run.results.data("the statistics ack contains the last import")
    assert statistics["lastImport"]["importId"] == finished["importId"]
    assert statistics["lastImport"]["rowCount"] == ROWS
    summary = finished["summary"]
    assert statistics["totals"]["findings"] >= summary["inserted"] + summary["updated"] > 0


def test_failed_imports_store_a_reason_and_no_findings(import_run: ImportRun) -> None:
    failed = import_run.query(
        "SELECT import_id, error_code FROM import_jobs WHERE status = 'failed' ORDER BY import_id"
    )
    assert [code for _, code in failed] == ["VALIDATION_ERROR"] * 2
    numbers = ", ".join(str(number) for number, _ in failed)
    query = f"SELECT count(*) FROM vulnerabilities_current WHERE import_id IN ({numbers})"
    assert import_run.query(query) == [(0,)]


def test_every_finding_has_the_values_of_its_dictionaries(import_run: ImportRun) -> None:
    query = (
        "SELECT count(*) FROM vulnerabilities_current "
        "WHERE unique_key IS NULL OR hostname IS NULL OR description IS NULL"
    )
    assert import_run.query(query) == [(0,)]


def test_server_logs_the_invalid_packet_and_exits_with_0(import_run: ImportRun) -> None:
    assert "sent an invalid packet" in import_run.log
    assert "Traceback" not in import_run.log
    assert import_run.exit_code == 0

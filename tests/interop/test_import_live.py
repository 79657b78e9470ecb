"""An import, watched live by the official client: what the server is for.

The cases are in `import_live.js`; each is a test here, over every transport.
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
from .support import Played, cases_of, run_node

pytestmark = pytest.mark.interop

SCRIPT = "import_live.js"
ROWS = 2000
FOREIGN = "Location,Devices\n"
TRANSPORTS = ("websocket", "polling", "polling,websocket")


class Site(NamedTuple):
    """What has happened on a server, and the database that it has left."""

    played: Played
    database: Path
    exit_code: int
    log: str

    def ask(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()


def make_files(directory: Path) -> dict[str, str]:
    """Write the files to import: their paths by name."""
    paths = {
        name: directory / f"{name}.csv"
        for name in ("sample", "another", "tiny", "header", "foreign")
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
    paths["foreign"].write_text(FOREIGN)
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> str:
    return json.dumps(make_files(tmp_path_factory.mktemp("files")))


@pytest.fixture(scope="module", params=TRANSPORTS)
def site(
    request: pytest.FixtureRequest, files: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    tokens = {
        "user": program.token(directory, "7"),
        "other": program.token(directory, "8"),
        "admin": program.token(directory, "1", "admin"),
    }
    with program.served(directory) as server:
        lines = run_node(SCRIPT, server.url, request.param, files, json.dumps(tokens))
        exit_code, log = server.stop()
        yield Site(Played(lines), server.database, exit_code, log)


@pytest.mark.parametrize("case", cases_of(SCRIPT))
def test_the_official_client_finds_that(site: Site, case: str) -> None:
    site.played.expect(case)


def test_the_counts_that_were_told_are_those_in_the_database(site: Site) -> None:
    told = site.played.data("an import over HTTP is watched from its start to its end")
    (row,) = site.ask(
        "SELECT status, total, processed, errors, result FROM import_jobs "
        f"WHERE import_id = {told['importId']:d}"
    )
    *counts, result = row
    assert counts == ["completed", ROWS, ROWS, told["errors"]]
    kept = json.loads(result)
    assert kept["summary"] == told["summary"]
    assert told["totalProcessed"] == told["summary"]["rows"] == ROWS
    assert told["errors"] == len(told["errorDetails"]) == ROWS // 97 // 2


def test_the_findings_are_those_that_the_imports_said_they_inserted(site: Site) -> None:
    results = [
        json.loads(result)
        for (result,) in site.ask("SELECT result FROM import_jobs WHERE status = 'completed'")
    ]
    assert len(results) >= 4
    inserted = sum(result["summary"]["inserted"] for result in results)
    (findings,) = site.ask("SELECT count(*) FROM vulnerabilities_current")
    assert findings == (inserted,)
    assert inserted > ROWS


def test_what_the_statistics_counted_are_the_open_findings(site: Site) -> None:
    told = site.played.data("an import over HTTP is watched from its start to its end")
    counted = site.played.data("the statistics come through an ack and know of the last import")
    assert counted["lastImport"]["importId"] == told["importId"]
    assert counted["lastImport"]["rowCount"] == ROWS
    summary = told["summary"]
    assert counted["totals"]["findings"] >= summary["inserted"] + summary["updated"] > 0


def test_the_failed_imports_left_their_reasons_and_no_findings(site: Site) -> None:
    failed = site.ask(
        "SELECT import_id, error_code FROM import_jobs WHERE status = 'failed' ORDER BY import_id"
    )
    assert [code for _, code in failed] == ["VALIDATION_ERROR"] * 2
    numbers = ", ".join(str(number) for number, _ in failed)
    query = f"SELECT count(*) FROM vulnerabilities_current WHERE import_id IN ({numbers})"
    assert site.ask(query) == [(0,)]


def test_nothing_is_left_in_staging(site: Site) -> None:
    assert site.ask("SELECT count(*) FROM vulnerability_staging") == [(0,)]


def test_the_server_logged_the_broken_packet_and_ended_well(site: Site) -> None:
    assert "sent an invalid packet" in site.log
    assert "Traceback" not in site.log
    assert site.exit_code == 0

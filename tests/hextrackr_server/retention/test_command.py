"""The command `retention`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hextrackr_server.__main__ import main
from tests.hextrackr_server.retention.test_retention import ROWS, days, imports
from tests.hextrackr_server.support import Workbench


def test_command_lists_the_rows_of_the_next_run(
    workbench: Workbench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    today = datetime.now(UTC)
    for age in (40, 30, 1):
        workbench.import_rows(ROWS, scan_date=f"{today - timedelta(days=age):%Y-%m-%d}")
    monkeypatch.setenv("HEXTRACKR_SNAPSHOTS_KEPT_DAYS", "20")
    monkeypatch.setenv("HEXTRACKR_HISTORY_KEPT_DAYS", "35")
    monkeypatch.setenv("HEXTRACKR_IMPORTS_KEPT", "1")
    former = days(workbench), imports(workbench)
    assert main(["retention", "--database", str(workbench.directory / "test.db")]) == 0
    output = capsys.readouterr().out
    first, second = (f"{today - timedelta(days=age):%Y-%m-%d}" for age in (40, 30))
    assert f"snapshots         10   ({first} to {second})" in output
    assert f"totals             2   ({first})" in output
    assert re.search(r"imports +1 +\(1\)", output)
    assert (days(workbench), imports(workbench)) == former


def test_command_refuses_a_missing_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["retention", "--database", str(tmp_path / "x.db")]) == 1
    assert "there is no database of this version" in capsys.readouterr().err

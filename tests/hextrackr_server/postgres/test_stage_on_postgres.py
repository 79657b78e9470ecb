"""The stage of an import in temporary tables of PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from hextrackr_server.imports.merge import store_dictionaries
from hextrackr_server.storage.stage_file import create_stage
from tests.hextrackr_server.support import Workbench

NAMES = ["", "C:\\temp", "\\N", "a\tb", "a\r\nb", "%s 100%", "[x]", "é\u2028", "a\\\n"]


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """Return a stage file with groups of these names."""
    path = tmp_path / "export.csv.staged"
    connection = create_stage(path)
    connection.executemany(
        "INSERT INTO staged_groups (number, name) VALUES (?, ?)", enumerate(NAMES)
    )
    connection.execute("COMMIT")
    connection.close()
    return path


def test_texts_of_a_stage_are_copied_unchanged(workbench: Workbench, stage: Path) -> None:
    query = text("SELECT name FROM staged_groups ORDER BY number")
    with workbench.database.merging(stage) as connection:
        assert list(connection.scalars(query)) == NAMES


def test_merge_plans_each_batch_for_its_values(workbench: Workbench, stage: Path) -> None:
    query = text("SHOW plan_cache_mode")
    with workbench.database.merging(stage) as connection:
        assert connection.scalar(query) == "force_custom_plan"
    with workbench.database.reading() as connection:
        assert connection.scalar(query) == "auto"


def test_entries_are_analyzed_after_their_ids_are_set(workbench: Workbench, stage: Path) -> None:
    query = text(
        "SELECT null_frac FROM pg_stats WHERE tablename = 'staged_groups' AND attname = 'id'"
    )
    with workbench.database.merging(stage) as connection:
        store_dictionaries(connection)
        assert connection.scalar(query) == 0

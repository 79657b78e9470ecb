"""Restores that are killed after any statement leave the former data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from hextrackr_server.backup.archive import write_backup
from hextrackr_server.backup.preparing import PREPARED, prepare
from hextrackr_server.storage.metadata import metadata
from tests.hextrackr_server.backup.killed_restore import as_target
from tests.hextrackr_server.backup.support import contents_of
from tests.hextrackr_server.support import Workbench, finding_row


def test_killed_restore_leaves_the_former_data(target: str, tmp_path: Path) -> None:
    bench = Workbench(tmp_path, target if "://" in target else None)
    bench.import_rows([finding_row(host=f"h-{number}") for number in range(50)])
    path, _ = write_backup(as_target(target), tmp_path / "b.zip")
    bench.import_rows([finding_row(host=f"new-{number}") for number in range(50)])
    bench.database.close()
    work = tmp_path / "work"
    work.mkdir()
    prepare(path, work)
    command = [sys.executable, "-m", "tests.hextrackr_server.backup.killed_restore"]
    # Processes that use PostgreSQL take longer.
    step = 9 if "://" in target else 1
    done = subprocess.run(
        [*command, target, str(work / PREPARED), str(step)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    *killed, last = map(json.loads, done.stdout.splitlines())
    assert last == {"code": 0, "killed_at": "", "unchanged": False}, done.stderr
    assert all(each["code"] == -signal.SIGKILL for each in killed)
    assert [each["killed_at"] for each in killed if not each["unchanged"]] == []
    names = [each["killed_at"] for each in killed]
    assert names[-1] == "COMMIT"
    deletions = sum(name.startswith("DELETE FROM") for name in names)
    assert deletions >= len(metadata.tables) // step
    assert contents_of(as_target(target)) == contents_of(work / PREPARED)

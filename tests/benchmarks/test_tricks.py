"""The entries of `tricks.toml` match the code: every edit applies, and every path exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.experiments import EXPERIMENTS
from benchmarks.hop_budget import PATHS
from benchmarks.tricks import SERVER, Edit, Trick, apply_edit, copied, read_tricks

TRICKS = read_tricks()


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.name)
def test_edits_of_a_trick_apply_and_compile(trick: Trick) -> None:
    assert trick.edits or trick.env
    with copied(trick.edits) as folder:
        for edit in trick.edits:
            path = folder / edit.file
            compile(path.read_text(encoding="utf-8"), str(path), "exec")


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.name)
def test_paths_of_a_trick_exist(trick: Trick) -> None:
    known = set(PATHS) | {SERVER + experiment.name for experiment in EXPERIMENTS}
    assert set(trick.paths) <= known


def test_edit_is_refused_when_its_text_is_missing(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("a = 1\n")
    with pytest.raises(ValueError, match="exactly once, found 0 times"):
        apply_edit(tmp_path, Edit("module.py", "a = 2", "a = 3"))

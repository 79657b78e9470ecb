"""ARCHITECTURE.md agrees with the code where a program can compare them."""

from __future__ import annotations

import re
import runpy
from itertools import pairwise
from pathlib import Path

import pytest

from tests.test_layers import ENTRIES, MODULES

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
PACKAGES = ("engineio_core", "socketio_core", "hextrackr_server")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table in a section, without its head."""
    section = DOCUMENT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_state_diagrams_agree_with_the_tables() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "state_diagrams.py"))
    assert script["render"](DOCUMENT) == DOCUMENT, "run: make diagrams"


def test_layers_are_in_the_order_of_the_layer_test() -> None:
    listed = [re.findall(r"`([\w/]+)`", cells[0]) for cells in rows("Layers")]
    assert all(name in ENTRIES for names in listed for name in names), listed
    layers = [[ENTRIES[name] for name in names] for names in listed]
    for lower, upper in pairwise(layers):
        assert max(lower) <= min(upper)


def test_layers_contain_every_folder() -> None:
    listed = {name for cells in rows("Layers") for name in re.findall(r"`([\w/]+)`", cells[0])}
    folders = {module.rpartition("/")[0] for module in MODULES} - set(PACKAGES)
    assert folders <= listed


@pytest.mark.parametrize(
    ("question", "folder", "file"),
    [tuple(cells) for cells in rows("Find a place in the code")],
)
def test_question_leads_to_a_file(question: str, folder: str, file: str) -> None:
    assert question.startswith("Where ")
    path = ROOT / folder.strip("`")
    assert path.is_dir()
    for name in re.findall(r"`([\w.]+)`", file):
        assert (path / name).is_file()


def test_code_paths_exist() -> None:
    for path in re.findall(
        r"`((?:engineio_core|socketio_core|hextrackr_server)/[\w/.]+)`", DOCUMENT
    ):
        assert (ROOT / path).exists() or (ROOT / f"{path}.py").exists(), path


def test_classes_of_the_event_flow_exist() -> None:
    flow = DOCUMENT.partition("## Event flow\n")[2].partition("```\n\n")[0]
    names = set(re.findall(r"\b[A-Z]\w+[a-z][A-Z]\w+|\bDispatch\b|\bExchange\b|\bSocket\b", flow))
    assert len(names) > 5
    source = "\n".join(path.read_text("utf-8") for path in MODULES.values())
    for name in names:
        assert f"class {name}" in source, name

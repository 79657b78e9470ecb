"""AsyncAPI documents with the JSON Schema of the AsyncAPI initiative."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.cli.types import hub_asyncapi
from tests.socketio_core.schema.documented import documented_server
from tests.typing import typed_example

from .support import HERE

pytestmark = pytest.mark.node


def problems_of(folder: Path, *documents: dict[str, Any]) -> list[str]:
    """Return the problems of documents, or "valid" for each."""
    files = []
    for number, document in enumerate(documents):
        files.append(folder / f"{number}.json")
        files[-1].write_text(json.dumps(document))
    node = shutil.which("node")
    assert node is not None, "Node is missing: run scripts/check-node"
    assert (HERE / "node_modules" / "ajv").is_dir(), "npm packages are missing: run `make setup`"
    command = [node, HERE / "asyncapi.js", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


def test_documents_are_valid(tmp_path: Path) -> None:
    example = typed_example.io.asyncapi("Board", "2.1.0", url="https://board.example/socket.io")
    documents = (example, documented_server().asyncapi(), hub_asyncapi())
    assert problems_of(tmp_path, *documents) == ["valid"] * 3


def test_invalid_documents_are_found(tmp_path: Path) -> None:
    document = typed_example.io.asyncapi()
    (operation, *_) = document["operations"].values()
    operation["action"] = "emit"
    lost = typed_example.io.asyncapi()
    lost["components"]["schemas"].clear()
    problems = problems_of(tmp_path, document, lost)
    assert any("must be equal to one of the allowed values" in each for each in problems)
    assert any(each.endswith("/MoveTask leads nowhere") for each in problems)
    assert "valid" not in problems

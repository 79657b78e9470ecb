"""Tests of the processes that the hub starts for its own modules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hextrackr_server.child_process import start_module


def test_process_receives_no_settings_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shown_environment.py").write_text(
        "import json, os\nprint(json.dumps(dict(os.environ)))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("JWT_SECRET", "secret")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@127.0.0.1/hub")
    monkeypatch.setenv("TZ", "UTC")
    with start_module("shown_environment") as process:
        output, _ = process.communicate()
    environment = json.loads(output)
    assert "secret" not in output.decode()
    assert environment["TZ"] == "UTC"
    assert str(tmp_path) in environment["PYTHONPATH"]

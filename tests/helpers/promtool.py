"""Runs promtool, Prometheus' checker of metrics and rules."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_promtool(*arguments: str, text: str = "") -> str:
    """Run promtool with `text` as its input; return its output if it finds a problem, else ""."""
    program = shutil.which("promtool") or shutil.which("promtool", path=ROOT / "build" / "tools")
    if program is None:
        raise FileNotFoundError("promtool is not installed: run scripts/check-promtool")
    done = subprocess.run(
        [program, *arguments], input=text, capture_output=True, text=True, check=False, timeout=300
    )
    return done.stdout + done.stderr if done.returncode else ""

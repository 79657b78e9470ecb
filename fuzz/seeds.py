"""Seeds from the files of the repository: the vectors, and the samples of the tests."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
VECTORS = ROOT / "spec-vectors"
SAMPLES = ROOT / "tests" / "hextrackr_server" / "imports" / "formats"


def cases(name: str) -> list[dict[str, Any]]:
    """Return the cases of a file of vectors."""
    found: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text())["cases"]
    return found


def to_bytes(wire: Any) -> bytes:
    """Return the bytes of a text, or of an object with base64."""
    if isinstance(wire, dict):
        return base64.b64decode(wire["$base64"])
    return str(wire).encode("utf-8", "surrogatepass")


def wires(name: str) -> list[bytes]:
    """Return the single wires of a file of vectors."""
    return [to_bytes(case["wire"]) for case in cases(name) if isinstance(case["wire"], str | dict)]


def samples(*patterns: str, longest: int = 1 << 20) -> list[bytes]:
    """Return the contents of the sample exports: the first `longest` bytes, in whole lines."""
    paths = sorted(path for pattern in patterns for path in SAMPLES.glob(pattern))
    contents = [path.read_bytes() for path in paths]
    return [
        each if len(each) <= longest else each[: each.rindex(b"\n", 0, longest) + 1]
        for each in contents
    ]

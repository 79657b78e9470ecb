"""The description of a fuzz target, and the list of all targets."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

JSON_BORDERS = b'{}[],:"'
FOLDER = Path(__file__).parent / "targets"


class Target(NamedTuple):
    """One parser with its invariants."""

    subject: str
    """The parser and its reference, for the table in docs/fuzzing.md."""
    seeds: Callable[[], Sequence[bytes]]
    """Returns the first inputs, most of them valid."""
    run: Callable[[bytes], object]
    """Parses an input; raises for an undocumented exception or a violated invariant."""
    tokens: Sequence[bytes] = ()
    """Parts of inputs that mutations insert."""
    longest: int = 1024
    """The size of the longest generated input in bytes."""
    borders: bytes = b""
    """Bytes between the parts of an input, such as commas; with borders, half of the mutations
    change whole parts, so that more inputs reach the code behind the parser."""


def names() -> list[str]:
    """Return the names of all targets."""
    return sorted(each.name for each in pkgutil.iter_modules([str(FOLDER)]))


def load(name: str) -> Target:
    """Import a target. Raises ModuleNotFoundError for an unknown name."""
    target: Target = importlib.import_module(f"fuzz.targets.{name}").TARGET
    return target


def write_failure(folder: Path, data: bytes) -> None:
    """Write the input of a failure, and print where."""
    path = folder / f"exception-{sha256(data).hexdigest()[:16]}"
    path.write_bytes(data)
    print(f"INPUT: {path}", file=sys.stderr)

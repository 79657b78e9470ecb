"""The build of the installed packages: pure Python, or with the modules that mypyc has compiled.

scripts/compiled/modules.txt lists these modules.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from engineio_core.codec import packet

#: A file of a wheel that could not be compiled: one line with the reason.
REASON_FILE: Final = Path(__file__).with_name("pure_build.txt")


def build_name() -> Literal["compiled", "pure"]:
    """Return "compiled" if the packages contain compiled modules, else "pure"."""
    return "pure" if str(packet.__file__).endswith(".py") else "compiled"


def describe_build() -> str:
    """Return the name of the build, and for a pure wheel the reason why it is not compiled."""
    try:
        reason = REASON_FILE.read_text("utf-8").strip()
    except OSError:
        reason = ""
    return f"{build_name()} build" + (f": {reason}" if reason else "")

"""The build of the installed packages: pure Python, or with the modules that mypyc has compiled.

scripts/compiled/modules.txt lists these modules.
"""

from __future__ import annotations

from typing import Literal

from engineio_core.codec import packet


def build_name() -> Literal["compiled", "pure"]:
    """Return "compiled" if the packages contain compiled modules, else "pure"."""
    return "pure" if str(packet.__file__).endswith(".py") else "compiled"

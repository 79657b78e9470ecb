"""Print a pip constraints file with the lower bound of every dependency in pyproject.toml.

The file pins `name==X` for each requirement `name>=X` of the distribution and its extras. A
requirement without a lower bound is an error: no version could then be tested as the oldest.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,.-]+\])?\s*>=\s*(?P<version>[\w.]+)")


def lower_bounds(project: dict[str, Any]) -> dict[str, str]:
    """Return the oldest allowed version of each dependency, by name.

    Raises:
        ValueError: a requirement is not of the form `name>=version`.
    """
    extras = project.get("optional-dependencies", {}).values()
    bounds = {}
    for requirement in (*project["dependencies"], *(each for extra in extras for each in extra)):
        match = _REQUIREMENT.fullmatch(requirement.partition(";")[0].partition(",")[0].strip())
        if match is None:
            raise ValueError(
                f"a requirement must be of the form name>=version, got {requirement!r}"
            )
        bounds[match["name"]] = match["version"]
    return bounds


def main() -> int:
    """Run the command: print one constraint per dependency."""
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    for name, version in lower_bounds(project).items():
        print(f"{name}=={version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

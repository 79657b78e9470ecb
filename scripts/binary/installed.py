"""Check that this interpreter has the requirements of hextrackr-server with the given extras.

Print a line per missing or outdated package, and exit with code 1.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version

#: `name[extra]<limit,>=version; extra == "hub"`, as in the metadata of the wheel.
REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(?:\[[^]]*\])?[^;>]*>=\s*(?P<bound>[\w.]+)"
    r"""(?:.*extra == ['"](?P<extra>\w+))?"""
)


def problem(name: str, bound: str) -> str | None:
    """Return why a package does not satisfy its lower bound, or None."""
    try:
        found = version(name)
    except PackageNotFoundError:
        return f"{name} is missing"
    numbers = [[int(part) for part in re.findall(r"\d+", text)] for text in (found, bound)]
    return None if numbers[0] >= numbers[1] else f"{name} must be {bound} or newer, got {found}"


def main(extras: set[str]) -> int:
    """Print the problems, and return the exit code."""
    problems = []
    for text in requires("hextrackr-server") or []:
        match = REQUIREMENT.match(text)
        if match is None:
            problems.append(f"a requirement must be of the form name>=version, got {text!r}")
        elif match["extra"] is None or match["extra"] in extras:
            problems.append(problem(match["name"], match["bound"]))
    for line in filter(None, problems):
        print(line, file=sys.stderr)
    return int(any(problems))


if __name__ == "__main__":
    sys.exit(main(set(sys.argv[1:])))

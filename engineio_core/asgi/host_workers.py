"""The number of workers that the command of an ASGI host starts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

#: The commands of ASGI hosts, and the variables from which they read the number of workers.
_VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "uvicorn": ("UVICORN_WORKERS", "WEB_CONCURRENCY"),
    "fastapi": ("WEB_CONCURRENCY",),
    "gunicorn": ("WEB_CONCURRENCY",),
    "granian": ("GRANIAN_WORKERS",),
    "hypercorn": (),
}
_OPTION: Final = re.compile(r"\0(?:--workers[=\0]|-w[=\0]?)(\d+)(?=\0)")


def count_host_workers(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Return the number of workers of the host whose command this process runs, 1 if unknown.

    `arguments` are those of the command (`sys.argv`), which the workers of the hosts inherit.
    """
    program = Path(arguments[0]) if arguments else Path()
    host = program.parent.name if program.name == "__main__.py" else program.stem
    if host not in _VARIABLES:
        return 1
    if found := _OPTION.findall("\0".join(["", *arguments[1:], ""])):
        return int(found[-1])
    for name in _VARIABLES[host]:
        if (value := environment.get(name, "")).isdecimal():
            return int(value)
    return 1

"""The number of workers that an ASGI host starts, from its command or its process."""

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

#: The name of the worker processes of granian; their first argument is a number from 1.
_GRANIAN: Final = "granian-worker"


def count_host_workers(
    arguments: Sequence[str], environment: Mapping[str, str], process: object
) -> int:
    """Return the least number of workers of the host that runs this process, 1 if unknown.

    `arguments` are those of the command (`sys.argv`), which the workers of the hosts inherit.
    `process` is that of multiprocessing: in a worker that a program or a configuration file of the
    host starts, its arguments contain the configuration or the number of the worker.
    """
    # These attributes are private or undocumented: an unknown form counts as 1.
    config = getattr(process, "_kwargs", {}).get("config")  # of uvicorn and hypercorn
    workers = getattr(config, "workers", None)
    if isinstance(workers, int):
        # uvicorn ignores `workers` with `reload`.
        return 1 if getattr(config, "reload", False) else workers
    count = _count_in_command(arguments, environment)
    if getattr(process, "name", "") == _GRANIAN:
        number = next(iter(getattr(process, "_args", ())), 1)
        return max(count, number) if isinstance(number, int) else count
    return count


def _count_in_command(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    program = Path(arguments[0]) if arguments else Path()
    host = program.parent.name if program.name == "__main__.py" else program.stem
    if host not in _VARIABLES:
        return 1
    before = environment.get("GUNICORN_CMD_ARGS", "").split() if host == "gunicorn" else []
    if found := _OPTION.findall("\0".join(["", *before, *arguments[1:], ""])):
        return int(found[-1])
    for name in _VARIABLES[host]:
        if (value := environment.get(name, "")).isdecimal():
            return int(value)
    return 1

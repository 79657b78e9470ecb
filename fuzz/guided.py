"""The process of one target with atheris: mutates inputs guided by the coverage of our packages.

`python -m fuzz` starts one such process per target with the folder of failing inputs and the
arguments of libFuzzer.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import Any

import atheris

from fuzz.mutation import PartMutator
from fuzz.slow_inputs import SlowInputs

PACKAGES = ["engineio_core", "hextrackr_server", "socketio_core"]


def main(name: str, failures: Path, arguments: list[str]) -> None:
    """Run a target until libFuzzer ends the process."""
    with atheris.instrument_imports(include=PACKAGES):
        from fuzz.target import load, write_failure  # noqa: PLC0415 - its imports are instrumented

        target = load(name)

    slow = SlowInputs()

    def run(data: bytes) -> None:
        slow.begin()
        try:
            target.run(data)
        except BaseException:
            # libFuzzer writes inputs that end the process, but not those that raise.
            write_failure(failures, data)
            raise

    options: dict[str, Any] = {}
    if target.borders:
        parts = PartMutator(target.borders, target.tokens)

        def mutate(data: bytes, size: int, seed: int) -> bytes:
            if seed & 1 or not data:
                changed: bytes = atheris.Mutate(data, size)
                return changed
            changed = parts.change(
                data, Random(seed), lambda part: atheris.Mutate(part, len(part) + 8)
            )
            return changed[:size]

        options["custom_mutator"] = mutate
    atheris.Setup([name, *arguments], run, **options)
    with slow:
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])

"""Print the fastest of several Pythons: `python3 benchmarks/fastest_python.py PYTHON...`.

Node is always an optimized build. A Python is either optimized (Debian, the images of python.org)
or a plain build (the default of pyenv), which is about 20 % slower. The benchmark compares servers
at their best, so it runs the Python servers on the fastest interpreter. The script prefers the
first argument unless another Python is at least 7 % faster.
"""

from __future__ import annotations

import subprocess
import sys

#: A Python replaces the first one if it needs at most this share of its time.
CLEARLY_FASTER = 0.93
ROUNDS = 5
TIMED_CODE = """
import sys, timeit
if sys.version_info < (3, 11): sys.exit(1)
work = '''
class Packet:
    __slots__ = ("kind", "data")
    def __init__(self, kind, data): self.kind, self.data = kind, data
    def look_up(self, table): return table.get(self.data[0])
def run(table={"a": 1}):
    for number in range(20000): Packet(number, ["a", number][:1]).look_up(table)
'''
print(min(timeit.repeat("run()", work, number=1, repeat=15)))
"""


def measure_python(python: str) -> float:
    """Return the seconds that a Python needs for server-like work; infinity if it cannot run it."""
    try:
        done = subprocess.run(
            [python, "-c", TIMED_CODE], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return float("inf")
    return float(done.stdout)


def fastest(pythons: list[str]) -> str:
    """Return the fastest Python, or the first one if no other is clearly faster."""
    # The Pythons take turns, because another program may disturb a single measurement.
    rounds = [[measure_python(python) for python in pythons] for _ in range(ROUNDS)]
    seconds = [min(column) for column in zip(*rounds, strict=True)]
    best = min(seconds)
    return pythons[0 if best > seconds[0] * CLEARLY_FASTER else seconds.index(best)]


if __name__ == "__main__":
    print(fastest(sys.argv[1:]))

"""Print which of some Pythons is the quickest: `python3 benchmarks/quickest_python.py PYTHON...`

Node comes as an optimized build; a Python may come as one (Debian's, python.org's images) or as a
plain one (pyenv's, unless asked otherwise), which is a fifth slower. Servers are compared at their
best, so the benchmark runs its Python servers on the quickest there is. The first that is named is
taken unless another is clearly quicker.
"""

from __future__ import annotations

import subprocess
import sys

CLEARLY = 0.93
ROUNDS = 5
TIME = """
import sys, timeit
if sys.version_info < (3, 11): sys.exit(1)
work = '''
class Packet:
    __slots__ = ("kind", "data")
    def __init__(self, kind, data): self.kind, self.data = kind, data
    def take(self, table): return table.get(self.data[0])
def run(table={"a": 1}):
    for number in range(20000): Packet(number, ["a", number][:1]).take(table)
'''
print(min(timeit.repeat("run()", work, number=1, repeat=15)))
"""


def time_of(python: str) -> float:
    """Return the seconds that a Python takes for what a server does; infinity if it is no good."""
    try:
        done = subprocess.run([python, "-c", TIME], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return float("inf")
    return float(done.stdout)


def quickest(pythons: list[str]) -> str:
    """Return the quickest of them, the first one if none is clearly quicker."""
    # In turns, since something else may keep the machine busy while one of them has its turn.
    rounds = [[time_of(python) for python in pythons] for _ in range(ROUNDS)]
    seconds = [min(column) for column in zip(*rounds, strict=True)]
    best = min(seconds)
    return pythons[0 if best > seconds[0] * CLEARLY else seconds.index(best)]


if __name__ == "__main__":
    print(quickest(sys.argv[1:]))

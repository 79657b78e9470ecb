"""The table of executions in docs/fuzzing.md: the sum of all recorded runs, and the last day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

from fuzz.target import load, names

PAGE = Path(__file__).parent.parent / "docs" / "fuzzing.md"
BEGIN, END = "<!-- fuzz:begin -->", "<!-- fuzz:end -->"
_ROW = re.compile(r"\| `(\w+)` \|.*\| ([0-9,]+) \| ([0-9-]*) \|")


class Entry(NamedTuple):
    """The executions of all recorded runs of a target, and the day of the last one."""

    executions: int
    day: str


_NOTHING = Entry(0, "-")


def read_record() -> dict[str, Entry]:
    """Return the entries of the table by target."""
    rows = _ROW.findall(PAGE.read_text())
    return {name: Entry(int(count.replace(",", "")), day) for name, count, day in rows}


def make_table(entries: Mapping[str, Entry]) -> str:
    """Return the table of all targets."""
    lines = ["| target | parser and reference | executions | last run |", "|---|---|---|---|"]
    for name in names():
        executions, day = entries.get(name, _NOTHING)
        lines.append(f"| `{name}` | {load(name).subject} | {executions:,} | {day} |")
    return "\n".join(lines)


def write_record(executions: Mapping[str, int], today: date) -> None:
    """Add executions to those of the table."""
    total = read_record()
    for name, count in executions.items():
        if count:
            total[name] = Entry(total.get(name, _NOTHING).executions + count, today.isoformat())
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{make_table(total)}\n{END}{after}")

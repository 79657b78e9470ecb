"""The table of executions in docs/fuzzing.md: the sums of all recorded runs, and the last day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

from fuzz.target import load, names

PAGE = Path(__file__).parent.parent / "docs" / "fuzzing.md"
BEGIN, END = "<!-- fuzz:begin -->", "<!-- fuzz:end -->"
_ROW = re.compile(r"\| `(\w+)` \|.*\| ([0-9,]+) \| ([0-9,]+) \| ([0-9-]*) \|")


class Entry(NamedTuple):
    """The executions of all recorded runs of a target, and the day of the last one."""

    guided: int
    """Executions that coverage guided."""
    plain: int
    """Executions of mutations of the corpus without coverage."""
    day: str


_NOTHING = Entry(0, 0, "-")


def read_record() -> dict[str, Entry]:
    """Return the entries of the table by target."""
    rows = _ROW.findall(PAGE.read_text())
    return {
        name: Entry(int(guided.replace(",", "")), int(plain.replace(",", "")), day)
        for name, guided, plain, day in rows
    }


def make_table(entries: Mapping[str, Entry]) -> str:
    """Return the table of all targets."""
    lines = [
        "| target | parser and reference | guided by coverage | without | last run |",
        "|---|---|---|---|---|",
    ]
    for name in names():
        guided, plain, day = entries.get(name, _NOTHING)
        lines.append(f"| `{name}` | {load(name).subject} | {guided:,} | {plain:,} | {day} |")
    return "\n".join(lines)


def write_record(executions: Mapping[str, int], today: date, *, is_guided: bool) -> None:
    """Add executions to those of the table."""
    total = read_record()
    for name, count in executions.items():
        if count:
            guided, plain, _ = total.get(name, _NOTHING)
            total[name] = (
                Entry(guided + count, plain, today.isoformat())
                if is_guided
                else Entry(guided, plain + count, today.isoformat())
            )
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{make_table(total)}\n{END}{after}")

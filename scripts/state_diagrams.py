"""Print the state tables as Mermaid diagrams, between their markers in ARCHITECTURE.md."""

import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from engineio_core.session_state import SESSION_TRANSITIONS, UPGRADE_TRANSITIONS

DOCUMENT = Path(__file__).parent.parent / "ARCHITECTURE.md"
BEGIN, END = "<!-- states:begin -->\n", "<!-- states:end -->"


def diagram(title: str, table: Mapping[Any, Mapping[Any, Any]]) -> str:
    lines = [f"*{title}*", "", "```mermaid", "stateDiagram-v2"]
    first: Enum = next(iter(table))
    lines.append(f"    [*] --> {first.name}")
    for state, row in table.items():
        lines += [f"    {state.name} --> {to.name}: {event.value}" for event, to in row.items()]
        if not row:
            lines.append(f"    {state.name} --> [*]")
    return "\n".join([*lines, "```", ""])


def render(document: str) -> str:
    """Return the document with its diagrams as the tables are now."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    diagrams = "\n".join(
        (diagram("A session", SESSION_TRANSITIONS), diagram("Its upgrade", UPGRADE_TRANSITIONS))
    )
    return f"{before}{BEGIN}{diagrams}{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(render(DOCUMENT.read_text()))
    sys.stdout.write(f"wrote {DOCUMENT.name}\n")

"""Print the state tables as Mermaid diagrams, between their markers in ARCHITECTURE.md."""

import sys
from collections.abc import Mapping
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

DOCUMENT = Path(__file__).parent.parent / "ARCHITECTURE.md"
BEGIN, END = "<!-- states:begin -->\n", "<!-- states:end -->"


class Listed(NamedTuple):
    """One state table to print: its title, and the module and the name that hold it."""

    title: str
    module: str
    table: str


# To print another table, add a row.
LISTED = (
    Listed("Server", "engineio_core.lifecycle", "SERVER_TRANSITIONS"),
    Listed("Session", "engineio_core.session_state", "SESSION_TRANSITIONS"),
    Listed("Upgrade", "engineio_core.session_state", "UPGRADE_TRANSITIONS"),
    Listed("HTTP connection", "engineio_core.http.states", "CONNECTION_TRANSITIONS"),
    Listed("HTTP exchange", "engineio_core.http.states", "EXCHANGE_TRANSITIONS"),
    Listed(
        "WebSocket of a mounted application", "engineio_core.http.states", "MOUNTED_TRANSITIONS"
    ),
    Listed("FrameReader", "engineio_core.codec.frame_reader", "READER_TRANSITIONS"),
    Listed("Socket", "socketio_core.socket_state", "SOCKET_TRANSITIONS"),
    Listed("Session of a client", "engineio_core.client.states", "CLIENT_TRANSITIONS"),
    Listed("Upgrade of a client", "engineio_core.client.states", "PROBE_TRANSITIONS"),
    Listed("Connection of a client", "socketio_core.client.states", "CONNECTION_TRANSITIONS"),
    Listed("Socket of a client", "socketio_core.client.states", "CLIENT_SOCKET_TRANSITIONS"),
)


def load(listed: Listed) -> Mapping[Any, Mapping[Any, Any]]:
    """Return the state table that a row names."""
    table: Mapping[Any, Mapping[Any, Any]] = getattr(import_module(listed.module), listed.table)
    return table


def diagram(title: str, table: Mapping[Any, Mapping[Any, Any]]) -> str:
    """Return the Mermaid diagram of a table; the first row is the initial state."""
    lines = [f"*{title}*", "", "```mermaid", "stateDiagram-v2"]
    first: Enum = next(iter(table))
    lines.append(f"    [*] --> {first.name}")
    for state, row in table.items():
        lines += [f"    {state.name} --> {to.name}: {event.value}" for event, to in row.items()]
        if not row:
            lines.append(f"    {state.name} --> [*]")
    return "\n".join([*lines, "```", ""])


def render(document: str) -> str:
    """Return the document with the diagrams of the current tables."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    diagrams = "\n".join(diagram(listed.title, load(listed)) for listed in LISTED)
    return f"{before}{BEGIN}{diagrams}{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(render(DOCUMENT.read_text()))
    sys.stdout.write(f"wrote {DOCUMENT.name}\n")

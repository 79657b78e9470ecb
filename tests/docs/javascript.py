"""Runs JavaScript blocks of the documentation in Node, with the official client."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.docs.blocks import ROOT, CodeBlock, blocks_of
from tests.interop.support import find_node

PACKAGES = ROOT / "tests" / "interop" / "node_modules"
LIMIT = 300.0
#: `report` prints values as a line of JSON; `end` ends the process, also with open connections.
PRELUDE = """\
import { io } from "socket.io-client";
const report = (...values) => process.stdout.write(JSON.stringify(values) + "\\n");
const end = (...values) => { if (values.length) report(...values); process.exit(0); };
setTimeout(() => { throw new Error("the block did not end"); }, %d).unref();
"""


def block_of(document: str, index: int) -> CodeBlock:
    """Return one of the JavaScript blocks of a page in docs/."""
    found = [each for each in blocks_of(ROOT / "docs" / document) if each.language == "js"]
    return found[index]


def run_block(
    folder: Path, code: str, before: str = "", after: str = "", packages: Path = PACKAGES
) -> list[Any]:
    """Run code between other statements; return the values that it reports, one per line.

    An import of `io` in the code replaces that of the prelude.
    """
    find_node()
    (folder / "node_modules").unlink(missing_ok=True)
    (folder / "node_modules").symlink_to(packages)
    prelude = PRELUDE % (LIMIT * 1000)
    if 'import { io } from "socket.io-client";' in code:
        prelude = prelude.partition("\n")[2]
    script = folder / "block.mjs"
    script.write_text(f"{prelude}{before}\n{code}\n{after}\n")
    done = subprocess.run(
        [find_node(), script], cwd=folder, capture_output=True, text=True, check=False,
        timeout=LIMIT + 30,
    )  # fmt: skip
    assert done.returncode == 0, f"{script.read_text()}\n{done.stdout}\n{done.stderr}"
    return [_value(line) for line in done.stdout.splitlines()]


def _value(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return line

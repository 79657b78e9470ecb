"""The command `import`: upload a file, show the progress, print the result."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from hextrackr_server.cli.api_client import ApiClient
from hextrackr_server.cli.arguments import DEFAULT_URL, Commands, require_token
from hextrackr_server.telemetry.log_setup import escape

SHOWN_ROWS = 10
_BAR_CELLS = 30


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("import", help="import a CSV file and show the progress")
    parser.add_argument("file", type=Path, metavar="FILE.csv")
    parser.add_argument("--url", help=f"the server (HEXTRACKR_URL; default: {DEFAULT_URL})")
    parser.add_argument("--token", help="a token (HEXTRACKR_TOKEN)")
    parser.add_argument(
        "--scope",
        help="resolve stored findings that the file does not contain: those of its vendors "
        "(vendor, the default), of its hosts (hosts), all (full), or none (none)",
    )
    parser.add_argument("--vendor", help="the vendor of findings that do not name one")
    parser.add_argument(
        "--scan-date",
        help="the date of the scan, such as 2025-09-30 (default: the date in the file name, or "
        "today)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Import a file; return the exit code."""
    token = require_token(options)
    url = options.url or os.environ.get("HEXTRACKR_URL") or DEFAULT_URL
    values = {"scope": options.scope, "vendor": options.vendor, "scanDate": options.scan_date}
    set_values = {name: value for name, value in values.items() if value is not None}
    return import_file(options.file, url, token, set_values)


class Progress:
    """Progress display: a bar on a terminal, one line per phase elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._phase = ""

    def show(self, percent: int, phase: str, message: str) -> None:
        """Draw the current state."""
        if self._is_terminal:
            full = _BAR_CELLS * percent // 100
            bar = "#" * full + "-" * (_BAR_CELLS - full)
            line = f"[{bar}] {percent:3d}%  {escape(phase, 20)}: {escape(message, 60)}"
            self._stream.write(f"\r\x1b[K{line}")
        elif phase != self._phase:
            self._stream.write(f"{escape(phase, 20)}: {escape(message, 200)}\n")
        self._phase = phase
        self._stream.flush()

    def end(self) -> None:
        """Clear the bar, so that the next output starts on an empty line."""
        if self._is_terminal and self._phase:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def import_file(path: Path, url: str, token: str, options: Mapping[str, str]) -> int:
    """Import a file and print the result; return 0 if the import completed, else 1."""
    progress = Progress()
    try:
        client = ApiClient(url, token)
        import_id = client.upload(path, progress.show, options)
        status = client.follow(import_id, progress.show)
    finally:
        progress.end()
    lines = list(report(status))
    completed = status["status"] == "completed"
    print("\n".join(lines), file=sys.stdout if completed else sys.stderr)
    return 0 if completed else 1


def report(status: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that describe the result of an import."""
    result = status.get("result") or {}
    if status["status"] != "completed":
        reason = result.get("message") or status["message"]
        yield f"Import {status['importId']} {status['status']}: {escape(str(reason))}"
        for problem in result.get("fields", []):
            yield f"  {escape(problem['path'])}: {escape(problem['message'])}"
        return
    yield f"Import {status['importId']} completed in {status['elapsedTime'] / 1000:.1f} s"
    summary = result["summary"]
    yield f"  rows       {summary['rows']:>9,}   ({result['errors']:,} rejected)"
    yield f"  findings   {summary['findings']:>9,}   ({summary['duplicates']:,} duplicates merged)"
    for name in ("inserted", "updated", "reopened", "resolved"):
        yield f"  {name:<10} {summary[name]:>9,}"
    if withheld := summary.get("withheld"):
        yield f"  withheld   {withheld:>9,}   (left open: a rejected row may refer to them)"
    yield f"  vendors    {escape(', '.join(summary['vendors']))}"
    yield f"  scan date  {escape(summary['scanDate'])}"
    yield from _problems("Rejected rows", result["errors"], result["errorDetails"])
    yield from _problems("Ignored values", result["warnings"], result["warningDetails"])


def _problems(title: str, count: int, details: list[dict[str, Any]]) -> Iterator[str]:
    if not count:
        return
    shown = details[:SHOWN_ROWS]
    yield f"{title}: {count:,}" + (f", the first {len(shown)}:" if count > len(shown) else ":")
    for problem in shown:
        column = f"{escape(problem['column'])}: " if problem["column"] else ""
        yield f"  row {problem['row']}: {column}{escape(problem['message'])}"

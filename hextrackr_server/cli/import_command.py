"""The command `import`: upload a file, show the progress, print the result."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from hextrackr_server.cli.api_client import ApiClient, ClientError
from hextrackr_server.cli.arguments import DEFAULT_URL, Commands, require_token
from hextrackr_server.cli.import_watch import follow
from hextrackr_server.telemetry.escaping import escape
from hextrackr_server.text import iso_date

#: As in imports.store, which needs the dependencies of the hub.
SCOPES = ("auto", "hosts", "vendor", "full", "none")
SHOWN_ROWS = 10
_BAR_CELLS = 30


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "import", help="import the export of a scanner (CSV or XML) and show the progress"
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--url", help=f"the server (HEXTRACKR_URL; default: {DEFAULT_URL})")
    parser.add_argument("--token", help="a token (HEXTRACKR_TOKEN)")
    parser.add_argument(
        "--ca", type=Path, metavar="FILE.pem", help="the authority of the server's certificate"
    )
    parser.add_argument(
        "--scope",
        choices=SCOPES,
        help="which stored findings an import also resolves if the file does not contain them: "
        "what the format proves (auto, the default: for a complete scan without states, findings "
        "of the same format on the hosts in the file), findings of its hosts (hosts) or vendors "
        "(vendor), all (full), or none (none)",
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help="resolve missing findings even if they are more than half of the open findings in "
        "scope, or more than a fifth of all",
    )
    parser.add_argument(
        "--allow-partial",
        action="store_true",
        help="import a file that breaks off, up to that place; resolves no missing finding",
    )
    parser.add_argument(
        "--mapping", type=Path, metavar="FILE.toml", help="a profile for a CSV file of another tool"
    )
    parser.add_argument("--vendor", help="the vendor of findings that do not name one")
    parser.add_argument(
        "--scan-date",
        help="the day of the scan, such as 2025-09-30 (default: from the file or its name, else "
        "today)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Import a file; return the exit code."""
    token = require_token(options)
    if options.scan_date is not None and iso_date(options.scan_date) is None:
        raise ClientError(
            f"--scan-date must be a day such as 2025-09-30, got {escape(options.scan_date, 100)!r}"
        )
    _check_readable(options.file)
    url = options.url or os.environ.get("HEXTRACKR_URL") or DEFAULT_URL
    values = {
        "scope": options.scope,
        "vendor": options.vendor,
        "scanDate": options.scan_date,
        "confirm": "true" if options.yes else None,
        "allowPartial": "true" if options.allow_partial else None,
        "mapping": _read_mapping(options.mapping),
    }
    set_values = {name: value for name, value in values.items() if value is not None}
    return import_file(options.file, url, token, set_values, options.ca)


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ClientError(f"{path} cannot be read: {reason}") from error
    if is_empty:
        raise ClientError(f"{path} is empty: export it again")


def _read_mapping(path: Path | None) -> str | None:
    """Return the text of a mapping, which the server validates."""
    if path is None:
        return None
    try:
        return path.read_text("utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ClientError(f"{path} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise ClientError(f"{path} is not a TOML file: {error}") from error


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


def import_file(
    path: Path, url: str, token: str, options: Mapping[str, str], ca: Path | None = None
) -> int:
    """Import a file and print the result; return 0 if the import completed, else 1."""
    progress = Progress()
    try:
        client = ApiClient(url, token, ca)
        client.check_token()
        import_id = client.upload(path, progress.show, options)
        status = follow(client, import_id, progress.show)
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
    summary = result["summary"]
    for notice in summary.get("notices", ()):
        yield f"WARNING: {escape(notice, 1000)}"
    yield f"Import {status['importId']} completed in {status['elapsedTime'] / 1000:.1f} s"
    if profile := summary.get("profile"):
        yield f"  format     {escape(profile)}"
    skipped = f", {summary['rowsSkipped']:,} skipped" if summary.get("rowsSkipped") else ""
    yield f"  rows       {summary['rows']:>9,}   ({result['errors']:,} rejected{skipped})"
    yield f"  findings   {summary['findings']:>9,}   ({summary['duplicates']:,} duplicates merged)"
    for name in ("inserted", "updated", "reopened", "resolved"):
        yield f"  {name:<10} {summary[name]:>9,}"
    if withheld := summary.get("withheld"):
        yield f"  withheld   {withheld:>9,}   (left open: a rejected row may refer to them)"
    yield from _describe_absence(summary.get("absence") or {})
    if adopted := summary.get("adopted"):
        yield f"  adopted    {adopted:>9,}   (findings of version 0.1.0 that the file reports)"
    if left := summary.get("withoutSource"):
        yield (
            f"  unmatched  {left:>9,}   (open findings of version 0.1.0: only rows that name them "
            "resolve them)"
        )
    yield f"  vendors    {escape(', '.join(summary['vendors']))}"
    yield f"  scan date  {escape(summary['scanDate'])}"
    yield from _problems("Rejected rows", result["errors"], result["errorDetails"])
    yield from _warnings(result, summary.get("warnings"))


def _describe_absence(absence: dict[str, Any]) -> Iterator[str]:
    """Yield the line on missing findings: how many are left open, and why."""
    if absence.get("confirmationRequired"):
        yield f"  missing    {absence['missing']:>9,}   (left open: see the warning above)"
    elif reason := absence.get("reason"):
        yield f"  missing findings are left open: {escape(reason)}"


def _warnings(result: dict[str, Any], kinds: list[dict[str, Any]] | None) -> Iterator[str]:
    """Yield the warnings, counted by kind and then in part with row and value."""
    count = result["warnings"]
    if kinds:
        yield f"Warnings: {count:,}"
        for kind in kinds[:SHOWN_ROWS]:
            column = f"{escape(kind['column'])}: " if kind["column"] else ""
            yield f"  {kind['count']:,} x {column}{escape(kind['message'])}"
        if len(kinds) > SHOWN_ROWS:
            yield f"  and {len(kinds) - SHOWN_ROWS} other kinds"
    details = [each for each in result["warningDetails"] if each["row"] is not None]
    yield from _problems("Ignored values", count if details else 0, details)


def _problems(title: str, count: int, details: list[dict[str, Any]]) -> Iterator[str]:
    if not count:
        return
    shown = details[:SHOWN_ROWS]
    yield f"{title}: {count:,}" + (f", the first {len(shown)}:" if count > len(shown) else ":")
    for problem in shown:
        column = f"{escape(problem['column'])}: " if problem["column"] else ""
        value = problem.get("value")
        quoted = f"'{escape(value)}': " if value else ""
        yield f"  row {problem['row']}: {column}{quoted}{escape(problem['message'])}"

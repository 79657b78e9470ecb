"""The command `inspect`: show how a file would be imported, without a database."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hextrackr_server.cli.arguments import Commands
from hextrackr_server.errors import HexTrackrError
from hextrackr_server.text import clean, iso_date

if TYPE_CHECKING:
    from hextrackr_server.imports.formats.finding import Finding
    from hextrackr_server.imports.formats.inspection import Inspection

PREVIEW = 5
MOST_WARNINGS = 20
CELL = 40


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "inspect", help="show how a file would be imported, without a database"
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--json", action="store_true", help="print the whole result, with all findings, as JSON"
    )
    parser.add_argument(
        "--scan-date",
        help="the day of the scan, such as 2025-09-30 (default: from the file or its name, else "
        "today)",
    )
    parser.add_argument(
        "--vendor", default="", help="the vendor of findings whose vendor the file does not name"
    )
    parser.add_argument(
        "--mapping", type=Path, metavar="FILE.toml", help="a profile for a CSV file of another tool"
    )
    parser.add_argument(
        "--allow-partial", action="store_true", help="read a file that breaks off, up to that place"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the inspection; return 1 for a file that is refused."""
    from hextrackr_server.imports.formats.inspection import (  # noqa: PLC0415 - needs the hub
        inspect_file,
    )
    from hextrackr_server.imports.formats.profile import read_mapping  # noqa: PLC0415

    scan_date = None
    if options.scan_date is not None and (scan_date := iso_date(options.scan_date)) is None:
        raise HexTrackrError(
            f"--scan-date must be a date such as 2025-09-30, got {options.scan_date!r}"
        )
    if not options.file.is_file():
        raise HexTrackrError(f"{options.file} is not a file")
    inspection = inspect_file(
        options.file,
        scan_date=scan_date,
        vendor=options.vendor,
        mapping=read_mapping(options.mapping) if options.mapping else None,
        allow_partial=options.allow_partial,
    )
    if options.json:
        print(json.dumps(inspection.as_json(), indent=1, ensure_ascii=False))
    else:
        print("\n".join(describe(inspection, options.file.name)))
    return 1 if inspection.refused is not None else 0


def describe(inspection: Inspection, name: str) -> Iterator[str]:
    """Yield the lines that the terminal shows."""
    if inspection.refused is not None:
        yield f"{name} is refused: {inspection.refused}"
        yield from _describe_problems(inspection)
        return
    yield f"{name}: {inspection.title} ({inspection.profile}), scan date {inspection.scan_date}"
    for warning in inspection.warnings:
        column = f"{warning['column']}: " if warning["column"] else ""
        line = f"{column}{warning['message']}"
        # Warnings on a column or on the whole file; those of cells are counted below.
        if warning["row"] is None and line not in inspection.warning_counts:
            yield f"WARNING: {line}"
    findings = inspection.findings
    closed = sum(finding.closed_as is not None for finding in findings)
    yield (
        f"{inspection.rows} rows: {len(findings)} findings ({closed} closed), "
        f"{inspection.rows_skipped} rows skipped, {inspection.rows_rejected} rows rejected"
    )
    yield {
        "hosts": "open findings of this format that are missing on the named hosts may be resolved",
        "none": "missing findings are not resolved, only rows with a closed state are",
    }[inspection.resolve]
    yield ""
    yield "columns:"
    width = max(map(len, inspection.columns), default=0)
    for field, columns in inspection.columns.items():
        yield f"  {field:{width}}  {', '.join(clean(each, CELL) for each in columns)}"
    if inspection.unused_columns:
        unused = ", ".join(clean(each, CELL) for each in inspection.unused_columns)
        yield f"  {'not read':{width}}  {unused}"
    yield ""
    yield from _describe_problems(inspection)
    yield "first findings:"
    yield from (f"  {_describe_finding(finding)}" for finding in findings[:PREVIEW])


def _describe_problems(inspection: Inspection) -> Iterator[str]:
    yield from _describe_counts("rejected rows", inspection.rejection_counts)
    yield from _describe_counts("warnings", inspection.warning_counts)


def _describe_counts(title: str, counts: dict[str, int]) -> Iterator[str]:
    if not counts:
        return
    yield f"{title} ({sum(counts.values())}):"
    for number, (message, count) in enumerate(counts.items()):
        if number == MOST_WARNINGS:
            yield f"  and {len(counts) - MOST_WARNINGS} other kinds"
            break
        yield f"  {count} x {message}"
    yield ""


def _describe_finding(finding: Finding) -> str:
    score = "-" if finding.cvss_score is None else f"{finding.cvss_score:.1f}"
    state = "open" if finding.closed_as is None else finding.closed_as.replace("_", " ")
    return (
        f"{finding.host_key}  {finding.identity}  {finding.severity} {score}  {state}  "
        f"{finding.first_seen} to {finding.last_seen}  {clean(finding.plugin_name, 60)}"
    )

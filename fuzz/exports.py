"""Reading of scanner exports, for the targets of all formats."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from zlib import crc32

from fuzz.memory_file import memory_file
from hextrackr_server.imports.formats.csv_table import FileRefusedError
from hextrackr_server.imports.formats.finding import Finding
from hextrackr_server.imports.formats.parts import findings_of
from hextrackr_server.imports.formats.reader import ExportReader
from hextrackr_server.imports.formats.row_errors import NoFindingError, RowRejectedError

SCAN_DATE = "2030-06-01"
SEVERITIES = frozenset({"Critical", "High", "Medium", "Low", "Info", "Unknown"})
#: Raises ValueError for lone surrogates and numbers without a form in JSON.
_TO_JSON = json.JSONEncoder(allow_nan=False).encode
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
XML_TOKENS = (
    b"<", b"/>", b"</", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?xml", b"?>", b"<!DOCTYPE a>",
    b"&#x80;", b"&#65533;", b"&amp;", b"&a;", b"xmlns:a=", b'"', b"\xc2\x85",
    b' encoding="utf-16"', b"CVE-2030-1001",
)  # fmt: skip
XML_BORDERS = b'<>"= \n'

#: Findings of one row, which may name many CVEs.
MOST_FINDINGS = 2000


def read_export(data: bytes, name: str = "export.csv", *, allow_partial: bool = True) -> int:
    """Read an export in both ways; return the number of its findings.

    Raises for an undocumented exception, an invalid value, or a difference of the two ways.
    """
    try:
        first = _read_findings(_open(data, name, allow_partial))
    except FileRefusedError as error:
        str(error).encode()  # the text reaches clients
        return 0
    if crc32(data) & 3 == 0:  # a part of the inputs, because each reading takes a millisecond
        second = _read_rows(_open(data, name, allow_partial))
        assert first == second, "the two readers count differently"
    return first[0]


def _open(data: bytes, name: str, allow_partial: bool) -> ExportReader:
    return ExportReader(memory_file(data, name), scan_date=SCAN_DATE, allow_partial=allow_partial)


def _read_findings(reader: ExportReader) -> tuple[int, int, int, int]:
    found = 0
    for row in reader.read():
        assert len(row.findings) <= MOST_FINDINGS
        for finding in row.findings:
            check_finding(finding)
        if row.problem is not None:
            check_problem(row.problem)
        found += len(row.findings)
    check_texts(reader.warnings.as_json(reader.column_warnings()))
    check_texts(reader.absence())
    reader.incomplete.encode()
    return found, reader.rows, reader.rows_skipped, reader.rows_rejected


def _read_rows(reader: ExportReader) -> tuple[int, int, int, int]:
    found = 0
    for chunk in reader.read_rows():
        for row in chunk.rows:
            found += len(findings_of(row))
    return found, reader.rows, reader.rows_skipped, reader.rows_rejected


def check_finding(finding: Finding) -> None:
    """Check the values of a finding on which the database and the page rely."""
    assert finding.host_key
    assert finding.cve or finding.plugin_id or finding.plugin_name
    assert finding.severity in SEVERITIES
    for score in (finding.cvss_score, finding.vpr_score):
        assert score is None or 0.0 <= score <= 10.0
    for day in (finding.first_seen, finding.last_seen):
        assert _DAY.fullmatch(day)
    assert finding.first_seen <= finding.last_seen
    values = finding.as_json()
    # Further values are not stored; `inspect --json` prints them.
    _TO_JSON(values.pop("extra"))
    check_texts([*values.values(), finding.description, finding.solution])


def check_problem(problem: NoFindingError) -> None:
    """Check the texts of a row without a finding; its value is cleaned before it is shown."""
    check_texts([problem.message, *problem.mentions])
    if isinstance(problem, RowRejectedError):
        problem.column.encode()  # cleaned like the value


def check_texts(value: Any) -> None:
    """Check that a value can be stored and sent: no control characters, no lone surrogates."""
    text = "\n".join(_texts(value))
    found = _UNPRINTABLE.search(text)
    assert found is None, f"the texts {text!r} have the character {found[0]!r}"
    _TO_JSON(value)


def _texts(value: Any) -> list[str]:
    texts: list[str] = []
    remaining = [value]
    while remaining:
        item = remaining.pop()
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, dict):
            remaining += item
            remaining += item.values()
        elif isinstance(item, Sequence):
            remaining += item
    return texts

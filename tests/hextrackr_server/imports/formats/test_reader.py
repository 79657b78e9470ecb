"""The reader of imports and the one of inspections give the same findings and warnings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hextrackr_server.imports.formats.csv_table import FileRefusedError
from hextrackr_server.imports.formats.finding import Finding
from hextrackr_server.imports.formats.reader import ExportReader

HERE = Path(__file__).parent
FILES = sorted(
    path
    for folder in ("samples", "field")
    for path in (HERE / folder).iterdir()
    if path.suffix not in {".json", ".md"}
)


def read(path: Path, *, reads_extra: bool) -> tuple[list[Finding], object, object] | str:
    try:
        reader = ExportReader(path, scan_date="2031-06-01", reads_extra=reads_extra)
        findings = [
            replace(finding, extra={}) for result in reader.read() for finding in result.findings
        ]
    except FileRefusedError as error:
        return str(error)
    rows = reader.rows, reader.rows_skipped, reader.rows_rejected
    return findings, rows, (reader.warnings.counts, reader.column_warnings(), reader.absence())


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_import_has_the_findings_and_warnings_of_an_inspection(path: Path) -> None:
    assert read(path, reads_extra=False) == read(path, reads_extra=True)


def test_repeated_rows_repeat_their_findings_and_warnings(tmp_path: Path) -> None:
    lines = [
        "hostname,cve,severity,vpr,first_seen,state,description",
        "h-1,CVE-2030-1001,High,7.5,2030-01-02,Open,text",
        "h-1,CVE-2030-1001,Odd,7.5,2030-01-02,Open,text",
        "h-1,CVE-2030-1001,High,75,2030-01-02,Open,text",
        "h-1,CVE-2030-1001,High,7.5,2030-13-13,Open,text",
        "h-1,CVE-2030-1001,High,7.5,2030-01-02,Odd,text",
        "h-1,CVE-1,High,7.5,2030-01-02,Open,text",
        "192.0.2.1/24,CVE-2030-1001,High,7.5,2030-01-02,Open,text",
    ]
    path = tmp_path / "export.csv"
    path.write_text("\n".join([lines[0], *lines[1:] * 3]) + "\n")
    reader = ExportReader(path, scan_date="2030-06-01", reads_extra=False)
    findings = [
        replace(finding, row_number=0) for result in reader.read() for finding in result.findings
    ]
    assert (reader.rows, reader.rows_rejected) == (21, 0)
    assert findings[7:] == findings[:7] * 2
    assert set(reader.warnings.counts.values()) == {3}
    assert len(reader.warnings.counts) == 6


def test_ambiguous_dates_are_settled_by_the_whole_column(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    rows = ["h,CVE-2030-1001,05/06/2030", "h,CVE-2030-1002,13/06/2030"]
    path.write_text("\n".join(["hostname,cve,first_seen", *rows]) + "\n")
    reader = ExportReader(path, scan_date="2030-07-01")
    days = [finding.first_seen for result in reader.read() for finding in result.findings]
    assert days == ["2030-06-05", "2030-06-13"]


def test_file_without_ambiguous_dates_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("hostname,cve,first_seen\nh,CVE-2030-1001,2030-05-06\n")
    positions: list[int] = []
    reader = ExportReader(path, scan_date="2030-07-01", checkpoint=positions.append)
    assert len(list(reader.read())) == 1
    size = path.stat().st_size
    assert positions == [size, size]

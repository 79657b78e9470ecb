"""Marks that keep spreadsheets from changing cells: guards, links and apostrophes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from hextrackr_server.imports.formats.spreadsheet_marks import read_text
from tests.hextrackr_server.imports.formats.exports import (
    check_findings,
    expect,
    inspect_text,
    messages,
)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('="00123"', "00123"), ('= "x y"', "x y"), ('="a ""b"""', 'a "b"'), ('=""', ""),
        ('=T("x")', "x"), ('=HYPERLINK("https://example.test/1","12")', "12"),
        ('=hyperlink("https://example.test/1"; 12 )', "12"),
        ('=HYPERLINK("https://example.test/1")', "https://example.test/1"),
        ("'00123", "00123"), ("'=1+2", "=1+2"), ("'-5", "-5"), ("'@a", "@a"), ("'=\"x\"", "x"),
        ("'=it's 'x", "=it's 'x"), ("' x", "x"),
        ("'A' is outdated", "'A' is outdated"), ("'", "'"), ("''", "''"), ("=1+2", "=1+2"),
        ('="a"&"b"', '="a"&"b"'), (" a ", "a"), ("", ""), (" ", ""),
    ],
)  # fmt: skip
def test_text_of_a_cell_has_no_marks(cell: str, text: str) -> None:
    assert read_text(cell) == text


@pytest.mark.parametrize("content", ["x" * 65_533, '""' * 32_766])
def test_marks_are_removed_from_cells_that_a_spreadsheet_can_hold(content: str) -> None:
    assert read_text(f'="{content}"') == content.replace('""', '"')
    assert read_text(f'="{content}xx"') == f'="{content}xx"'


CELLS = {
    "Plugin ID": "00123", "CVE": "CVE-2030-1001", "Risk": "High", "Host": "192.0.2.1",
    "Port": "443", "Protocol": "tcp", "Name": "=A, b", "CVSS v3.0 Base Score": "7.5",
    "VPR Score": "6.7", "Plugin Publication Date": "2030/01/02", "Description": "+x",
    "Solution": "@y", "Metasploit": "true", "first_discovered": "05/14/2030",
    "last_observed": "05/28/2030", "ip_address": "192.0.2.1",
}  # fmt: skip


@pytest.mark.parametrize("guard", ['="{}"', "'{}", '=HYPERLINK("https://example.test/","{}")'])
@pytest.mark.parametrize("guards_header", [False, True])
def test_guarded_cells_have_the_values_of_plain_cells(
    tmp_path: Path, guard: str, guards_header: bool
) -> None:
    file = io.StringIO()
    writer = csv.writer(file)
    header = [guard.format(name) for name in CELLS] if guards_header else list(CELLS)
    rows = [guard.format(cell) for cell in CELLS.values()]
    writer.writerows([header, rows, list(CELLS.values()), [""] * len(CELLS), rows])
    inspection = inspect_text(tmp_path, file.getvalue())
    check_findings(
        inspection,
        expect("192.0.2.1", cve="CVE-2030-1001", plugin_id="00123", plugin_name="=A, b",
               cvss_score=7.5, vpr_score=6.7, vulnerability_date="2030-01-02",
               first_seen="2030-05-14", last_seen="2030-05-28",
               extra={"port": 443, "protocol": "tcp", "exploit_available": True}),
    )  # fmt: skip
    (finding,) = inspection.findings
    assert (finding.description, finding.solution) == ("+x", "@y")
    assert (inspection.rows, messages(inspection)) == (3, [])


def test_bare_guards_are_read(tmp_path: Path) -> None:
    text = '="host";="cve";"severity";="state"\n="web1";="CVE-2030-1001";="High";="Fixed"\n'
    inspection = inspect_text(tmp_path, text)
    check_findings(
        inspection,
        expect("web1", cve="CVE-2030-1001", state="Fixed", lifecycle_state="resolved"),
    )


@pytest.mark.parametrize(
    ("cell", "name"),
    [('="A, b"', "A, b"), ('="A,b, c"', "A, b, c"), ('="1,5"', "1,5")],
)
def test_bare_guard_may_contain_the_separator(tmp_path: Path, cell: str, name: str) -> None:
    cves = '="CVE-2030-1001,CVE-2030-1002"'
    text = f'host,title,cve,severity\n="h1",{cell},{cves},="High"\nh2,B,,Low\n'
    inspection = inspect_text(tmp_path, text)
    check_findings(
        inspection,
        expect("h1", plugin_name=name, cve="CVE-2030-1001"),
        expect("h1", plugin_name=name, cve="CVE-2030-1002"),
        expect("h2", plugin_name="B", severity="Low"),
    )


@pytest.mark.parametrize(
    "row", [b'h1,="A, b,,High', b'h1,=",A,High,x', b"h1,A,,High,x", b'h1,="\xff, b",\xc3\xa9,High'],
    ids=["open", "mark", "no_guard", "invalid_byte"],
)  # fmt: skip
def test_row_with_too_many_cells_is_rejected_unless_a_guard_explains_them(
    tmp_path: Path, row: bytes
) -> None:
    text = b"host,title,cve,severity\n" + row + b"\nh2,B,,Low\n"
    inspection = inspect_text(tmp_path, text)
    check_findings(inspection, expect("h2", plugin_name="B", severity="Low"))
    assert "the row has 5 cells, the header 4" in messages(inspection)[-1][3]


def test_link_with_another_text_names_the_cve(tmp_path: Path) -> None:
    link = '"=HYPERLINK(""https://example.test/CVE-2030-1001"",""View"")"'
    inspection = inspect_text(tmp_path, f"host,cve,severity\nh1,{link},High\n")
    check_findings(inspection, expect("h1", cve="CVE-2030-1001"))
    assert messages(inspection) == []


def test_guarded_words_are_shown_in_warnings_as_they_are_read(tmp_path: Path) -> None:
    text = 'host,cve,severity,state\nh1,CVE-2030-1001,="Odd",\'Strange\nh1,="CVE-1",="High",\n'
    inspection = inspect_text(tmp_path, text)
    assert [each[:3] for each in messages(inspection) if each[1]] == [
        ("state", 2, "Strange"), ("severity", 2, "Odd"), ("cve", 3, "CVE-1"), ("cve", 3, "CVE-1"),
    ]  # fmt: skip


def test_guarded_flags_and_operating_systems_are_read(tmp_path: Path) -> None:
    text = (
        "Hostname,LocalIP,Product,CVE ID,Severity,Is Suppressed,OSVersion\n"
        '\'srv1,192.0.2.1,"=""Client""",\'CVE-2030-1001,\'Low,\'True,\'Windows\n'
    )
    inspection = inspect_text(tmp_path, text)
    (finding,) = inspection.findings
    assert (finding.plugin_name, finding.closed_as) == ("Client: CVE-2030-1001", "accepted")
    assert (finding.hostname, finding.operating_system) == ("srv1", "Windows")

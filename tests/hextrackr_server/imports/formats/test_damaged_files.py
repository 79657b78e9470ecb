"""Encodings, separators, preambles, footers and cuts: the file around the values."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from hextrackr_server.imports.formats.inspection import Inspection
from tests.hextrackr_server.imports.formats.exports import inspect_text, messages

HEADER = "Plugin ID,CVE,CVSS,Risk,Host,Protocol,Port,Name,Description"
PLAIN = "1,CVE-2030-1001,7.5,High,192.0.2.1,tcp,443,A,d"
QUOTED = '"2","CVE-2030-1002","9.8","Critical","192.0.2.2","tcp","80","B ""b"", ü","one\r\ntwo"'
EXPORT = f"{HEADER}\n{PLAIN}\n{QUOTED}\n"


def keys(inspection: Inspection) -> list[tuple[str, str]]:
    assert inspection.refused is None
    return [(each.host_key, each.cve) for each in inspection.findings]


BOTH = [("192.0.2.1", "CVE-2030-1001"), ("192.0.2.2", "CVE-2030-1002")]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
def test_text_is_the_same_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    inspection = inspect_text(tmp_path, EXPORT.encode(encoding))
    assert keys(inspection) == BOTH
    assert inspection.findings[1].plugin_name == 'B "b", ü'
    assert inspection.findings[1].description == "one\ntwo"
    assert inspection.warnings == []


def test_one_invalid_byte_leaves_all_other_cells_as_they_are(tmp_path: Path) -> None:
    data = EXPORT.encode().replace(b",A,d", b",\xffA,d")
    inspection = inspect_text(tmp_path, data)
    assert [each.plugin_name for each in inspection.findings] == ["\ufffdA", 'B "b", ü']
    assert [each[:3] for each in messages(inspection)] == [("Name", 2, "\ufffdA")]


def test_invalid_bytes_in_the_header_can_be_printed(tmp_path: Path) -> None:
    data = EXPORT.encode().replace(b"Description", b"Beschr\xffeibung")
    inspection = inspect_text(tmp_path, data)
    assert keys(inspection) == BOTH
    json.dumps(inspection.as_json(), ensure_ascii=False).encode()
    refused = inspect_text(tmp_path, b"a\xff,b\n1,2\n").refused
    assert str(refused).encode()


def test_warning_names_a_column_without_its_line_ends(tmp_path: Path) -> None:
    data = EXPORT.replace(",Risk,", ',"Ri\vsk\n",').replace(",High,", ",Strong,")
    (warning,) = inspect_text(tmp_path, data).warnings
    assert (warning["column"], warning["value"]) == ("Ri sk", "Strong")


def test_warning_on_a_whole_column_names_it_without_its_line_ends(tmp_path: Path) -> None:
    data = "Plugin ID;Host;Ri\vsk\n1;192.0.2.1;Strong\n"
    assert ("Ri sk", None, None) in [each[:3] for each in messages(inspect_text(tmp_path, data))]


def test_warning_on_the_last_cell_names_its_column_without_control_characters(
    tmp_path: Path,
) -> None:
    (warning,) = inspect_text(tmp_path, f"{HEADER},No\x13te\n{PLAIN},Cut").warnings
    assert (warning["column"], warning["value"]) == ("No te", "Cut")


def test_old_code_page_in_the_header_is_read(tmp_path: Path) -> None:
    data = EXPORT.replace("Description", "Übersicht").encode("cp1252")
    assert inspect_text(tmp_path, data).unused_columns == ["Übersicht"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line", ["", "sep={}\n", '"sep={}"\r\n'])
def test_separator_is_found_by_the_header(tmp_path: Path, delimiter: str, line: str) -> None:
    cells = [
        ["Plugin ID", "Risk", "Host", "Name"],
        ["1", "High", "h1", "a,b,c" if delimiter != "," else "x"],
    ]
    text = line.format(delimiter) + "".join(delimiter.join(row) + "\n" for row in cells)
    inspection = inspect_text(tmp_path, text)
    assert (inspection.profile, len(inspection.findings)) == ("nessus", 1)
    assert inspection.findings[0].plugin_name == cells[1][3]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("blanks", [" ", "   "])
@pytest.mark.parametrize("quotes_header", [False, True])
def test_quotes_behind_blanks_open_cells(
    tmp_path: Path, delimiter: str, blanks: str, quotes_header: bool
) -> None:
    rows = [
        ["Plugin ID", "Risk", "Host", "Name", "CVE", "Description"],
        ["1", "High", "h1", f"a{delimiter}b", f"CVE-2030-1001{delimiter}CVE-2030-1002", 'c\n"d"'],
        ["2", "Low", "h2", "x", "", ""],
    ]
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in rows]
    if not quotes_header:
        quoted[0] = rows[0]
    text = "".join((delimiter + blanks).join(row) + "\n" for row in quoted)
    inspection = inspect_text(tmp_path, text)
    found = [(each.host_key, each.cve, each.plugin_name) for each in inspection.findings]
    name = "a b" if delimiter == "\t" else rows[1][3]
    assert found == [
        ("h1", "CVE-2030-1001", name), ("h1", "CVE-2030-1002", name), ("h2", "", "x"),
    ]  # fmt: skip
    assert inspection.findings[0].description == 'c\n"d"'
    assert messages(inspection) == []


def test_blank_as_separator_gives_empty_cells(tmp_path: Path) -> None:
    text = 'sep= \nhost severity cve "plugin name"\nh1  CVE-2030-1001 "a b"\n'
    (finding,) = inspect_text(tmp_path, text).findings
    assert (finding.host_key, finding.severity, finding.plugin_name) == ("h1", "Unknown", "a b")


def test_wrapped_rows_may_have_quotes_behind_blanks(tmp_path: Path) -> None:
    text = (
        '"QID, ""Title"", ""Severity"", ""Asset Name"""\n'
        '"940006, ""Example, 2"", ""5"", ""SRV6"""\n'
    )
    (finding,) = inspect_text(tmp_path, text).findings
    assert (finding.plugin_name, finding.host_key) == ("Example, 2", "srv6")


@pytest.mark.parametrize("line", ["sep=\r\n", 'sep="\n', "sep=\0\n"])
def test_separator_line_without_a_separator_is_a_preamble(tmp_path: Path, line: str) -> None:
    assert keys(inspect_text(tmp_path, line + EXPORT)) == BOTH


@pytest.mark.parametrize("count", range(13))
def test_header_is_found_below_a_preamble(tmp_path: Path, count: int) -> None:
    lines = ['"Report","06/01/2030 at 10:00:00 (GMT)"', "Company;Inc,x,y", "", "a|b", "One line"]
    preamble = "".join(f"{lines[number % len(lines)]}\n" for number in range(count))
    inspection = inspect_text(tmp_path, preamble + EXPORT)
    assert keys(inspection) == BOTH
    assert inspection.rows == 2


def test_blank_rows_are_not_rows(tmp_path: Path) -> None:
    blank = f"{',' * 8}\n" * 529 + " \n \t, ,,,,,,,\n"
    inspection = inspect_text(tmp_path, f"{HEADER}\n\n{PLAIN}\n,,,,,,,,\n{QUOTED}\n{blank}\n\n")
    assert keys(inspection) == BOTH
    counts = (inspection.rows, inspection.rows_skipped, inspection.rows_rejected)
    assert counts == (2, 0, 0)


@pytest.mark.parametrize(
    "footer",
    [
        "End of report\n", "Total,2\n", "\nTarget distribution across scanner appliances\n",
        "\nEnd of report", "Total findings,2,,,,,,,\n", "End of report,,,,,,,,\n",
    ],
)  # fmt: skip
def test_footer_is_skipped_and_counted(tmp_path: Path, footer: str) -> None:
    inspection = inspect_text(tmp_path, EXPORT + footer)
    assert keys(inspection) == BOTH
    counts = (inspection.rows, inspection.rows_skipped, inspection.rows_rejected)
    assert counts == (3, 1, 0)


def test_first_column_with_a_value_counts_of_columns_with_one_name(tmp_path: Path) -> None:
    text = (
        "Plugin ID,Risk,,Host,Name,Risk,\n"
        "1,,x,h1,A,High,y\n"
        "2,Low,,h1,B,Critical,\n"
    )  # fmt: skip
    inspection = inspect_text(tmp_path, text)
    assert [each.severity for each in inspection.findings] == ["High", "Low"]


@pytest.mark.parametrize("row", [0, 1, 2])
def test_quote_that_is_never_closed_is_refused(tmp_path: Path, row: int) -> None:
    rows = [PLAIN.replace(",A,", f',"A{number},' if number == row else f",A{number},")
            for number in range(3)]  # fmt: skip
    inspection = inspect_text(tmp_path, "\n".join([HEADER, *rows, ""]))
    assert f"quote that opens in row {row + 2}" in str(inspection.refused)
    assert (inspection.profile, inspection.findings) == ("nessus", [])


def test_complete_rows_before_an_open_quote_are_read_on_request(tmp_path: Path) -> None:
    text = f'{EXPORT}3,CVE-2030-1003,9.8,High,192.0.2.3,tcp,1,"C'
    inspection = inspect_text(tmp_path, text, allow_partial=True)
    assert (keys(inspection), inspection.resolve) == (BOTH, "none")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("quotes_all", [True, False])
def test_file_cut_at_any_byte_is_refused_or_has_whole_rows(
    tmp_path: Path, end: str, quotes_all: bool
) -> None:
    rows = [
        f"{number},CVE-2030-{number},7.5,High,h{number},t,1,A,é{number}"
        for number in range(1001, 1004)
    ]
    lines = [HEADER, *rows]
    if quotes_all:
        lines = ['"' + line.replace(",", '","') + '"' for line in lines]
    data = end.join([*lines, ""]).encode()
    start = len(lines[0]) + len(end)
    whole = [f"CVE-2030-{number}" for number in range(1001, 1004)]
    ends = {len((end.join(lines[:count])).encode()) for count in range(2, 5)}
    for position in range(start, len(data)):
        inspection = inspect_text(tmp_path, data[:position])
        found = [each.cve for each in inspection.findings]
        if inspection.refused is not None:
            assert found == []
            assert not {position, position - 1, position - 2} & ends or position - 1 not in ends
        else:
            assert found == whole[: len(found)]
        if quotes_all and position not in ends | {each + 1 for each in ends} | {
            each + len(end) for each in ends
        } | {start}:
            assert inspection.refused, data[:position]


def test_unquoted_last_cell_that_was_cut_to_nothing_is_refused(tmp_path: Path) -> None:
    inspection = inspect_text(tmp_path, f"{HEADER}\n{PLAIN}\n{PLAIN[:-1]}")
    assert "the last cell of the last row (3) is cut off" in str(inspection.refused)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r"])
def test_file_without_a_last_line_end_is_read_and_resolves_nothing(
    tmp_path: Path, end: str
) -> None:
    info = "3,,,None,192.0.2.3,tcp,1,B,C"
    text = f"{EXPORT}{info}{end}"
    inspection = inspect_text(tmp_path, text)
    assert keys(inspection) == [*BOTH, ("192.0.2.3", "")]
    found = [(column, row, value) for column, row, value, _ in messages(inspection)]
    assert found == ([] if end else [("Description", 4, "C")])
    assert inspection.resolve == ("hosts" if end else "none")


@pytest.mark.parametrize("quotes_all", [True, False])
def test_file_that_ends_within_its_header_is_refused(tmp_path: Path, quotes_all: bool) -> None:
    header = '"' + HEADER.replace(",", '","') + '"' if quotes_all else HEADER
    for end in range(len(header) - 12, len(header) + 1):
        assert "within its header (row 1)" in str(inspect_text(tmp_path, header[:end]).refused)
    assert "no rows" in str(inspect_text(tmp_path, f"{header}\n").refused)


def test_footer_without_a_line_end_causes_no_warning(tmp_path: Path) -> None:
    inspection = inspect_text(tmp_path, f"{EXPORT}\nEnd of report")
    assert (keys(inspection), messages(inspection)) == (BOTH, [])


def test_short_rows_in_the_middle_are_rejected_alone(tmp_path: Path) -> None:
    inspection = inspect_text(tmp_path, f"{HEADER}\n1,\n{PLAIN}\n")
    assert keys(inspection) == BOTH[:1]
    assert inspection.rows_rejected + inspection.rows_skipped == 1


def test_rows_that_are_too_long_are_rejected_alone(tmp_path: Path) -> None:
    inspection = inspect_text(tmp_path, f"{HEADER}\n{PLAIN}\n{PLAIN},more\n{QUOTED},,\n")
    assert keys(inspection) == BOTH
    assert [each[1] for each in messages(inspection)] == [3]


def test_cells_of_a_megabyte_are_read(tmp_path: Path) -> None:
    text = "x" * (1 << 20) + "\nlast"
    inspection = inspect_text(tmp_path, f'{HEADER}\n{PLAIN[:-1]}"{text}"\n{QUOTED}\n')
    assert keys(inspection) == BOTH


def test_a_thousand_columns_are_read(tmp_path: Path) -> None:
    more = "".join(f",column {number}" for number in range(991))
    inspection = inspect_text(tmp_path, f"{HEADER}{more}\n{PLAIN}{',x' * 991}\n")
    assert keys(inspection) == BOTH[:1]


HOSTILE = {
    "quotes": b'"' * 4_000_000,
    "open quote": b'"' + b"x" * 8_000_000,
    "commas": b"," * 4_000_000,
    "lines": b"\n" * 4_000_000,
    "carriage returns": b"\r" * 1_000_000,
    "zeros": b"\0" * 4_000_000,
    "rows of one cell": b"a\n" * 500_000,
    "open quote below a header": f'{HEADER}\n"'.encode() + b"x" * 8_000_000,
    "long rows": (f"{HEADER}\n" + f"{PLAIN}{'x' * 500_000}\n" * 12).encode(),
    "wide characters": (HEADER + "\n" + PLAIN + "\U0001f600" * 2_000_000).encode(),
    "JSON": b"[" * 1_000_000,
    "deep XML": b"<report>" * 200_000,
    "wide XML": b"<report><result>" + b"<a/>" * 1_000_000 + b"</result></report>",
    "attributes": b"<report " + b" ".join(b'a%d="1"' % n for n in range(50_000)) + b"/>",
    "long attribute": b'<report id="' + b"x" * 12_000_000 + b'"/>',
    "entities": b'<!DOCTYPE a [<!ENTITY b "bb">]><report>&b;</report>',
    "UTF-16 odd": b"\xff\xfeP\0l\0u",
    "UTF-32": EXPORT.encode("utf-32"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_raises_nothing_and_takes_little_memory(tmp_path: Path, name: str) -> None:
    tracemalloc.start()
    try:
        inspection = inspect_text(tmp_path, HOSTILE[name])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    json.dumps(inspection.as_json(), ensure_ascii=False).encode()
    assert peak < 100_000_000
    assert len(str(inspection.refused)) < 10_000


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_extreme_scan_dates_are_accepted(tmp_path: Path, day: str) -> None:
    inspection = inspect_text(tmp_path, EXPORT, scan_date=day)
    assert {each.last_seen for each in inspection.findings} == {day}
